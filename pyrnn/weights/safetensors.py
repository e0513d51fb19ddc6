"""Reads and writes Hugging Face's .safetensors with their package (pip install "pyrnn-cpu[safetensors]")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, BinaryIO

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import escaped, quoted

from .arrays import STORED, decoded, flat
from .state_dict import dumped, loaded, with_metadata

# This key of the metadata holds a network's layers. It is one key, because safetensors writes several in any order.
ARCHITECTURE = "pyrnn"
OPTIONS = "pyrnn_options"  # This one holds, in a state dict's file, the options that weights do not tell, as JSON.
MAX_HEADER = 10**8  # The package safetensors reads headers of at most this many bytes.

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
_READ_AS = {name: np.dtype(STORED[dtype]).newbyteorder("<") for name, dtype in _DTYPES.items()}
_FIRST = b'{"__metadata__":'  # The package writes the strings before the arrays.


def load(file: BinaryIO, budget: Budget) -> dict[str, Array]:
    """Reads the arrays, sorted by name; safetensors.numpy would fail at bfloat16."""
    package = safetensors_package()
    budget.spend(3 * file.seek(0, 2), "its arrays")  # The file, the package's copies and ours count.
    file.seek(0)
    data = file.read()
    try:
        tensors = package.deserialize(data)
    except package.SafetensorError as error:
        raise ValueError(f"it is no sound safetensors file ({escaped(error)})") from error
    arrays = {name: _array(name, tensor) for name, tensor in sorted(tensors, key=itemgetter(0))}
    options = _metadata(data).get(OPTIONS, "")
    return with_metadata(arrays, loaded(options)) if options else arrays


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes the arrays of a state dict, and its options into the metadata."""
    if "__metadata__" in state_dict:
        raise ValueError("a .safetensors file cannot hold an array named __metadata__; rename it")
    options = dumped(state_dict)
    write(state_dict, path, {OPTIONS: options} if options else None)


def write(arrays: Mapping[str, Any], path: str, metadata: dict[str, str] | None) -> None:
    """Writes arrays and the strings beside them; raises OSError if the disk is full, say."""
    package = safetensors_package()
    try:
        package.numpy.save_file(flat(arrays), path, metadata=metadata)
    except package.SafetensorError as error:
        raise OSError(f"safetensors could not write the file: {error}") from error


def metadata(file: BinaryIO) -> dict[str, str]:
    """Returns the strings beside the arrays, by name; {} if the file is damaged."""
    file.seek(0)
    head = file.read(8)
    length = int.from_bytes(head, "little")
    return _metadata(head + file.read(length)) if length <= MAX_HEADER else {}


def _metadata(data: bytes) -> dict[str, str]:
    """Parses the header of a file: 8 bytes that give its length, and a JSON of that length."""
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    if b"__metadata__" not in header:
        return {}
    try:
        if header.startswith(_FIRST):
            found = json.JSONDecoder().raw_decode(header.decode(), len(_FIRST))[0]
        else:
            found = json.loads(header).get("__metadata__")
    except (AttributeError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _array(name: str, tensor: dict[str, Any]) -> Array:
    if tensor["dtype"] not in _DTYPES:
        raise ValueError(f"{quoted(name)} has dtype {tensor['dtype']}; only arrays of real numbers are loaded")
    dtype, stored = _DTYPES[tensor["dtype"]], np.frombuffer(tensor["data"], _READ_AS[tensor["dtype"]])
    stored = stored.reshape(tensor["shape"])
    # The package's bytearray belongs to this array alone, so no copy is needed: one would take a third of a file's
    # time.
    is_own = stored.dtype == dtype and stored.flags.writeable and stored.flags.aligned
    return stored if is_own else decoded(stored, dtype)


def safetensors_package() -> Any:
    """Returns the package, or raises ImportError that names the extra to install."""
    try:
        import safetensors.numpy
    except ImportError as error:
        message = '.safetensors files need the package safetensors: pip install "pyrnn-cpu[safetensors]"'
        raise ImportError(message) from error
    return safetensors
