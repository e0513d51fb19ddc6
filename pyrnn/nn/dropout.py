"""Dropout zeroes elements at random, SpatialDropout1D whole channels."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.arguments import check_bools, is_number
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.initial import Random

from .layer import Back, Layer, float_array, shape_error


class Dropout(Layer):
    """In training mode zeroes elements at random and scales the others by 1 / (1 - p), as torch.nn.Dropout.

    Args:
        p: the probability of zeroing an element.
        seed: of the random draws; None for a fresh one.

    Raises:
        ValueError: if p is not a number from 0 to 1.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> dropout = nn.Dropout(0.5, seed=0)
        >>> dropout(np.ones(6))
        array([2., 0., 0., 0., 2., 2.])
        >>> dropout.eval()(np.ones(6))
        array([1., 1., 1., 1., 1., 1.])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html; Hinton et al. 2012 (arXiv:1207.0580).
    """

    def __init__(self, p: float = 0.5, *, seed: int | None = None) -> None:
        super().__init__()
        if not is_number(p) or not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {brief(p)}")
        self.p = float(p)
        self._random = Random(seed)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        if not self.training or not self.p:
            return input, lambda grad: grad
        scale = input.dtype.type(1 / (1 - self.p) if self.p < 1 else 0)
        factor = (self._random.random(self._drawn(input)) >= self.p).astype(input.dtype) * scale
        return input * factor, lambda grad: grad * factor

    def _drawn(self, input: Array) -> tuple[int, ...]:
        """Returns the shape of the draws; here one for each element."""
        return tuple(input.shape)


class SpatialDropout1D(Dropout):
    """Zeroes whole channels at random in training mode: a channel of a sequence at all its steps, as in Keras.

    Args:
        p: the probability of zeroing a channel.
        batch_first: whether sequences are [B,T,C] rather than [T,B,C].
        seed: of the random draws; None for a fresh one.

    Raises:
        ValueError: if p is not a number from 0 to 1.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.SpatialDropout1D(0.5, batch_first=True, seed=0)(np.ones((1, 2, 4)))
        array([[[2., 0., 0., 0.],
                [2., 0., 0., 0.]]])

    Source: https://keras.io/api/layers/regularization_layers/spatial_dropout1d/
    """

    def __init__(self, p: float = 0.5, batch_first: bool = False, *, seed: int | None = None) -> None:
        super().__init__(p, seed=seed)
        check_bools(batch_first=batch_first)
        self.batch_first = batch_first

    def _array(self, input: Any) -> Array:
        array = float_array(self, input)
        if array.ndim < 3:
            raise shape_error(self, "(batch, time, *)" if self.batch_first else "(time, batch, *)", array)
        return array

    def _drawn(self, input: Array) -> tuple[int, ...]:
        time = 1 if self.batch_first else 0
        return (*input.shape[:time], 1, *input.shape[time + 1 :])
