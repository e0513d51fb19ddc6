"""Activations: functions of one element, and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core
from ..module import Array
from .layer import Back, Layer

Slope = Callable[[], Array]


def _relu(x: Array, alpha: float) -> tuple[Array, Slope]:
    return np.maximum(x, 0), lambda: (x > 0).astype(x.dtype)


def _sigmoid(x: Array, alpha: float) -> tuple[Array, Slope]:
    y = kernel(_core.sigmoid, x)
    return y, lambda: y * (1 - y)


def _tanh(x: Array, alpha: float) -> tuple[Array, Slope]:
    y = kernel(_core.tanh, x)
    return y, lambda: 1 - y * y


def _identity(x: Array, alpha: float) -> tuple[Array, Slope]:
    return x, lambda: np.ones_like(x)


def _hard_sigmoid_keras2(x: Array, alpha: float) -> tuple[Array, Slope]:
    return np.clip(0.2 * x + 0.5, 0, 1), lambda: 0.2 * (np.abs(x) < 2.5).astype(x.dtype)


def _hard_sigmoid_keras3(x: Array, alpha: float) -> tuple[Array, Slope]:
    return np.clip(x + 3, 0, 6) / 6, lambda: (np.abs(x) < 3).astype(x.dtype) / 6


def _elu(x: Array, alpha: float) -> tuple[Array, Slope]:
    below = alpha * np.expm1(np.minimum(x, 0))
    return np.where(x > 0, x, below), lambda: np.where(x > 0, x.dtype.type(1), below + alpha)


def _selu(x: Array, alpha: float) -> tuple[Array, Slope]:
    y, slope = _elu(x, 1.6732632423543772)  # Klambauer et al. 2017, arXiv:1706.02515
    scale = 1.0507009873554805
    return scale * y, lambda: scale * slope()


def _softplus(x: Array, alpha: float) -> tuple[Array, Slope]:
    return np.logaddexp(x, x.dtype.type(0)), lambda: kernel(_core.sigmoid, x)


def _softsign(x: Array, alpha: float) -> tuple[Array, Slope]:
    scale = 1 / (1 + np.abs(x))
    return x * scale, lambda: scale * scale


def _exponential(x: Array, alpha: float) -> tuple[Array, Slope]:
    y = np.exp(x)
    return y, lambda: y


def _leaky_relu(x: Array, alpha: float) -> tuple[Array, Slope]:
    return np.where(x > 0, x, alpha * x), lambda: np.where(x > 0, x.dtype.type(1), x.dtype.type(alpha))


def _silu(x: Array, alpha: float) -> tuple[Array, Slope]:
    s = kernel(_core.sigmoid, x)
    return x * s, lambda: s * (1 + x * (1 - s))


def _gelu(x: Array, alpha: float) -> tuple[Array, Slope]:
    erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(x * math.sqrt(0.5))).astype(x.dtype)  # NumPy has none
    below = 0.5 * (1 + erf)
    return x * below, lambda: below + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh(x: Array, alpha: float) -> tuple[Array, Slope]:
    scale = math.sqrt(2 / math.pi)
    t = kernel(_core.tanh, scale * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + t), lambda: 0.5 * (1 + t) + 0.5 * scale * x * (1 - t * t) * (1 + 0.134145 * x * x)


FUNCTIONS: dict[str, Callable[[Array, float], tuple[Array, Slope]]] = {
    "linear": _identity,
    "identity": _identity,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "hard_sigmoid_keras2": _hard_sigmoid_keras2,
    "hard_sigmoid_keras3": _hard_sigmoid_keras3,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": _exponential,
    "leaky_relu": _leaky_relu,
    "swish": _silu,
    "silu": _silu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
}
# torch's defaults; Keras has 0.2 for leaky_relu, or 0.3 in its layer.
ALPHAS = {"elu": 1.0, "leaky_relu": 0.01}


def kernel(function: Callable[[Array], Array], x: Array) -> Array:
    """tanh or sigmoid of the recurrent layers' own kernels, the same bits on every machine."""
    return function(np.ascontiguousarray(x).reshape(-1)).reshape(x.shape)


class Activation(Layer):
    """A function of each element, by name.

    Args:
        name: linear or identity, relu, sigmoid, tanh, hard_sigmoid_keras2 (clip(0.2 x + 0.5)),
            hard_sigmoid_keras3 (relu6(x + 3) / 6), elu, selu, softplus, softsign, exponential, leaky_relu, swish
            or silu, gelu (by the error function), gelu_tanh (its approximation).
        alpha: of elu (1.0 if None) and leaky_relu (torch's 0.01 if None): the slope or scale below zero.

    Raises:
        ValueError: for another name, or alpha for a function that has none.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Activation("leaky_relu", alpha=0.2)(np.array([-1.0, 0.0, 2.0]))
        array([-0.2,  0. ,  2. ])
    """

    def __init__(self, name: str, alpha: float | None = None) -> None:
        super().__init__()
        if not isinstance(name, str) or name not in FUNCTIONS:
            raise ValueError(f"name should be one of {', '.join(FUNCTIONS)}, got {name!r}")
        if alpha is not None and (
            name not in ALPHAS or isinstance(alpha, bool) or not isinstance(alpha, (int, float))
        ):
            raise ValueError(f"alpha should be a number, for {' or '.join(ALPHAS)}; got {alpha!r} for {name}")
        self.name, self.alpha = name, alpha

    def _forward(self, input: Array) -> tuple[Array, Back]:
        alpha = ALPHAS.get(self.name, 0.0) if self.alpha is None else self.alpha
        output, slope = FUNCTIONS[self.name](input, alpha)
        return output, lambda grad: grad * slope()


class _Named(Activation):
    """An activation with a class of its own, as in torch.nn."""

    _function = "identity"

    def __init__(self) -> None:
        super().__init__(self._function)

    def extra_repr(self) -> str:
        return ""


class ReLU(_Named):
    """max(x, 0): torch.nn.ReLU.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.ReLU()(np.array([-1.0, 2.0]))
        array([0., 2.])
    """

    _function = "relu"


class Sigmoid(_Named):
    """1 / (1 + exp(-x)) by the kernels of the recurrent layers: torch.nn.Sigmoid.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
        array([0. , 0.5, 1. ])
    """

    _function = "sigmoid"


class Tanh(_Named):
    """tanh(x) by the kernels of the recurrent layers: torch.nn.Tanh.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Tanh()(np.array([-1000.0, 0.0, 1000.0]))
        array([-1.,  0.,  1.])
    """

    _function = "tanh"


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along one axis: torch.nn.Softmax.

    Args:
        dim: the axis of the sum.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Softmax()(np.array([[1000.0, 1000.0]]))
        array([[0.5, 0.5]])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise TypeError(f"dim should be of type int, got: {type(dim).__name__}")
        self.dim = dim

    def _forward(self, input: Array) -> tuple[Array, Back]:
        if not -input.ndim <= self.dim < input.ndim:
            raise ValueError(f"Softmax: there is no axis {self.dim} in an input of shape {input.shape}")
        shifted = input - input.max(axis=self.dim, keepdims=True, initial=-np.inf)
        powers = np.exp(shifted)
        output = powers / powers.sum(axis=self.dim, keepdims=True)

        def back(grad: Array) -> Any:
            return output * (grad - (grad * output).sum(axis=self.dim, keepdims=True))

        return output, back
