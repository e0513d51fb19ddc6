"""Converts a model or its weights to another file format, for `pyrnn convert`."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from pyrnn.checks.quoting import brief, escaped
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.weights.files import FORMATS, load_state_dict, save_state_dict
from pyrnn.weights.source import printable

from .loading import MODELS, holds_layers, load

Path = str | os.PathLike[str]

WRITTEN = {".onnx": "onnx", ".json": "notebook"}  # This maps suffixes to the modules that have save(model, path).


def convert(source: Path, target: Path, **options: Any) -> str:
    """Writes the contents of one file into another; the suffix of the target chooses the format.

    A state dict becomes a state dict with all its arrays, whatever layers they belong to, unless options choose a
    layer. Any other file is read by `pyrnn.load`. The target appears whole or not at all.

    Args:
        source: the path of a file that `pyrnn.load` reads.
        target: the path to write, which ends in `.safetensors`, `.pt`, `.pth`, `.npz`, `.onnx` or `.json`.
        options: the options of `pyrnn.load`.

    Returns:
        A sentence that says what was written.

    Raises:
        ValueError: if the target's format cannot hold the model, or `load` raises it.
        OSError: if the source does not exist or the target cannot be written.
        ImportError: if a package that reads or writes a format is not installed.

    >>> import pyrnn, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pyrnn.save_state_dict({"a": [1.0], "b": [2.0]}, f"{folder}/model.pt")
    ...     convert(f"{folder}/model.pt", f"{folder}/model.npz").rpartition("/")[2]
    'model.npz: 2 arrays, without the layers they belong to'
    """
    suffix = os.path.splitext(target)[1].lower()
    _check_suffix(target, suffix)
    if suffix in FORMATS and not options and not holds_layers(source):
        return _written_arrays(load_state_dict(source), target)
    model = load(source, **options)
    if suffix in WRITTEN:
        import_module(f"pyrnn.io.{WRITTEN[suffix]}").save(model, target)
        return f"{os.fspath(target)}: {_described(model)}"
    if suffix == ".safetensors":
        from pyrnn.nn import Sequential

        (model if isinstance(model, Sequential) else Sequential(model)).save(target)
        return f"{os.fspath(target)}: {_described(model)}"
    _refuse_what_weights_do_not_say(model, suffix)
    return _written_arrays(model.state_dict(), target)


def _check_suffix(target: Path, suffix: str) -> None:
    if suffix not in FORMATS and suffix not in WRITTEN:
        read = f"; {suffix} is read and not written" if suffix in MODELS else ""
        known = ", ".join([*FORMATS, *WRITTEN])
        raise ValueError(
            f"{printable(target)} should end in one of {known}, got {escaped(suffix) or 'no suffix'}{read}"
        )


def _written_arrays(state_dict: dict[str, Any], target: Path) -> str:
    save_state_dict(state_dict, target)
    return f"{os.fspath(target)}: {len(state_dict)} arrays, without the layers they belong to"


def _refuse_what_weights_do_not_say(model: Module, suffix: str) -> None:
    """Raises ValueError for a layer that torch would compute differently from the same arrays."""
    for name, layer in model.named_modules():
        if not isinstance(layer, Recurrent):
            continue
        expected = {"reset_after": True, "recurrent_activation": "sigmoid", "activation": "tanh"}
        for option, value in expected.items():
            found = getattr(layer, option, value)
            if found != value:
                raise ValueError(
                    f"layer {brief(name)} has {option}={found}, and torch, which reads the weights of a {suffix} file "
                    f"alone, would compute {option}={value}; write a .safetensors or .onnx file"
                )


def _described(model: Module) -> str:
    count = sum(array.size for array in model.parameters().values())
    layers = len(model._modules) or 1
    return f"a model of {layers} {'layer' if layers == 1 else 'layers'} and {count:,} parameters"
