"""LayerNorm brings the last axes of each sample to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_not_negative, check_size, float_dtype
from pyrnn.checks.arrays import Array
from pyrnn.core.making import check_room
from pyrnn.core.pullback import Gradients

from .layer import Back, Layer, shape_error
from .moments import normalised

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`


class LayerNorm(Layer):
    """Layer normalisation: torch.nn.LayerNorm on NumPy arrays.

    With mean and variance over the last axes:

        y = (x - mean) / sqrt(variance + eps) * weight + bias

    Args:
        normalized_shape: the sizes of these axes; an int for the last axis alone.
        eps: a positive number that keeps the divisor from zero.
        elementwise_affine: whether there are weight and bias, of these sizes.
        bias: whether there is a bias.
        dtype: of parameters and inputs: float32 or float64.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.LayerNorm(2, dtype=np.float64)(np.array([[1.0, 3.0], [5.0, 5.0]])).round(4)
        array([[-1.,  1.],
               [ 0.,  0.]])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html; Ba et al. 2016 (arXiv:1607.06450).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        given: Any = normalized_shape
        sizes = list(given) if isinstance(given, (list, tuple)) else [given]
        for size in sizes or [0]:
            check_size("normalized_shape", size)
        check_bools(elementwise_affine=elementwise_affine, bias=bias)
        eps = check_not_negative("eps", eps, finite=False)
        self.normalized_shape, self.eps = [int(size) for size in sizes], eps
        self.elementwise_affine, self._bias = elementwise_affine, bias
        self._dtype = float_dtype(dtype)
        if elementwise_affine:
            check_room(self.normalized_shape, self._dtype)
            self._add_parameter("weight", np.ones(self.normalized_shape, self._dtype))
            if bias:
                self._add_parameter("bias", np.zeros(self.normalized_shape, self._dtype))

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without dtype."""
        return {
            "normalized_shape": self.normalized_shape,
            "eps": self.eps,
            "elementwise_affine": self.elementwise_affine,
            "bias": self._bias,
        }

    def _forward(self, input: Array) -> tuple[Array, Back]:
        axes = tuple(range(-len(self.normalized_shape), 0))
        unit, scale = normalised(input, axes, self.eps)
        weight, held = self._parameters.get("weight", input.dtype.type(1)), self._parameters
        output = unit * weight
        if "bias" in held:
            output = output + held["bias"]

        def back(grad: Array) -> Gradients:
            others = tuple(range(grad.ndim - len(axes)))
            sums = {"weight": (grad * unit).sum(others), "bias": grad.sum(others)}
            to_unit = grad * weight
            along = unit * (to_unit * unit).mean(axes, keepdims=True)
            to_input = scale * (to_unit - to_unit.mean(axes, keepdims=True) - along)
            return Gradients(to_input, None, {name: sums[name] for name in held})

        return output, back

    def _array(self, input: Any) -> Array:
        array = super()._array(input)
        count = len(self.normalized_shape)
        if array.ndim < count or list(array.shape[array.ndim - count :]) != self.normalized_shape:
            raise shape_error(self, f"(*, {', '.join(map(str, self.normalized_shape))})", array)
        if array.dtype != self._dtype:
            raise ValueError(f"LayerNorm: input should have dtype {self._dtype}, got {array.dtype}")
        return array
