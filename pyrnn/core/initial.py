"""Initial parameters: drawn, or zeros where a file's arrays are about to take their place."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .module import check_room

_SKIPPED: ContextVar[bool] = ContextVar("initial parameters are zeros", default=False)


@contextmanager
def skip_init() -> Iterator[None]:
    """Inside the block, the layers made have parameters of zeros: for a loader, which replaces them all.

    Nothing is drawn, and numpy.random, which NumPy imports when it is asked for, is not imported: 9 ms of the 24 that
    it took to load a small LSTM.
    """
    token = _SKIPPED.set(True)
    try:
        yield
    finally:
        _SKIPPED.reset(token)


def is_skipped() -> bool:
    """Whether a loader makes the layers: their weights and their order are the file's."""
    return _SKIPPED.get()


def generator_of(seed: Any) -> np.random.Generator:
    """np.random.default_rng, whose errors do not say which argument is wrong."""
    try:
        return np.random.default_rng(seed)
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"seed should be None, or an int of at least 0, got {brief(seed)}") from None


class Random:
    """The random numbers of one layer: those of np.random.default_rng(seed)."""

    def __init__(self, seed: int | None) -> None:
        self._generator: np.random.Generator | None = None
        if not _SKIPPED.get():
            self._generator = generator_of(seed)  # at once: a wrong seed is the constructor's error
        # Not None, or a copy of the layer would draw other numbers than the layer.
        self._seed = int.from_bytes(os.urandom(16)) if seed is None else seed

    def uniform(self, shape: Sequence[int], fan: int, dtype: np.dtype[Any]) -> Array:
        """torch's initial distribution, U(-1/sqrt(fan), 1/sqrt(fan))."""
        check_room(shape, dtype)
        if _SKIPPED.get():
            return np.zeros(shape, dtype)
        bound = 1 / math.sqrt(fan)
        return self._drawn().uniform(-bound, bound, shape).astype(dtype)

    def normal(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Normal with variance 1."""
        check_room(shape, dtype)
        if _SKIPPED.get():
            return np.zeros(shape, dtype)
        return self._drawn().standard_normal(shape, np.float64).astype(dtype)

    def random(self, shape: Sequence[int]) -> Array:
        """U(0, 1) in float64, for dropout."""
        return self._drawn().random(shape)

    def _drawn(self) -> np.random.Generator:
        if self._generator is None:
            self._generator = np.random.default_rng(self._seed)
        return self._generator
