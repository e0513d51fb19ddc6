"""load: a model from a file of any format that pyrnn reads."""

from __future__ import annotations

import os
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

# Suffixes of files that hold the layers too, and the modules with load(path) for them; imported when asked for.
MODELS = {suffix: READERS[kind] for suffix, kind in SUFFIXES.items() if kind not in FORMATS.values()}


def load(path: File, *, limit: int | None = None, **options: Any) -> Module:
    """Reads a model; its content tells the format, whatever its name.

    Args:
        path: a file that holds the layers: `.keras`, `.h5` or `.hdf5` of Keras, `.onnx`, `.json` of the from-scratch
            notebooks, `.safetensors` of `nn.Sequential.save`; or a state dict with one recurrent layer: `.pt`
            (`.pth`, `.ckpt`, `.bin` ...) of torch, `.npz`, `.safetensors`. Its path, the file open in binary mode, or
            its bytes.
        limit: bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.
        options: for a state dict what `from_state_dict` takes (prefix, batch_first, reset_after ...), in place of what
            the file says; its arrays in nested dicts have dotted names, "state_dict.rnn.weight_ih_l0". For `.onnx`:
            output. For `.json`: return_sequences, dtype, recurrent.

    Returns:
        In evaluation mode, an `nn.Sequential`, or for a state dict the RNN, LSTM, GRU or cell.

    Raises:
        ValueError: if the file is of another format, which is named, or damaged, or takes more than the limit; if a
            layer is not supported, or a state dict holds more than one recurrent layer and no prefix is given.
        TypeError: if the format has no such option, or `path` is no path, binary file or bytes.
        FileNotFoundError: if there is no such file.
        ImportError: if the package that reads the format is not installed.

    >>> import pyrnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), f"{folder}/gru.npz")
    ...     pyrnn.load(f"{folder}/gru.npz", batch_first=True)
    GRU(3, 5, batch_first=True)
    """
    with opened(path, limit) as source:
        if source.kind not in FORMATS.values():
            module: Any = import_module(READERS[source.kind])
            return _model(module.load, source, limit, options)
        if source.kind == "safetensors" and _has_architecture(source):
            from pyrnn.nn import Sequential

            return _model(Sequential.load, source, limit, options)
        tree = arrays_of(source, limit)
    try:
        layer, doubt = _recurrent(tree, dict(options))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{source.name} cannot be loaded: {error}") from error
    if doubt:
        warnings.warn(f"{source.name}: {doubt}", UserWarning, stacklevel=2)
    return layer


def holds_layers(path: str | os.PathLike[str]) -> str:
    """The kind of a file that holds the layers too, a key of READERS; "" for a state dict."""
    with opened(path) as source:
        alone = source.kind in FORMATS.values() and not (source.kind == "safetensors" and _has_architecture(source))
        return "" if alone else source.kind


def _has_architecture(source: Source) -> bool:
    """Whether a `.safetensors` file was written by `nn.Sequential.save`, so that it holds the layers too."""
    from pyrnn.weights.safetensors import ARCHITECTURE, metadata

    return ARCHITECTURE in metadata(source.file)


def named_arrays(tree: Mapping[str, Any], before: str = "") -> dict[str, Array]:
    """The arrays of a checkpoint by dotted name; numbers, strings and lists, as optimizers have them, are left out."""
    return {name: value for name, value in _leaves(tree, before) if isinstance(value, np.ndarray)}


def _leaves(tree: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _model(read: Any, source: Source, limit: int | None, options: Mapping[str, Any]) -> Module:
    taken = [name for name in signature(read).parameters if name not in ("path", "limit")]
    for name in options:
        if name not in taken:
            known = f"only {', '.join(taken)}" if taken else "no options"
            raise TypeError(f"a file of {source.kind} that holds the layers takes {known}, got {escaped(name)}=")
    more = {} if limit is None else {"limit": limit}
    with source.on_disk() as path:
        model: Module = read(path, **options, **more)
    return model


def _recurrent(tree: Mapping[str, Any], options: dict[str, Any]) -> tuple[Module, str]:
    """The layer of a state dict. One that is not alone is not taken for the whole model unless it is asked for."""
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
        return _described(kept, "", options, metadata)  # which says what it looked for
    others = list(_others(tree, found[0]))
    if others:
        raise ValueError(
            f"beside a recurrent layer it holds {len(others)} arrays of others ({listed(others[:4])}), and "
            f"not how they follow each other; take the recurrent layer alone with prefix={quoted(found[0])}"
        )
    return _described(kept, found[0], options, metadata)


def _described(
    kept: Mapping[str, Any], prefix: Any, options: Mapping[str, Any], metadata: Metadata
) -> tuple[Module, str]:
    """The layer. ValueError for a weight of it that the file has and pyrnn does not load."""
    check_prefix(prefix)
    starts = (f"{prefix}weight_", f"{prefix}bias_", f"{prefix}parametrizations.")
    for name, value in kept.items():
        if isinstance(value, Placeholder) and name.startswith(starts):
            raise ValueError(f"{quoted(name)} is {value!r}: only tensors of real numbers are loaded")
    return described(kept, prefix, options, metadata)


def _refuse_code(kept: Mapping[str, Any]) -> None:
    """ValueError for a file without a layer that has objects of classes, in which the weights may be."""
    unread = [f"{escaped(name)} {value!r}" for name, value in kept.items() if isinstance(value, Placeholder)]
    arrays = len(kept) - len(unread)
    if unread and not arrays:
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        raise ValueError(
            f"it holds no arrays, but objects with their classes ({', '.join(unread[:3])}{more}), and code is not "
            "executed; where it was written, save the weights alone: torch.save(model.state_dict(), path)"
        )


def _others(tree: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """Names of arrays that belong to other layers of the network: all others of the dict that holds this one, and
    what is named as weights in other dicts. The rest of a checkpoint (optimizer, random state, metrics) is none.
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
    """The dict in which the names that begin with the prefix stand, and its own dotted name."""
    home = ""
    while True:
        inside = [key for key, value in tree.items() if isinstance(value, Mapping) and prefix.startswith(f"{key}.")]
        if not inside:
            return home, tree
        home, prefix, tree = f"{home}{inside[0]}.", prefix.removeprefix(f"{inside[0]}."), tree[inside[0]]
