"""Whether the names and shapes of a state dict are those of a module, and torch's sentences where they are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyrnn.checks.quoting import listed, quoted

from .parametrized import parameter_of


class IncompatibleKeys(NamedTuple):
    """What did not fit together: torch's `_IncompatibleKeys`.

    >>> IncompatibleKeys([], [])
    <All keys matched successfully>
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"

    def problems(self) -> list[str]:
        """torch's sentences about them."""
        found = {"Missing": self.missing_keys, "Unexpected": self.unexpected_keys}
        return [f"{kind} key(s) in state_dict: {listed(names)}." for kind, names in found.items() if names]

    def advice(self) -> list[str]:
        """What to do where the unexpected keys are the missing ones under another name: a sentence, or none.

        >>> print(*IncompatibleKeys(["weight_ih_l0"], ["weight_ih"]).advice())
        They are the weights of a cell: load them into one, as pyrnn.LSTMCell, or add "_l0" to each name.
        """
        missing = set(self.missing_keys)
        for name in self.unexpected_keys:
            before, dot, last = name.rpartition(".") if isinstance(name, str) else ("", "", "")
            if parameter_of(str(name)) in missing:
                return [
                    f"{quoted(name)} is a part of a parameter, as torch keeps it for weight_norm and the like; "
                    "pyrnn.from_state_dict(state_dict, prefix=...) puts the parts together and makes the layer."
                ]
            if f"{name}_l0" in missing:
                return [
                    'They are the weights of a cell: load them into one, as pyrnn.LSTMCell, or add "_l0" to each name.'
                ]
            if str(name).removesuffix("_l0") in missing:
                return ["They are the weights of a layer: load them into one, as pyrnn.LSTM; a cell has no layers."]
            if last in missing:
                start = quoted(before + dot)
                return [
                    f"The names begin with {start}; take it off: {{name.removeprefix({start}): value for name, value "
                    f"in state_dict.items() if name.startswith({start})}}."
                ]
        return []


def mismatches(shapes: Iterable[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> list[str]:
    """torch's sentences about (name, shape that came, shape of the module): six of them, and how many more."""
    wrong = [(name, str(came)[:100], expected) for name, came, expected in shapes if came != expected]
    found = [f"size mismatch for {name}: got shape {came}, the module has {own}." for name, came, own in wrong[:6]]
    return [*found, f"{len(wrong) - 6} more sizes do not match."] if len(wrong) > 6 else found
