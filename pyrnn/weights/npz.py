"""Reads and writes NumPy's .npz, a zip of .npy records, without pickle and without trusting the sizes it states."""

from __future__ import annotations

import math
import tokenize
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted

from .archive import each_record, opened
from .arrays import MAX_AXES, STORED, decoded, flat
from .state_dict import dumped, loaded, with_metadata

LONGEST_HEADER = 2**16  # This many bytes of a header are read; NumPy takes 10,000.
# The options follow as JSON in the archive's comment, because np.load would show a record of them as an array.
OPTIONS = b"pyrnn: "

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# NumPy parses the header as Python, and does not catch all that the parser raises.
_HEADER_ERRORS = (
    KeyError,
    ValueError,
    TypeError,
    SyntaxError,
    RecursionError,
    MemoryError,
    tokenize.TokenError,
)


def load(file: BinaryIO, budget: Budget) -> dict[str, Array]:
    """Reads the arrays of a file that np.savez, np.savez_compressed or `save` wrote."""
    with opened(file) as (_, archive):
        records = each_record(file, archive, _check_names, True, budget)
        arrays = {name.removesuffix(".npy"): _array(name, data) for name, data in records}
        comment = archive.comment
    return with_metadata(arrays, loaded(comment[len(OPTIONS) :])) if comment.startswith(OPTIONS) else arrays


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes uncompressed arrays as np.savez does, but under any name (np.savez refuses `file`)."""
    arrays = flat(state_dict)
    options = dumped(state_dict).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(f"an .npz file cannot hold the name {quoted(name)}, which has a NUL character")
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as record:
                npy.write_array(record, array, allow_pickle=False)
        if options:
            if len(options) + len(OPTIONS) > zipfile.ZIP_MAX_COMMENT:
                raise ValueError(
                    f"the options of its layers take {len(options)} bytes, more than an .npz file holds beside the "
                    "arrays; write a .pt or .safetensors file"
                )
            archive.comment = OPTIONS + options


def _check_names(names: list[str]) -> None:
    stems = {name.removesuffix(".npy") for name in names}
    if len(stems) != len(names):
        raise ValueError("two of its arrays have the same name")


def _array(name: str, data: bytes | bytearray) -> Array:
    try:
        shape, fortran, dtype, start = _header(bytes(data[: min(LONGEST_HEADER, _header_length(data))]))
    except _HEADER_ERRORS as error:
        raise ValueError(f"its record {quoted(name)} is no .npy array of numbers ({type(error).__name__})") from error
    kind = dtype.name
    if kind not in STORED:
        raise ValueError(f"{quoted(name)} has dtype {str(dtype)[:100]}; only arrays of real numbers are loaded")
    if not all(type(length) is int for length in shape):  # NumPy lets True pass.
        raise ValueError(f"its record {quoted(name)} has a shape that is not made of integers: {str(shape)[:100]}")
    size = math.prod(shape) * dtype.itemsize
    if len(shape) > MAX_AXES or min(shape, default=0) < 0 or size != len(data) - start:
        raise ValueError(f"{quoted(name)} claims a shape and dtype {dtype} that are not the size of its record")
    read_as = np.dtype(STORED[kind]).newbyteorder(dtype.byteorder)
    stored = np.frombuffer(data, read_as, offset=start) if size else np.empty(0, read_as)
    return decoded(stored.reshape(shape, order="F" if fortran else "C"), kind)


@lru_cache(maxsize=64)  # The header takes 20 of the 40 us that an array takes, and a network's layers repeat theirs.
def _header(data: bytes) -> tuple[Any, Any, Any, int]:
    """Returns the shape, whether the order is Fortran's, the dtype, and the offset of the numbers."""
    stream = BytesIO(data)
    shape, fortran, dtype = _HEADERS[npy.read_magic(stream)](stream)
    return shape, fortran, dtype, stream.tell()


def _header_length(data: bytes | bytearray) -> int:
    """Counts the bytes before the numbers: 6 of magic, 2 of version, 2 or 4 of length, then the header."""
    width = 2 if data[6:7] == b"\1" else 4
    return 8 + width + int.from_bytes(data[8 : 8 + width], "little")
