"""Groups of numbers are brought to mean 0 and variance 1, even if their squares overflow or underflow."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array


def normalised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Returns (x - mean) / sqrt(variance + eps) over some axes, and the factors 1 / sqrt(variance + eps)."""
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True) + x.dtype.type(eps)
    scale = 1 / np.sqrt(variance)
    return repaired(x, axes, eps, (centred * scale, scale), sound=variance >= np.finfo(x.dtype).tiny)


def repaired(
    x: Array, axes: tuple[int, ...], eps: float, found: tuple[Array, Array], sound: Array
) -> tuple[Array, Array]:
    """Computes those groups of `normalised` again that are not `sound`, or whose scale is not a normal number.

    Without this, an overflow would give a scale of 0, and outputs of 0 that look valid. Such a group is computed after
    a division by a power of two that brings it below 1. A group with a NaN or an infinity becomes NaN, as in torch.
    """
    unit, scale = found
    lost = ~(sound & np.isfinite(scale) & (scale >= np.finfo(x.dtype).tiny))
    if not lost.any():
        return found
    exponent = np.frexp(np.abs(x).max(axes, keepdims=True, initial=0))[1]
    small = np.ldexp(x, -exponent)
    centred = small - small.mean(axes, keepdims=True)
    deviation = np.sqrt((centred * centred).mean(axes, keepdims=True))
    below = np.hypot(deviation, np.ldexp(np.sqrt(x.dtype.type(eps)), -exponent))  # the root of eps does not underflow
    return np.where(lost, centred / below, unit), np.where(lost, 1 / np.ldexp(below, exponent), scale)
