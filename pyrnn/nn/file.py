"""A .safetensors file holds a Sequential: its arrays by state-dict name, and as metadata its architecture in JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import escaped
from pyrnn.core.initial import skip_init
from pyrnn.core.module import Module, at_most
from pyrnn.weights.arrays import flat
from pyrnn.weights.files import load_state_dict, replaced
from pyrnn.weights.safetensors import ARCHITECTURE, metadata, safetensors_package
from pyrnn.weights.source import printable as printable

from .architecture import named_layers

LONGEST = 500  # the most letters of a message, because names and values in it come from the file
SMALL = 2**16  # any file may have sizes up to this, and this many parameters in all

Path = str | os.PathLike[str]


def save(network: Module, path: Path) -> None:
    """Writes arrays and architecture. If it fails, it leaves no incomplete file."""
    _check_suffix(path)
    package = safetensors_package()
    architecture = json.dumps(network.config()["layers"], allow_nan=False)
    with replaced(path) as unfinished:
        package.numpy.save_file(flat(network.state_dict()), unfinished, metadata={ARCHITECTURE: architecture})


def load(path: Path, limit: int | None = None) -> tuple[dict[str, Module], dict[str, Any]]:
    """Returns the layers by name, with weights of zeros, and the arrays that belong into them."""
    tensors = load_state_dict(path, limit=limit)
    try:
        descriptions = _architecture(path)
        _check_sizes(descriptions, max(os.path.getsize(path), SMALL), len(tensors))
        held = max(sum(array.nbytes for array in tensors.values()), 8 * SMALL)
        with skip_init(), at_most(Budget(0, held if limit is None else limit)):
            return named_layers(descriptions, tensors=tensors), tensors
    except RecursionError as error:
        raise ValueError(f"{printable(path)} cannot be loaded: its architecture is nested too deeply.") from error
    except ValueError as error:
        raise ValueError(f"{printable(path)} cannot be loaded: {str(error)[:LONGEST]}.") from error


def _architecture(path: Path) -> Any:
    with open(path, "rb") as file:
        found = metadata(file)
    if ARCHITECTURE not in found:
        raise ValueError("it holds weights alone, and no architecture; make the model and use load_state_dict")
    return json.loads(found[ARCHITECTURE])


def _check_sizes(descriptions: Any, most: int, layers: int) -> None:
    """Raises ValueError for a size too large for a file of this length, before any layer allocates memory for it."""
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
