"""State dicts: arrays by name, and beside them the options that the shapes of weights do not tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import NoneType
from typing import Any

# Arguments of a constructor that the names and shapes of weights do not show, and the types that they may have. Other
# entries of a file's metadata are left alone.
OPTIONS: dict[str, type | tuple[type, ...]] = {
    "nonlinearity": str,
    "activation": (str, NoneType),
    "recurrent_activation": str,
    "reset_after": bool,
    "peephole": bool,
    "batch_first": bool,
    "dropout": (int, float),
    "masked_output": str,
}
FUNCTIONS = ("nonlinearity", "activation", "recurrent_activation", "reset_after", "peephole")  # of what is computed
MAX_TEXT = 100  # letters of an option's value: more is no option of ours

Metadata = dict[str, dict[str, Any]]


def as_state_dict(values: Mapping[Any, Any], metadata: Metadata) -> OrderedDict[Any, Any]:
    """A state dict as torch has it: an OrderedDict with the attribute `_metadata`.

    For each module, by its dotted name, `_metadata` has torch's `version` and, of a recurrent layer, the options that
    weights do not tell. A file keeps them, and `pyrnn.load` and `from_state_dict` make the layer with them. (torch and
    JAX walk through an OrderedDict, but take a class of ours for a leaf.)

    >>> import pyrnn
    >>> pyrnn.RNN(3, 5, nonlinearity="relu").state_dict()._metadata[""]["nonlinearity"]
    'relu'
    """
    found = OrderedDict(values)
    found.__dict__["_metadata"] = metadata
    return found


def checked(metadata: Any) -> Metadata:
    """The entries of `_metadata`, out of a file or another program, that hold options; those alone."""
    if not isinstance(metadata, Mapping):
        return {}
    found: Metadata = {}
    for name, entry in metadata.items():
        if isinstance(name, str) and isinstance(entry, Mapping) and any(option in entry for option in OPTIONS):
            kinds = {"version": int, **OPTIONS}
            kept = {option: entry[option] for option in kinds if option in entry}
            found[name] = {option: value for option, value in kept.items() if _fits(value, kinds[option])}
    return found


def _fits(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not (isinstance(value, str) and len(value) > MAX_TEXT)


def metadata_of(tree: Mapping[Any, Any], before: str = "") -> Metadata:
    """The options of all state dicts in a tree, by dotted name."""
    own = checked(getattr(tree, "_metadata", None))
    found = {_dotted(before, name): options for name, options in own.items()}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= metadata_of(value, _dotted(before, str(name)))
    return found


def with_metadata(tree: dict[Any, Any], metadata: Metadata) -> dict[Any, Any]:
    """The tree with `metadata`, by dotted name, at its dicts: the reverse of `metadata_of`."""
    if not metadata:
        return tree
    inside = {
        name: with_metadata(value, _below(metadata, str(name))) if isinstance(value, dict) else value
        for name, value in tree.items()
    }
    return as_state_dict(inside, metadata)


def _below(metadata: Metadata, name: str) -> Metadata:
    found = {"": metadata[name]} if name in metadata else {}
    start = f"{name}."
    return found | {key.removeprefix(start): value for key, value in metadata.items() if key.startswith(start)}


def _dotted(before: str, name: str) -> str:
    return f"{before}.{name}" if before and name else before or name


def dumped(tree: Mapping[Any, Any]) -> str:
    """The options of a tree as JSON, for a file; "" if there are none."""
    import json  # not at `import pyrnn`

    metadata = metadata_of(tree)
    return json.dumps(metadata) if metadata else ""


def loaded(text: str | bytes) -> Metadata:
    """The reverse of `dumped`. ValueError if it is damaged."""
    import json

    try:
        return checked(json.loads(text)) if text else {}
    except (RecursionError, ValueError) as error:
        raise ValueError("the options beside its weights are no JSON") from error
