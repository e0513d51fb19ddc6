"""Lists the dtypes that the file formats share, and converts stored bytes and callers' values to arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array, to_array
from pyrnn.checks.quoting import escaped

MAX_AXES = 32  # Every version of NumPy allows arrays of this many axes.

# This maps torch's name of a dtype to the NumPy code with which its bytes are read. bool and bfloat16 are read as
# integers and then converted: in a hostile file the byte of a bool may be neither 0 nor 1, and NumPy has no bfloat16.
STORED = {
    "float64": "f8",
    "float32": "f4",
    "float16": "f2",
    "bfloat16": "u2",
    "int64": "i8",
    "int32": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint64": "u8",
    "uint32": "u4",
    "uint16": "u2",
    "uint8": "u1",
    "bool": "u1",
}


def decoded(stored: Array, dtype: str) -> Array:
    """Copies an array that was read as STORED[dtype] into a contiguous one of that dtype, in native byte order."""
    if dtype == "bfloat16":
        wide = stored.astype(np.uint32, order="C")
        wide <<= np.uint32(16)  # The shift works in place, because on a 0-d array `<<` returns a scalar.
        return wide.view(np.float32)
    return stored.astype(np.dtype(dtype), order="C")


def number_array(value: Any, name: str) -> Array:
    """Makes a contiguous little-endian array from an array-like; its dtype is one of STORED's."""
    is_bool = str(getattr(value, "dtype", "")) in {"bool", "torch.bool"}
    array = np.asarray(value) if is_bool or isinstance(value, bool) else to_array(value, name)
    if array.dtype.name not in STORED:
        raise TypeError(f"{escaped(name)} has dtype {array.dtype}, which torch lacks; convert it, e.g. to float64")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def flat(state_dict: Mapping[str, Any]) -> dict[str, Array]:
    """Returns the arrays of a state dict that has no nested dicts, for formats that cannot hold these."""
    for name, value in state_dict.items():
        if isinstance(value, Mapping):
            raise TypeError(f"{escaped(name)} is a mapping: only .pt and .pth files can hold nested state dicts")
    return {name: number_array(value, name) for name, value in state_dict.items()}
