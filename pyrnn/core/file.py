"""A model in a .safetensors file: the arrays by state-dict name, the architecture as JSON in the metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import escaped
from pyrnn.weights import safetensors
from pyrnn.weights.files import check_keys, replaced
from pyrnn.weights.safetensors import ARCHITECTURE
from pyrnn.weights.source import File, opened, printable

from .architecture import build, named_layers
from .making import LAYERS, loading

if TYPE_CHECKING:
    from .module import Module

LONGEST = 500  # letters of a sentence: names and values in it are the file's
SMALL = 2**19  # bytes of parameters that any file may make, whatever it holds

ALONE = "it holds weights alone, and no architecture; make the model and use load_state_dict"

Path = str | os.PathLike[str]


def save(path: Path, architecture: Any, arrays: Mapping[str, Array]) -> None:
    """Writes arrays and architecture; the file appears whole or not at all."""
    path = os.fsdecode(path)
    _check_suffix(path)
    check_keys(arrays)
    safetensors.safetensors_package()
    text = _json(architecture)
    with replaced(path) as unfinished:
        safetensors.write(arrays, unfinished, {ARCHITECTURE: text})


def load(path: File, limit: int | None = None) -> Module:
    """The model of a file that `save` wrote; sentences name the file."""
    with opened(path, limit) as source:
        try:
            if source.kind != "safetensors":
                raise ValueError(ALONE)
            with source.on_disk() as there:
                return read(there, limit)
        except ValueError as error:
            raise ValueError(f"{source.name} cannot be loaded: {error}.") from error


def read(path: str, limit: int | None = None) -> Module:
    """The model of a `.safetensors` file, in evaluation mode."""
    with open(path, "rb") as file:
        length = file.seek(0, 2)
        tensors, found = safetensors.load(file, Budget(length, limit)), safetensors.metadata(file)
    if ARCHITECTURE not in found:
        raise ValueError(ALONE)
    try:
        descriptions = json.loads(found[ARCHITECTURE])
        _check_layers(descriptions, len(tensors))
        held = max(sum(array.nbytes for array in tensors.values()), SMALL)
        with loading(Budget(0, held if limit is None else limit)):
            model = _made(descriptions, tensors)
        model.load_state_dict(tensors)
    except RecursionError:
        raise ValueError("its architecture is nested too deeply") from None
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(str(error)[:LONGEST]) from error
    return model.eval()


def _made(descriptions: Any, tensors: Mapping[str, Array]) -> Module:
    """The layers, with weights of zeros: a list of descriptions is a Sequential's."""
    if isinstance(descriptions, dict):
        return build(descriptions, tensors=tensors)
    sequential: Any = LAYERS["Sequential"]
    network: Module = sequential(named_layers(descriptions, tensors=tensors))
    return network


def _json(architecture: Any) -> str:
    try:
        return json.dumps(architecture, allow_nan=False, default=_plain)
    except ValueError as error:
        raise ValueError(f"the config of a layer cannot be saved as JSON: {error}") from error


def _plain(value: Any) -> Any:
    """The number of Python for one of NumPy, at which json stops."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        "the config of a layer should have numbers, strings, lists and dicts, as in JSON, and descriptions of layers, "
        f"nn.describe(layer); got {type(value).__name__}"
    )


def _check_layers(descriptions: Any, most: int) -> None:
    """ValueError for more layers in one than the file has arrays; other sizes are checked with the arrays made."""
    for name, size in _integers(descriptions, ""):
        if name == "num_layers" and size > most:
            raise ValueError(f"num_layers is {escaped(size)}, too large for a file of {most} arrays")


def _integers(value: Any, name: str) -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from _integers(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from _integers(inside, name)
    elif isinstance(value, int):
        yield name, value


def _check_suffix(path: Path) -> None:
    if os.path.splitext(path)[1].lower() != ".safetensors":
        raise ValueError(f"{printable(path)} should end in .safetensors")
