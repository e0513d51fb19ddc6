"""Makes state dicts: arrays by name, with the options that the shapes of weights do not tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import NoneType
from typing import Any

# This maps arguments of constructors that the names and shapes of weights do not show to the types they may have.
# Other entries of a file's metadata are ignored.
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
# They change what a layer computes.
FUNCTIONS = ("nonlinearity", "activation", "recurrent_activation", "reset_after", "peephole")
MAX_TEXT = 100  # A text with more letters than this is not one of pyrnn's options.

Metadata = dict[str, dict[str, Any]]


def as_state_dict(values: Mapping[Any, Any], metadata: Metadata) -> OrderedDict[Any, Any]:
    """Makes a state dict as torch does: an OrderedDict with the attribute `_metadata`.

    `_metadata` maps the dotted name of each module to torch's `version` and, for a recurrent layer, to the options
    that weights do not tell. A file keeps them, and `pyrnn.load` and `from_state_dict` use them to make the layer. The
    type is OrderedDict because torch and JAX walk through one, but would treat a class of pyrnn's as a leaf.

    >>> import pyrnn
    >>> pyrnn.RNN(3, 5, nonlinearity="relu").state_dict()._metadata[""]["nonlinearity"]
    'relu'
    """
    found = OrderedDict(values)
    found.__dict__["_metadata"] = metadata
    return found


def checked(metadata: Any) -> Metadata:
    """Keeps those entries of an untrusted `_metadata` that hold options with values of the right types."""
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
    """Collects the options of all state dicts in a tree, by dotted name."""
    own = checked(getattr(tree, "_metadata", None))
    found = {_dotted(before, name): options for name, options in own.items()}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= metadata_of(value, _dotted(before, str(name)))
    return found


def with_metadata(tree: dict[Any, Any], metadata: Metadata) -> dict[Any, Any]:
    """Attaches `metadata`, by dotted name, to the dicts of a tree; it reverses `metadata_of`."""
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
    """Writes the options of a tree as JSON for a file; "" if there are none."""
    import json  # This import would slow `import pyrnn`.

    metadata = metadata_of(tree)
    return json.dumps(metadata) if metadata else ""


def loaded(text: str | bytes) -> Metadata:
    """Reverses `dumped`; raises ValueError if the text is damaged."""
    import json

    try:
        return checked(json.loads(text)) if text else {}
    except (RecursionError, ValueError) as error:
        raise ValueError("the options beside its weights are no JSON") from error
