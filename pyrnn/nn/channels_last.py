"""ChannelsLast: a layer of torch's layout on arrays that have their channels last, as Keras has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module
from pyrnn.core.pullback import Gradients

from .architecture import describe
from .layer import Back, Layer, float_array, shape_error


class ChannelsLast(Layer):
    """Runs a layer that takes [B,C,*] on [B,*,C], and gives its output with the channels last again.

    Args:
        layer: a convolution, pooling or batch norm. Its parameters are named "layer.weight" and so on.

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
        """The layer inside, as {"type", "config"}."""
        return {"layer": describe(self.layer)}

    def __call__(self, input: Array) -> Array:
        """The output for an input; what the layer inside refuses is refused with its sentence."""
        return self._last(self.layer(self._array(input)))

    def _array(self, input: Any) -> Array:
        array = float_array(self, input)
        if array.ndim < 2:
            raise shape_error(self, "(batch, *, channels)", array)
        return np.moveaxis(array, -1, 1)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        output, *_, pullback = self.layer.vjp(input)

        def back(grad: Array) -> Gradients:
            found = pullback(np.moveaxis(grad, -1, 1))
            parameters = {f"layer.{name}": gradient for name, gradient in found.parameters.items()}
            return Gradients(self._last(found.input), None, parameters)

        return self._last(output), back

    def _last(self, y: Any) -> Array:
        """[B,C,*] as [B,*,C], in C order: the kernels read no other."""
        if not isinstance(y, np.ndarray) or y.ndim < 2:
            raise ValueError(
                "ChannelsLast: the layer inside should give one array (batch, channels, *); "
                f"{type(self.layer).__name__} does not"
            )
        return np.ascontiguousarray(np.moveaxis(y, 1, -1))
