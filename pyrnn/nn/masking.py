"""Masking masks the steps that hold a certain value."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arguments import is_number
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .layer import Back, Layer, float_array, kept, shape_error


class Masking(Layer):
    """Masks the steps whose features all equal one value, and sets them to zero, as in Keras.

    Args:
        mask_value: that value.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> masking = nn.Masking(-1.0)
        >>> x = np.array([[[-1.0, -1.0], [-1.0, 5.0]]])
        >>> masking(x), masking.make_mask(x)
        (array([[[ 0.,  0.],
                [-1.,  5.]]]), array([[False,  True]]))

    Source: https://keras.io/api/layers/core_layers/masking/
    """

    def __init__(self, mask_value: float = 0.0) -> None:
        super().__init__()
        if not is_number(mask_value):
            raise TypeError(f"mask_value should be a number, got {brief(mask_value)}")
        self.mask_value = float(mask_value)

    def _array(self, input: Any) -> Array:
        array = float_array(self, input)
        if not array.ndim:
            raise shape_error(self, "(*, features)", array)
        return array

    def make_mask(self, input: Array) -> Array:
        """Returns a bool mask, of the input's shape without its last axis: False where all features are mask_value."""
        # The value is rounded to the input's dtype, because 0.1 in float32 is another number than in float64.
        array = self._array(input)
        return np.asarray(np.any(array != array.dtype.type(self.mask_value), axis=-1))

    def _forward(self, input: Array) -> tuple[Array, Back]:
        counts = self.make_mask(input)[..., None]
        return kept(input, counts), lambda grad: kept(grad, counts)
