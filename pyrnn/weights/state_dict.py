"""State dicts: arrays by name, and beside them the options that the shapes of weights do not tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, NamedTuple

from pyrnn.checks.quoting import listed, quoted

from .parametrized import parameter_of

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
