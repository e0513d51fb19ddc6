"""NumPy's .npz: a zip of .npy records. Read without pickle, and without trust in the sizes it states."""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
from numpy.lib import format as npy

from pyrnn.module import Array
from pyrnn.weights.archive import read_records
from pyrnn.weights.arrays import MAX_AXES, STORED, decoded, flat

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# NumPy parses the header as Python, and lets some of what the parser raises pass.
_HEADER_ERRORS = (
    KeyError,
    ValueError,
    TypeError,
    SyntaxError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)


def load(path: str) -> dict[str, Array]:
    """Reads the arrays; np.savez_compressed files as well."""
    records = read_records(path, compressed=True)
    return {name.removesuffix(".npy"): _array(name, data) for name, data in records.items()}


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes uncompressed arrays, as np.savez does, but under any name (np.savez refuses `file`)."""
    arrays = flat(state_dict)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(f"an .npz file cannot hold the name {name!r}, which has a NUL character")
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as record:
                npy.write_array(record, array, allow_pickle=False)


def _array(name: str, data: bytes) -> Array:
    stream = BytesIO(data)
    try:
        shape, fortran, dtype = _HEADERS[npy.read_magic(stream)](stream)
    except _HEADER_ERRORS as error:
        raise ValueError(f"its record {name} is no .npy array of numbers ({type(error).__name__})") from error
    if dtype.name not in STORED:
        raise ValueError(f"{name} has dtype {dtype}; only arrays of real numbers are loaded")
    start, size = stream.tell(), math.prod(shape) * dtype.itemsize
    if len(shape) > MAX_AXES or min(shape, default=0) < 0 or size != len(data) - start:
        raise ValueError(f"{name} claims a shape and dtype {dtype} that are not the size of its record")
    read_as = np.dtype(STORED[dtype.name]).newbyteorder(dtype.byteorder)
    stored = np.frombuffer(data, read_as, offset=start) if size else np.empty(0, read_as)
    return decoded(stored.reshape(shape, order="F" if fortran else "C"), dtype.name)
