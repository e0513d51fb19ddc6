"""Compares the names and shapes of a state dict with a module's, and reports differences in torch's sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pyrnn.checks.quoting import listed, quoted

from .parametrized import parameter_of


class IncompatibleKeys(NamedTuple):
    """Lists the names that did not fit, as torch's `_IncompatibleKeys` does.

    Attributes:
        missing_keys: names that the module has and the state dict lacks.
        unexpected_keys: names that the state dict has and the module lacks.

    >>> IncompatibleKeys([], [])
    <All keys matched successfully>

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys!r}, unexpected_keys={self.unexpected_keys!r})"

    def problems(self) -> list[str]:
        """Returns torch's sentence for each of the two lists that is not empty."""
        found = {"Missing": self.missing_keys, "Unexpected": self.unexpected_keys}
        return [f"{kind} key(s) in state_dict: {listed(names)}." for kind, names in found.items() if names]

    def advice(self) -> list[str]:
        """Returns a sentence that says what to do if unexpected keys are missing ones under another name, else none.

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
    """Returns torch's sentences about shapes that differ: six of them, and how many more there are.

    Args:
        shapes: triples of a name, the shape in the state dict and the shape in the module.
    """
    wrong = [(name, str(came)[:100], expected) for name, came, expected in shapes if came != expected]
    found = [f"size mismatch for {name}: got shape {came}, the module has {own}." for name, came, own in wrong[:6]]
    return [*found, f"{len(wrong) - 6} more sizes do not match."] if len(wrong) > 6 else found
