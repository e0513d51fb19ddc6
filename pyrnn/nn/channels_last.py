"""ChannelsLast applies a layer with torch's layout, channels first, to arrays with Keras' layout, channels last."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.architecture import describe
from pyrnn.core.module import Module
from pyrnn.core.pullback import Gradients

from .layer import Back, Layer, float_array, shape_error


class ChannelsLast(Layer):
    """Runs a layer that takes [B,C,*] on an input [B,*,C]; the output has its channels last too.

    Args:
        layer: a convolution, pooling or batch norm. Its parameters are named "layer.weight" and so on.

    Raises:
        TypeError: if it is not a module of pyrnn.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> conv = nn.ChannelsLast(nn.Conv1d(3, 8, 5, padding="same", seed=0))
        >>> conv(np.ones((2, 10, 3), np.float32)).shape
        (2, 10, 8)
    """

    def __init__(self, layer: Module) -> None:
        super().__init__()
        if not isinstance(layer, Module):
            raise TypeError(f"layer should be a pyrnn module, got {type(layer).__name__}")
        self.layer: Any = layer
        self.ends_mask = bool(getattr(layer, "ends_mask", False))

    def config(self) -> dict[str, Any]:
        """Returns the layer inside as a description {"type", "config"}."""
        return {"layer": describe(self.layer)}

    def __call__(self, input: Array) -> Array:
        """Computes the output [B,*,O] of an input [B,*,C]; raises what the layer inside raises."""
        return self._last(self.layer(self._array(input)))

    def _array(self, input: Any) -> Array:
        array = float_array(self, input)
        if array.ndim < 2:
            raise shape_error(self, "(batch, *, channels)", array)
        return np.moveaxis(array, -1, 1)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        output, _, pullback = self.layer.vjp(input)

        def back(grad: Array) -> Gradients:
            found = pullback(np.moveaxis(grad, -1, 1))
            parameters = {f"layer.{name}": gradient for name, gradient in found.parameters.items()}
            return Gradients(self._last(found.input), None, parameters)

        return self._last(output), back

    def _last(self, y: Any) -> Array:
        """Copies [B,C,*] to [B,*,C] in C order, the only one that the kernels read."""
        if not isinstance(y, np.ndarray) or y.ndim < 2:
            raise ValueError(
                "ChannelsLast: the layer inside should give one array (batch, channels, *); "
                f"{type(self.layer).__name__} does not"
            )
        return np.ascontiguousarray(np.moveaxis(y, 1, -1))
