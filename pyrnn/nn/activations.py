"""Activations apply a function to each element; Softmax and LogSoftmax work along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_int, is_number
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .layer import Back, Layer, kept

# Maps names here to the kernels' functions in csrc/cells/elementwise.h, which give the same bits on every machine.
KERNELS = {
    "linear": "identity",
    "swish": "silu",
    **{
        name: name
        for name in (
            "identity", "relu", "sigmoid", "tanh", "hard_sigmoid_keras2", "hard_sigmoid_keras3", "elu", "selu",
            "softsign", "exponential", "leaky_relu", "silu", "gelu_tanh",
        )
    },
}  # fmt: skip


def _kernel(name: str) -> Callable[[Any], Array]:
    """Returns a kernel function that takes NumPy scalars too, which NumPy makes of arrays without axes."""

    def function(x: Any) -> Array:
        found: Array = _core.activate(name, np.asarray(x))
        return found

    return function


_exp, _tanh, _sigmoid = map(_kernel, ("exponential", "tanh", "sigmoid"))


def _softplus(x: Array) -> Array:
    found: Array = np.logaddexp(x, x.dtype.type(0))
    return found


def _gelu(x: Array) -> Array:
    return x * _normal_cdf(x)


def _normal_cdf(x: Array) -> Array:
    erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(x * math.sqrt(0.5))).astype(x.dtype)  # NumPy has no erf
    below: Array = 0.5 * (1 + erf)
    return below


# These use NumPy's exp and log, whose last bit differs from machine to machine.
OTHERS = {"softplus": _softplus, "gelu": _gelu}


# Computes the gradient with respect to x from the gradient with respect to y = f(x), x, y and alpha. Where torch
# selects, the functions below select too (np.where, kept), because a slope of 0 times infinity would be NaN; where
# torch multiplies, they multiply.
Slope = Callable[[Array, Array, Array, Any], Array]


def _elu_back(grad: Array, x: Array, alpha: float, scale: float = 1.0) -> Array:
    # alpha e^x equals y + alpha, but the latter rounds to 0 for x below -17.
    below = grad * (x.dtype.type(alpha * scale) * _exp(np.minimum(x, 0)))
    found: Array = np.where(x <= 0, below, grad * x.dtype.type(scale))  # NaN counts as x > 0
    return found


def _softplus_back(grad: Array, x: Array) -> Array:
    e = _exp(-np.abs(x))  # at most 1, so it cannot overflow
    found: Array = grad * (np.where(x >= 0, x.dtype.type(1), e) / (1 + e))
    return found


def _softsign_back(grad: Array, x: Array) -> Array:
    below, zero = 1 + np.abs(x), x.dtype.type(0)
    # The second term is 0, or NaN for an infinite x or gradient, as torch's is.
    second = np.where(np.isfinite(grad), zero * (x / below), zero * np.nan)
    found: Array = grad / np.square(below) + second
    return found


def _gelu_back(grad: Array, x: Array) -> Array:
    return grad * (_normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


def _gelu_tanh_back(grad: Array, x: Array) -> Array:
    scale = math.sqrt(2 / math.pi)
    t = _tanh(scale * (x + 0.044715 * x * x * x))
    slope: Array = 0.5 * (1 + t) + 0.5 * scale * x * (1 - t * t) * (1 + 0.134145 * x * x)
    return grad * slope


def _silu_back(grad: Array, x: Array) -> Array:
    s = _sigmoid(x)
    found: Array = grad * (s * (1 + x * (1 - s)))
    return found


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017, arXiv:1706.02515
BACKWARD: dict[str, Slope] = {
    "linear": lambda grad, x, y, alpha: grad,
    "identity": lambda grad, x, y, alpha: grad,
    "relu": lambda grad, x, y, alpha: kept(grad, ~(y <= 0)),
    "sigmoid": lambda grad, x, y, alpha: grad * (y * (1 - y)),
    "tanh": lambda grad, x, y, alpha: grad * (1 - y * y),
    "hard_sigmoid_keras2": lambda grad, x, y, alpha: kept(grad * x.dtype.type(0.2), np.abs(x) < 2.5),
    "hard_sigmoid_keras3": lambda grad, x, y, alpha: kept(grad * x.dtype.type(1 / 6), np.abs(x) < 3),
    "elu": lambda grad, x, y, alpha: _elu_back(grad, x, alpha),
    "selu": lambda grad, x, y, alpha: _elu_back(grad, x, _SELU_ALPHA, _SELU_SCALE),
    "softplus": lambda grad, x, y, alpha: _softplus_back(grad, x),
    "softsign": lambda grad, x, y, alpha: _softsign_back(grad, x),
    "exponential": lambda grad, x, y, alpha: grad * y,
    "leaky_relu": lambda grad, x, y, alpha: np.where(x > 0, grad, grad * x.dtype.type(alpha)),
    "swish": lambda grad, x, y, alpha: _silu_back(grad, x),
    "silu": lambda grad, x, y, alpha: _silu_back(grad, x),
    "gelu": lambda grad, x, y, alpha: _gelu_back(grad, x),
    "gelu_tanh": lambda grad, x, y, alpha: _gelu_tanh_back(grad, x),
}
# These are torch's defaults; for leaky_relu Keras has 0.2 in its function and 0.3 in its layer.
ALPHAS = {"elu": 1.0, "leaky_relu": 0.01}


class Activation(Layer):
    """Applies a function, chosen by name, to each element.

    Args:
        name: "linear" or "identity", "relu", "sigmoid", "tanh", "hard_sigmoid_keras2" (clip(0.2 x + 0.5, 0, 1)),
            "hard_sigmoid_keras3" (relu6(x + 3) / 6), "elu", "selu", "softplus", "softsign", "exponential",
            "leaky_relu", "swish" or "silu", "gelu" (with the error function) or "gelu_tanh" (approximated with tanh).
        alpha: the scale below zero of elu (None for 1.0) or the slope below zero of leaky_relu (None for 0.01, as in
            torch).

    Raises:
        ValueError: for another name, or alpha for a function that has none.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Activation("leaky_relu", alpha=0.2)(np.array([-1.0, 0.0, 2.0]))
        array([-0.2,  0. ,  2. ])
    """

    def __init__(self, name: str, alpha: float | None = None) -> None:
        super().__init__()
        if not isinstance(name, str) or name not in BACKWARD:
            raise ValueError(f"name should be one of {', '.join(BACKWARD)}, got {brief(name)}")
        if alpha is not None and (name not in ALPHAS or not is_number(alpha)):
            raise ValueError(f"alpha should be a number, for {' or '.join(ALPHAS)}; got {brief(alpha)} for {name}")
        self.name, self.alpha = name, None if alpha is None else float(alpha)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        alpha = ALPHAS.get(self.name, 0.0) if self.alpha is None else self.alpha
        name = self.name
        output = _core.activate(KERNELS[name], input, alpha) if name in KERNELS else OTHERS[name](input)
        return np.asarray(output), lambda grad: BACKWARD[name](grad, input, output, alpha)


class _Named(Activation):
    """Base class of the activations that have a class of their own, as in torch.nn."""

    _function = "identity"

    def __init__(self) -> None:
        super().__init__(self._function)

    def extra_repr(self) -> str:
        return ""


class ReLU(_Named):
    """Rectified linear unit: torch.nn.ReLU on NumPy arrays.

        y = max(x, 0)

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.ReLU()(np.array([-1.0, 2.0]))
        array([0., 2.])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    _function = "relu"


class Sigmoid(_Named):
    """Logistic sigmoid, by the kernels of the recurrent layers: torch.nn.Sigmoid on NumPy arrays.

        y = 1 / (1 + exp(-x))

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Sigmoid()(np.array([-1000.0, 0.0, 1000.0]))
        array([0. , 0.5, 1. ])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    _function = "sigmoid"


class Tanh(_Named):
    """Hyperbolic tangent, by the kernels of the recurrent layers: torch.nn.Tanh on NumPy arrays.

        y = tanh(x)

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Tanh()(np.array([-1000.0, 0.0, 1000.0]))
        array([-1.,  0.,  1.])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    _function = "tanh"


class AlongAxis(Layer):
    """Base class of Softmax and LogSoftmax, which sum along the axis `dim`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        check_int("dim", dim)
        self.dim = dim

    def _check_axis(self, input: Array) -> None:
        if not -input.ndim <= self.dim < input.ndim:
            raise ValueError(f"{type(self).__name__}: there is no axis {self.dim} in an input of shape {input.shape}")


class Softmax(AlongAxis):
    """Makes positive numbers that sum to 1 along one axis: torch.nn.Softmax on NumPy arrays.

        y_i = exp(x_i) / sum over j of exp(x_j)

    Args:
        dim: the axis of the sum.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Softmax()(np.array([[1000.0, 1000.0]]))
        array([[0.5, 0.5]])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        self._check_axis(input)
        output = np.moveaxis(_core.softmax(np.moveaxis(input, self.dim, -1)), -1, self.dim)

        def back(grad: Array) -> Any:
            return output * (grad - (grad * output).sum(axis=self.dim, keepdims=True))

        return output, back


class LogSoftmax(AlongAxis):
    """Logarithm of the softmax along one axis, computed without overflow: torch.nn.LogSoftmax on NumPy arrays.

        y_i = x_i - log(sum over j of exp(x_j))

    Args:
        dim: the axis of the sum.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.LogSoftmax()(np.array([[1000.0, 1000.0]])).round(6)
        array([[-0.693147, -0.693147]])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        self._check_axis(input)
        with np.errstate(invalid="ignore"):  # an axis that holds infinity becomes NaN, as in torch
            shifted = input - input.max(axis=self.dim, keepdims=True, initial=-np.inf)  # for an empty axis
        output = shifted - np.log(np.exp(shifted).sum(axis=self.dim, keepdims=True))

        def back(grad: Array) -> Any:
            return grad - np.exp(output) * grad.sum(axis=self.dim, keepdims=True)

        return output, back
