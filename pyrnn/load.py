"""load: a model from a file of any format that pyrnn reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np

from .from_state_dict import from_state_dict
from .module import Array, Module
from .weights import FORMATS, load_state_dict

# Suffixes of files that hold the layers too, and the modules with load(path) for them; imported when asked for.
MODELS = {".keras": "keras", ".h5": "keras", ".hdf5": "keras", ".onnx": "onnx", ".json": "notebook"}
FIRST = "weight_ih_l0"  # what every recurrent layer of torch has


def load(path: str | os.PathLike[str], **options: Any) -> Module:
    """Reads a model; the suffix tells the format.

    Args:
        path: a file that holds the layers: `.keras`, `.h5` or `.hdf5` of Keras, `.onnx`, `.json` of the from-scratch
            notebooks, `.safetensors` of `nn.Sequential.save`; or a state dict with one recurrent layer: `.pt`,
            `.pth`, `.npz`, `.safetensors`.
        options: for a state dict what `from_state_dict` takes (prefix, batch_first, reset_after ...); its arrays in
            nested dicts have dotted names, "state_dict.rnn.weight_ih_l0". For `.onnx`: output. For `.json`:
            return_sequences, dtype.

    Returns:
        In evaluation mode, an `nn.Sequential`, or for a state dict the RNN, LSTM or GRU.

    Raises:
        ValueError: if the suffix is unknown, the file is damaged, a layer is not supported, or a state dict holds
            more than one recurrent layer and no prefix is given.
        TypeError: if the format has no such option.
        FileNotFoundError: if there is no such file.
        ImportError: if the package that reads the format is not installed.

    >>> import pyrnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), f"{folder}/gru.npz")
    ...     pyrnn.load(f"{folder}/gru.npz", batch_first=True)
    GRU(3, 5, batch_first=True)
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix in MODELS:
        return _model(import_module(f"pyrnn.weights.{MODELS[suffix]}").load, path, suffix, options)
    if suffix not in FORMATS:
        known = ", ".join([*FORMATS, *MODELS])
        raise ValueError(f"{os.fspath(path)} should end in one of {known}; got {suffix or 'no suffix'}")
    if suffix == ".safetensors" and has_architecture(path):
        from .nn import Sequential

        return _model(Sequential.load, path, suffix, options)
    return _from_arrays(path, options)


def has_architecture(path: str | os.PathLike[str]) -> bool:
    """Whether a `.safetensors` file was written by `nn.Sequential.save`, so that it holds the layers too."""
    from .weights.safetensors import ARCHITECTURE, metadata, safetensors_package

    try:
        package = safetensors_package()
    except ImportError:
        return False  # load_state_dict says what to do
    try:
        return ARCHITECTURE in metadata(os.fspath(path))
    except package.SafetensorError:
        return False  # load_state_dict says what is wrong


def named_arrays(tree: Mapping[str, Any], before: str = "") -> dict[str, Array]:
    """The arrays of a checkpoint by dotted name; numbers, strings and lists, as optimizers have them, are left out."""
    found: dict[str, Array] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= named_arrays(value, f"{before}{name}.")
        elif isinstance(value, np.ndarray):
            found[f"{before}{name}"] = value
    return found


def prefixes(arrays: Mapping[str, Array]) -> list[str]:
    """What stands before the names of each recurrent layer, "" included."""
    return [name.removesuffix(FIRST) for name in arrays if name == FIRST or name.endswith(f".{FIRST}")]


def _model(read: Any, path: str | os.PathLike[str], suffix: str, options: Mapping[str, Any]) -> Module:
    taken = [name for name in signature(read).parameters if name != "path"]
    for name in options:
        if name not in taken:
            known = f"only {', '.join(taken)}" if taken else "no options"
            raise TypeError(f"a {suffix} file that holds the layers takes {known}, got {name}=")
    model: Module = read(path, **options)
    return model


def _from_arrays(path: str | os.PathLike[str], options: Mapping[str, Any]) -> Module:
    arrays = named_arrays(load_state_dict(path))
    try:
        return _recurrent(arrays, options)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} cannot be loaded: {error}") from error


def _recurrent(arrays: Mapping[str, Array], options: Mapping[str, Any]) -> Module:
    """The layer of a state dict. One that is not alone is not taken for the whole model unless it is asked for."""
    if "prefix" in options:
        return from_state_dict(arrays, **options)
    found = prefixes(arrays)
    if len(found) > 1:
        names = ", ".join(f'prefix="{prefix}"' for prefix in found[:6])
        raise ValueError(f"it holds {len(found)} recurrent layers; say which with {names}")
    if not found:
        return from_state_dict(arrays, **options)  # which says what it looked for
    others = list(_others(arrays, found[0]))
    if others:
        raise ValueError(
            f"beside a recurrent layer it holds {len(others)} arrays of others ({', '.join(others[:4])[:200]}), and "
            f'not how they follow each other; take the recurrent layer alone with prefix="{found[0]}"'
        )
    return from_state_dict(arrays, prefix=found[0], **options)


def _others(arrays: Mapping[str, Array], prefix: str) -> Iterator[str]:
    kinds = (f"{prefix}weight_", f"{prefix}bias_")
    return (name for name in arrays if not name.startswith(kinds))
