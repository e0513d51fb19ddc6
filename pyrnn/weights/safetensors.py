"""Hugging Face's .safetensors, through their package (pip install "pyrnn-cpu[safetensors]")."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from pyrnn.module import Array
from pyrnn.weights.arrays import STORED, decoded, flat

# The key of the metadata that holds a network's layers; a single one, since safetensors writes several in any order.
ARCHITECTURE = "pyrnn"

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def load(path: str) -> dict[str, Array]:
    """Reads the arrays, sorted by name. Not by safetensors.numpy, which fails at bfloat16."""
    package = safetensors_package()
    with open(path, "rb") as file:  # by pathlib it would take 3 ms to import that
        data = file.read()
    try:
        tensors = package.deserialize(data)
    except package.SafetensorError as error:
        raise ValueError(f"it is no sound safetensors file ({error})") from error
    return {name: _array(name, tensor) for name, tensor in sorted(tensors, key=itemgetter(0))}


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes the arrays."""
    package = safetensors_package()
    if "__metadata__" in state_dict:
        raise ValueError("a .safetensors file cannot hold an array named __metadata__; rename it")
    try:
        package.numpy.save_file(flat(state_dict), path)
    except package.SafetensorError as error:
        raise OSError(f"safetensors could not write the file: {error}") from error


def metadata(path: str) -> dict[str, str]:
    """The strings beside the arrays, by name."""
    with safetensors_package().safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def _array(name: str, tensor: dict[str, Any]) -> Array:
    if tensor["dtype"] not in _DTYPES:
        raise ValueError(f"{name} has dtype {tensor['dtype']}; only arrays of real numbers are loaded")
    dtype = _DTYPES[tensor["dtype"]]
    stored = np.frombuffer(tensor["data"], np.dtype(STORED[dtype]).newbyteorder("<"))
    return decoded(stored.reshape(tensor["shape"]), dtype)


def safetensors_package() -> Any:
    """The package, or ImportError that names the extra."""
    try:
        import safetensors.numpy
    except ImportError as error:
        message = '.safetensors files need the package safetensors: pip install "pyrnn-cpu[safetensors]"'
        raise ImportError(message) from error
    return safetensors
