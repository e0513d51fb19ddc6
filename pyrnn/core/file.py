"""A model in a .safetensors file: the arrays by state-dict name, the architecture as JSON in the metadata."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import escaped
from pyrnn.weights import safetensors
from pyrnn.weights.arrays import flat
from pyrnn.weights.files import replaced
from pyrnn.weights.safetensors import ARCHITECTURE
from pyrnn.weights.source import opened, printable

from .architecture import LAYERS, build, named_layers
from .making import loading

if TYPE_CHECKING:
    from .module import Module

LONGEST = 500  # letters of a sentence: names and values in it are the file's
SMALL = 2**16  # a size up to here is taken from any file, and parameters of so many numbers together

ALONE = "it holds weights alone, and no architecture; make the model and use load_state_dict"

Path = str | os.PathLike[str]


def save(path: Path, architecture: Any, arrays: Mapping[str, Array]) -> None:
    """Writes arrays and architecture; the file appears whole or not at all."""
    _check_suffix(path)
    package = safetensors.safetensors_package()
    text = json.dumps(architecture, allow_nan=False, default=operator.index)  # of NumPy's integers
    with replaced(path) as unfinished:
        package.numpy.save_file(flat(arrays), unfinished, metadata={ARCHITECTURE: text})


def load(path: Path, limit: int | None = None) -> Module:
    """The model of a file that `save` wrote; sentences name the file."""
    with opened(path, limit) as source:
        try:
            if source.kind != "safetensors":
                raise ValueError(ALONE)
            return read(os.fspath(path), limit)
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
        _check_sizes(descriptions, max(length, SMALL), len(tensors))
        held = max(sum(array.nbytes for array in tensors.values()), 8 * SMALL)
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


def _check_sizes(descriptions: Any, most: int, layers: int) -> None:
    """ValueError for a size that no honest file of this length has: before memory is taken for it."""
    for name, size in _integers(descriptions, ""):
        if abs(size) > (layers if name == "num_layers" else most):
            raise ValueError(f"{escaped(name)} is {escaped(size)}, too large for a file of this length")


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
