"""Finds weights that lie where the readers do not look: in lists, or under keys that are not names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pyrnn.checks.quoting import brief

from .parametrized import parameter_of


def unreached(tree: Any) -> str:
    """Returns a sentence on where the weights lie and what to do; "" if there are none out of reach.

    >>> unreached([1, {"gru.weight_ih_l0": np.ones((3, 2))}])
    'weights lie under [1]; save them alone: torch.save(torch.load(path)[1], new_path)'
    """
    places = list(_arrays(tree))
    for where, name in places:
        if parameter_of(name).rpartition(".")[2] in ("weight_ih_l0", "weight_ih") and where:
            return f"weights lie under {where}; save them alone: torch.save(torch.load(path){where}, new_path)"
    nameless = [f"{where}{last}" for where, last in places if last.startswith("[")]
    if nameless and len(nameless) == len(places):
        return (
            f"it has {len(nameless)} arrays whose keys are no names, the first at {nameless[0]}; save them under the "
            "names that torch gives them: torch.save(model.state_dict(), path)"
        )
    return ""


def _arrays(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yields for each array the Python expression of its container, and its name there or "[key]" if it has none."""
    named = isinstance(value, Mapping)
    items = value.items() if named else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in items:
        step = f"[{brief(key)}]"
        if isinstance(item, np.ndarray):
            yield where, key if isinstance(key, str) else step
        else:
            yield from _arrays(item, where + step)
