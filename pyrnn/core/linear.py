"""Linear is the plain layer that often follows a recurrent one; the kernels compute it, the same bits on every CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import MOST_UNITS, check_array, check_bools, check_size, float_dtype
from pyrnn.checks.arrays import Array

from .initial import Random
from .making import known
from .packing import Packing
from .pullback import Gradients

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`


@known
class Linear(Packing[_core.Linear]):
    """Linear layer over the last axis: torch.nn.Linear on NumPy arrays.

        y = x Wᵀ + b

    Args:
        in_features: K, the size of the input's last axis.
        out_features: N, the size of the output's last axis.
        bias: whether the layer has the bias b.
        dtype: of parameters and inputs: float32 or float64.
        seed: of the initial parameters, which are drawn from U(-1/sqrt(K), 1/sqrt(K)); None for a fresh one.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

    Example:
        >>> import numpy as np, pyrnn
        >>> linear = pyrnn.Linear(5, 2, seed=0)
        >>> y, _, pullback = linear.vjp(np.ones((7, 3, 5), np.float32))
        >>> y.shape, pullback(np.ones_like(y)).parameters["weight"].shape
        ((7, 3, 2), (2, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        check_size("in_features", in_features, MOST_UNITS)
        check_size("out_features", out_features, MOST_UNITS)
        check_bools(bias=bias)
        self.in_features, self.out_features = in_features, out_features
        random = Random(seed)
        self._add_parameter("weight", random.uniform((out_features, in_features), in_features, float_dtype(dtype)))
        if bias:
            self._add_parameter("bias", random.uniform((out_features,), in_features, float_dtype(dtype)))

    def __call__(self, input: Array) -> Array:
        """Computes the output.

        Args:
            input: [*, in_features], of the layer's dtype.

        Returns:
            The output, [*, out_features].

        Raises:
            TypeError: if the input is not a NumPy array.
            ValueError: if its last axis or dtype is wrong.
        """
        return self._weights().forward(self._rows(input)).reshape(*input.shape[:-1], self.out_features)

    def vjp(self, input: Array) -> tuple[Array, None, Callable[[Array], Gradients]]:
        """Computes the output and returns a function for its gradients.

        Args:
            input: as in a call.

        Returns:
            The output, and a pullback. The pullback takes the loss's gradient with respect to the output and returns
            `Gradients`: `.input` and `.parameters`; `.state` is None.

        Raises:
            TypeError, ValueError: as a call.
        """
        weights, rows, names = self._weights(), self._rows(input).copy(), list(self._parameters)
        output = weights.forward(rows).reshape(*input.shape[:-1], self.out_features)

        def pullback(grad_output: Array) -> Gradients:
            check_array("grad_output", grad_output)
            if grad_output.shape != output.shape:
                raise ValueError(
                    f"grad_output should be an array of the output's shape, {output.shape}, got {grad_output.shape}"
                )
            grads = weights.backward(rows, grad_output.reshape(-1, self.out_features))
            return Gradients(
                grads[0].reshape(input.shape),
                None,
                {name: grad for name, grad in zip(names, grads[1:], strict=False) if grad is not None},
            )

        return output, None, pullback

    def _rows(self, input: Array) -> Array:
        check_array("Linear: input", input)
        if input.ndim == 0 or input.shape[-1] != self.in_features:
            raise ValueError(f"Linear: expected input of shape (*, {self.in_features}), got {input.shape}")
        return input.reshape(-1, self.in_features)

    def _pack(self, parameters: dict[str, Array]) -> _core.Linear:
        return _core.Linear.pack(parameters["weight"], parameters.get("bias"))

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without dtype and seed."""
        bias = "bias" in self._parameters
        return {"in_features": self.in_features, "out_features": self.out_features, "bias": bias}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.config().items())
