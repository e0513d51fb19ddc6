"""This module checks the user's sequences and lays them out as the C program takes them."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arguments import check_array
from pyrnn.checks.arrays import Array

from .network import CNetwork


def check_data(data: Array, network: CNetwork) -> Array:
    """Returns the user's sequences as C takes them, [T,B,inputs]."""
    check_array("data", data)
    data = _indices(data, network.rows) if network.rows else _floats(data, network.inputs)
    if data.ndim == 2:
        return data[:, None]
    return data.swapaxes(0, 1) if network.batch_first else data


def _floats(data: Array, inputs: int) -> Array:
    if data.dtype.kind != "f":
        raise TypeError(f"data should be of floating point, got {data.dtype}; use .astype('float32')")
    if data.ndim not in (2, 3) or data.shape[-1] != inputs or not data.size:
        raise ValueError(f"data should be sequences of {inputs} inputs, [T,I], [T,B,I], or [B,T,I] with "
                         f"batch_first; got shape {data.shape}")  # fmt: skip
    if not np.isfinite(data).all():
        raise ValueError("data holds an infinity or a NaN, which C has no constants for")
    return data.astype(np.float32)


def _indices(data: Array, rows: int) -> Array:
    if data.dtype.kind not in "iu":
        raise TypeError(f"data should be of integers, indices, got {data.dtype}; use .astype('int32')")
    if data.ndim not in (1, 2) or not data.size:
        raise ValueError(f"data should be sequences of indices, [T], [T,B], or [B,T] with batch_first; got shape "
                         f"{data.shape}")  # fmt: skip
    if data.min() < 0 or data.max() >= rows:
        raise ValueError(f"data should hold indices from 0 to {rows - 1}, got {data.min()} to {data.max()}")
    return data.astype(np.int32)[..., None]
