"""Reads a model from a file of any format that pyrnn knows."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.placeholder import Placeholder
from pyrnn.checks.quoting import escaped, listed, quoted
from pyrnn.core.module import Module
from pyrnn.weights.files import FORMATS, arrays_of
from pyrnn.weights.kinds import READERS, SUFFIXES
from pyrnn.weights.parametrized import parameter_of
from pyrnn.weights.source import Source, opened
from pyrnn.weights.state_dict import Metadata, metadata_of
from pyrnn.weights.unreached import unreached

from .from_weights import check_prefix, described, prefixes

if TYPE_CHECKING:
    from pyrnn.weights.source import File

# This maps the suffixes of files that hold the layers too to the modules whose load(path) reads them, imported at
# need.
MODELS = {suffix: READERS[kind] for suffix, kind in SUFFIXES.items() if kind not in FORMATS.values()}


def load(path: File | Any, *, limit: int | None = None, **options: Any) -> Module:
    """Reads a model from a file; its content tells the format, whatever its name. Or it converts a live Keras model.

    Args:
        path: a file that holds the layers: `.keras`, `.h5` or `.hdf5` of Keras, `.onnx`, `.json` of the from-scratch
            notebooks, `.safetensors` of a model's `save`; or a state dict with one recurrent layer: `.pt`
            (`.pth`, `.ckpt`, `.bin` ...) of torch, `.npz`, `.safetensors`. It is given as a path, as a file open in
            binary mode, or as bytes. A live model of Keras 3, on any backend, is converted as its file would be: the
            result has copies of its present weights, for inference.
        limit: the number of bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.
        options: for a state dict, the options of `from_state_dict` (prefix, batch_first, reset_after ...), which
            replace those in the file; arrays in nested dicts have dotted names, "state_dict.rnn.weight_ih_l0". `.onnx`
            takes output, and `.json` takes return_sequences, dtype and recurrent.

    Returns:
        An `nn.Sequential` in evaluation mode; for a file of a model's `save` that model; for a state dict the RNN,
        LSTM, GRU or cell.

    Raises:
        ValueError: if the file is damaged, would take more than the limit or has another format, which the message
            names; if a layer is not supported; if a state dict holds several recurrent layers and no prefix is given.
        TypeError: if the format has no such option, or `path` is not a path, a binary file or bytes.
        FileNotFoundError: if the file does not exist.
        ImportError: if the package that reads the format is not installed.

    >>> import pyrnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), f"{folder}/gru.npz")
    ...     pyrnn.load(f"{folder}/gru.npz", batch_first=True)
    GRU(3, 5, batch_first=True)
    """
    if is_keras_model(path):
        if options:
            raise TypeError(f"a live Keras model takes no options, got {escaped(next(iter(options)))}=")
        converted: Module = import_module("pyrnn.io.keras.live").convert(path)
        return converted
    with opened(path, limit) as source:
        if _holds_layers(source):
            return _model(source, limit, options)
        tree = arrays_of(source, limit)
    try:
        layer, doubt = _recurrent(tree, dict(options))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{source.name} cannot be loaded: {error}") from error
    if doubt:
        warnings.warn(f"{source.name}: {doubt}", UserWarning, stacklevel=2)
    return layer


def is_keras_model(model: Any) -> bool:
    """Whether this is a live model of Keras, which is then imported already."""
    kind = getattr(sys.modules.get("keras"), "Model", None)
    return kind is not None and isinstance(model, kind)


def load_kind(kind: str, path: File, limit: int | None, **options: Any) -> Any:
    """`load` for a file that should be of one kind, a key of READERS; ValueError for another."""
    with opened(path, limit) as source:
        if source.kind != kind:
            raise ValueError(
                f"{source.name} cannot be loaded: it is a file of {source.kind}, and {kind} was expected; read it "
                "with pyrnn.load, whatever its format."
            )
        return _model(source, limit, options)


def holds_layers(path: str | os.PathLike[str]) -> str:
    """Returns the kind of a file that holds the layers too, a key of READERS; "" for a state dict."""
    with opened(path) as source:
        return source.kind if _holds_layers(source) else ""


def _holds_layers(source: Source) -> bool:
    return source.kind not in FORMATS.values() or (source.kind == "safetensors" and _has_architecture(source))


def _has_architecture(source: Source) -> bool:
    """Tells whether `Module.save` wrote a `.safetensors` file, so that it holds the layers too."""
    from pyrnn.weights.safetensors import ARCHITECTURE, metadata

    return ARCHITECTURE in metadata(source.file)


def named_arrays(tree: Mapping[str, Any], before: str = "") -> dict[str, Array]:
    """Returns the arrays of a checkpoint by dotted name; it omits an optimizer's numbers, strings and lists."""
    return {name: value for name, value in _leaves(tree, before) if isinstance(value, np.ndarray)}


def _leaves(tree: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _model(source: Source, limit: int | None, options: Mapping[str, Any]) -> Module:
    import pyrnn.nn  # noqa: F401  (a file may name its layers)

    module: Any = import_module("pyrnn.core.file" if source.kind == "safetensors" else READERS[source.kind])
    taken = [name for name in signature(module.read).parameters if name not in ("path", "limit")]
    for name in options:
        if name not in taken:
            known = f"only {', '.join(taken)}" if taken else "no options"
            raise TypeError(f"a file of {source.kind} that holds the layers takes {known}, got {escaped(name)}=")
    with source.on_disk() as path:
        try:
            model: Module = module.read(path, limit, **options)
        except (RecursionError, ValueError) as error:
            why = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise ValueError(f"{source.name} cannot be loaded: {why}.") from error
    return model


def _recurrent(tree: Mapping[str, Any], options: dict[str, Any]) -> tuple[Module, str]:
    """Makes the layer of a state dict. If other layers stand beside it, it must be chosen with a prefix."""
    metadata: Metadata = metadata_of(tree)
    kept = {name: value for name, value in _leaves(tree) if isinstance(value, (np.ndarray, Placeholder))}
    if "prefix" in options:
        return _described(kept, options.pop("prefix"), options, metadata)
    found = prefixes(kept)
    if len(found) > 1:
        names = ", ".join(f"prefix={quoted(prefix)}" for prefix in found[:6])
        raise ValueError(f"it holds {len(found)} recurrent layers; say which with {names}")
    if not found:
        _refuse_code(kept)
        if why := unreached(tree):
            raise ValueError(why)
        return _described(kept, "", options, metadata)  # The error says which names are expected.
    others = list(_others(tree, found[0]))
    if others:
        raise ValueError(
            f"beside a recurrent layer it holds {len(others)} arrays of others ({listed(others[:4])}), and "
            f"does not tell their order; take the recurrent layer alone with prefix={quoted(found[0])}"
        )
    return _described(kept, found[0], options, metadata)


def _described(
    kept: Mapping[str, Any], prefix: Any, options: Mapping[str, Any], metadata: Metadata
) -> tuple[Module, str]:
    """Makes the layer; raises ValueError if one of its weights is not a tensor of real numbers."""
    check_prefix(prefix)
    starts = (f"{prefix}weight_", f"{prefix}bias_", f"{prefix}parametrizations.")
    for name, value in kept.items():
        if isinstance(value, Placeholder) and name.startswith(starts):
            raise ValueError(f"{quoted(name)} is {value!r}: only tensors of real numbers are loaded")
    return described(kept, prefix, options, metadata)


def _refuse_code(kept: Mapping[str, Any]) -> None:
    """Raises ValueError for a file that has no arrays but objects of classes, which may hold the weights."""
    unread = [f"{escaped(name)} {value!r}" for name, value in kept.items() if isinstance(value, Placeholder)]
    arrays = len(kept) - len(unread)
    if unread and not arrays:
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        raise ValueError(
            f"it holds no arrays, but objects with their classes ({', '.join(unread[:3])}{more}), and code is not "
            "executed; where it was written, save the weights alone: torch.save(model.state_dict(), path)"
        )


def _others(tree: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Yields the names of arrays that belong to other layers of the network.

    These are all other arrays in the dict that holds the layer, and arrays in other dicts whose names end or begin
    with "weight" or "bias". Optimizer, random state and metrics of a checkpoint do not count.
    """
    home, beside = _home(tree, prefix)
    kinds = (f"{prefix}weight_", f"{prefix}bias_")
    for name, value in _leaves(tree):
        if isinstance(value, np.ndarray) and not parameter_of(name).startswith(kinds):
            last = name.rpartition(".")[2]
            is_weight = last.startswith(("weight", "bias")) or last.endswith(("weight", "bias"))
            if is_weight or (name.startswith(home) and name.removeprefix(home) in beside):
                yield name


def _home(tree: Mapping[str, Any], prefix: str) -> tuple[str, Mapping[str, Any]]:
    """Returns the dotted name of the dict that holds the names with this prefix, and the dict."""
    home = ""
    while True:
        inside = [key for key, value in tree.items() if isinstance(value, Mapping) and prefix.startswith(f"{key}.")]
        if not inside:
            return home, tree
        home, prefix, tree = f"{home}{inside[0]}.", prefix.removeprefix(f"{inside[0]}."), tree[inside[0]]
