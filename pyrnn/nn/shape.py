"""Flatten, Reshape, Permute, RepeatVector and Reverse move numbers and compute nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_int, check_size, is_int
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .layer import Back, Layer, plain_array


class _Moving(Layer):
    """Base class of the layers that take arrays of any dtype."""

    ends_mask = True

    def _array(self, input: Any) -> Array:
        return plain_array(self, input)


class Flatten(_Moving):
    """Merges several axes into one: torch.nn.Flatten on NumPy arrays.

    Args:
        start_dim: the first of these axes.
        end_dim: the last of these axes.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Flatten()(np.zeros((2, 3, 4))).shape
        (2, 12)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        check_int("start_dim", start_dim)
        check_int("end_dim", end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def _forward(self, input: Array) -> tuple[Array, Back]:
        shape, axes = input.shape, input.ndim
        for dim in (self.start_dim, self.end_dim):
            if not -axes <= dim < axes:
                raise ValueError(f"Flatten: there is no axis {dim} in an input of shape {shape}")
        first, last = self.start_dim % axes, self.end_dim % axes
        if first > last:
            raise ValueError(f"Flatten: start_dim {first} comes after end_dim {last} in an input of shape {shape}")
        flat = (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])
        return input.reshape(flat), lambda grad: grad.reshape(shape)


class Reshape(_Moving):
    """Gives each sample another shape, as in Keras; the first axis, the batch, stays.

    Args:
        shape: the new shape, without the batch axis; one size may be -1.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Reshape((3, -1))(np.zeros((2, 12))).shape
        (2, 3, 4)
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = _ints("shape", shape)
        if any(size < -1 for size in self.shape) or self.shape.count(-1) > 1:
            raise ValueError(f"shape should hold sizes, at most one of them -1, got {self.shape}")

    def _forward(self, input: Array) -> tuple[Array, Back]:
        known = math.prod(size for size in self.shape if size != -1)
        size = math.prod(input.shape[1:])
        fits = size == known if -1 not in self.shape else known > 0 and size % known == 0
        if not input.ndim or not fits:
            raise ValueError(f"Reshape: samples of shape {input.shape[1:]} cannot take the shape {self.shape}")
        full = [size // known if wanted == -1 else wanted for wanted in self.shape]
        return input.reshape(input.shape[0], *full), lambda grad: grad.reshape(input.shape)


class Permute(_Moving):
    """Puts the axes in another order, as torch.permute does.

    Args:
        dims: for each axis of the output, the number of the input's axis that goes there; the batch axis counts too.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Permute((0, 2, 1))(np.zeros((2, 3, 4))).shape
        (2, 4, 3)
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = _ints("dims", dims)
        if sorted(self.dims) != list(range(len(self.dims))):
            raise ValueError(f"dims should hold each number from 0 to {len(self.dims) - 1} once, got {self.dims}")

    def _forward(self, input: Array) -> tuple[Array, Back]:
        if input.ndim != len(self.dims):
            raise ValueError(f"Permute: input should have {len(self.dims)} axes, got shape {input.shape}")
        return input.transpose(self.dims), lambda grad: grad.transpose(np.argsort(self.dims))


class RepeatVector(_Moving):
    """Repeats each vector as n equal steps: [B,C] becomes [n,B,C], or with batch_first [B,n,C].

    Args:
        n: the number of steps.
        batch_first: whether the batch axis comes before the steps.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.RepeatVector(5, batch_first=True)(np.zeros((2, 3))).shape
        (2, 5, 3)
    """

    def __init__(self, n: int, batch_first: bool = False) -> None:
        super().__init__()
        check_size("n", n)
        check_bools(batch_first=batch_first)
        self.n, self.batch_first = n, batch_first

    def _forward(self, input: Array) -> tuple[Array, Back]:
        if input.ndim != 2:
            raise ValueError(f"RepeatVector: input should be [B,C], got shape {input.shape}")
        axis = 1 if self.batch_first else 0
        return np.repeat(np.expand_dims(input, axis), self.n, axis), lambda grad: grad.sum(axis)


class Reverse(_Moving):
    """Reverses the time axis, which is the first, or with batch_first the second. It reverses masks too.

    Args:
        batch_first: whether sequences are [B,T,*] rather than [T,B,*].

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Reverse(batch_first=True)(np.array([[1, 2, 3]]))
        array([[3, 2, 1]])
    """

    ends_mask = False

    def __init__(self, batch_first: bool = False) -> None:
        super().__init__()
        check_bools(batch_first=batch_first)
        self.batch_first = batch_first

    def pass_mask(self, mask: Array) -> Array:
        """Returns the mask of the output, given that of the input."""
        return np.flip(mask, 1 if self.batch_first else 0)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        axis = 1 if self.batch_first else 0
        if input.ndim <= axis:
            raise ValueError(f"Reverse: input should have at least {axis + 1} axes, got shape {input.shape}")
        return np.flip(input, axis), lambda grad: np.flip(grad, axis)


def _ints(name: str, values: Any) -> list[int]:
    if not isinstance(values, (list, tuple)) or not all(map(is_int, values)):
        raise TypeError(f"{name} should be a tuple of integers, got {brief(values)}")
    return [int(value) for value in values]
