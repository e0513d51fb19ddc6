"""Lengths become a mask of the active steps of each row, in the form that the kernels take."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array


def extent(input: Array, batch_first: bool) -> tuple[int, int]:
    """Returns the numbers of steps and sequences (1 without a batch) of an input [T,B,I], [B,T,I] or [T,I]."""
    if input.ndim == 2:
        return input.shape[0], 1
    return (input.shape[1], input.shape[0]) if batch_first else (input.shape[0], input.shape[1])


def active_steps(input: Array, batch_first: bool, lengths: Any) -> Array:
    """Returns a mask, laid out as the input, that is True before each sequence's end.

    Args:
        input: [T,B,I], [B,T,I] with batch_first, or [T,I].
        batch_first: the layout of the input.
        lengths: [B] integers from 0 to T, or one for an input without a batch.

    Returns:
        bool [T,B], [B,T] or [T].

    Raises:
        ValueError: if lengths are not integers, not one for each sequence, or out of range.
    """
    if not isinstance(input, np.ndarray) or input.ndim not in (2, 3):
        return np.ones(0, bool)  # the kernels raise the error
    if isinstance(lengths, np.ma.MaskedArray):
        raise TypeError("lengths is a MaskedArray, and its mask would be ignored: fill it with .filled(0)")
    ends = np.asarray(lengths)
    batched = input.ndim == 3
    steps, batch = extent(input, batch_first)
    if ends.dtype.kind not in "iu" and ends.size:
        raise ValueError(f"lengths should be integers, got dtype {ends.dtype}")
    if ends.shape != (batch,) and (batched or ends.shape != ()):
        expected = f"one length for each of the {batch} sequences" if batched else "one length"
        raise ValueError(f"lengths should hold {expected}, got shape {ends.shape}")
    if ends.size and not (ends.min() >= 0 and ends.max() <= steps):
        worst = ends.min() if ends.min() < 0 else ends.max()
        raise ValueError(f"lengths should be from 0 to {steps}, the number of steps of the input, got {worst}")
    time = np.arange(steps)
    time = time if not batched or batch_first else time[:, None]
    return np.asarray(time < (ends[:, None] if batched and batch_first else ends))
