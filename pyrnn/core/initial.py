"""Initial parameters are drawn at random, or are zeros where a loader replaces them at once."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_seed
from pyrnn.checks.arrays import Array

from .making import check_room, is_loading


def generator_of(seed: Any) -> np.random.Generator:
    """Calls np.random.default_rng, and names the argument in its errors, which NumPy does not."""
    check_seed(seed)
    return np.random.default_rng(seed)


class Random:
    """Draws the random numbers of one layer, as np.random.default_rng(seed) does."""

    def __init__(self, seed: int | None) -> None:
        self._generator: np.random.Generator | None = None
        if not is_loading():
            self._generator = generator_of(seed)  # at once: a wrong seed is the constructor's error
        # Not None, or a copy of the layer would draw other numbers than the layer.
        self._seed = int.from_bytes(os.urandom(16)) if seed is None else seed

    def uniform(self, shape: Sequence[int], fan: int, dtype: np.dtype[Any]) -> Array:
        """Draws from U(-1/sqrt(fan), 1/sqrt(fan)), torch's initial distribution."""
        check_room(shape, dtype)
        if is_loading():
            return np.zeros(shape, dtype)
        bound = 1 / math.sqrt(fan)
        return self._drawn().uniform(-bound, bound, shape).astype(dtype)

    def normal(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Draws from the normal distribution of mean 0 and variance 1."""
        check_room(shape, dtype)
        if is_loading():
            return np.zeros(shape, dtype)
        return self._drawn().standard_normal(shape, np.float64).astype(dtype)

    def random(self, shape: Sequence[int]) -> Array:
        """Draws float64 numbers from U(0, 1), for dropout."""
        return self._drawn().random(shape)

    def _drawn(self) -> np.random.Generator:
        if self._generator is None:
            self._generator = np.random.default_rng(self._seed)
        return self._generator
