"""Activations: functions of one element, and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .layer import Back, Layer, kept

# The kernels' functions, the same bits on every machine (csrc/cells/elementwise.h), by their names there.
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
    """A function of the kernels; of an array without axes NumPy's own functions give a number, hence asarray."""

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
    erf = np.asarray(np.frompyfunc(math.erf, 1, 1)(x * math.sqrt(0.5))).astype(x.dtype)  # NumPy has none
    below: Array = 0.5 * (1 + erf)
    return below


# The others are NumPy's, whose exp and log differ from machine to machine in the last bit.
OTHERS = {"softplus": _softplus, "gelu": _gelu}


# The way back of each function: grad to the gradient of x, of grad, x, y = f(x) and alpha. Where torch selects, these
# select (np.where, kept), because a slope of 0 times infinity would be NaN; where torch multiplies, they multiply.
Slope = Callable[[Array, Array, Array, Any], Array]


def _elu_back(grad: Array, x: Array, alpha: float, scale: float = 1.0) -> Array:
    # alpha e^x, and not y + alpha, which is 0 from x = -17 on
    below = grad * (x.dtype.type(alpha * scale) * _exp(np.minimum(x, 0)))
    found: Array = np.where(x <= 0, below, grad * x.dtype.type(scale))  # at NaN the gradient passes
    return found


def _softplus_back(grad: Array, x: Array) -> Array:
    e = _exp(-np.abs(x))  # in (0, 1]: cannot overflow
    found: Array = grad * (np.where(x >= 0, x.dtype.type(1), e) / (1 + e))
    return found


def _softsign_back(grad: Array, x: Array) -> Array:
    below, zero = 1 + np.abs(x), x.dtype.type(0)
    # torch's second term is NaN for an infinite x, as softsign itself is, and for an infinite gradient
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
# torch's defaults; Keras has 0.2 for leaky_relu, or 0.3 in its layer.
ALPHAS = {"elu": 1.0, "leaky_relu": 0.01}


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
        if not isinstance(name, str) or name not in BACKWARD:
            raise ValueError(f"name should be one of {', '.join(BACKWARD)}, got {brief(name)}")
        if alpha is not None and (
            name not in ALPHAS or isinstance(alpha, bool) or not isinstance(alpha, (int, float))
        ):
            raise ValueError(f"alpha should be a number, for {' or '.join(ALPHAS)}; got {brief(alpha)} for {name}")
        self.name, self.alpha = name, alpha

    def _forward(self, input: Array) -> tuple[Array, Back]:
        alpha = ALPHAS.get(self.name, 0.0) if self.alpha is None else self.alpha
        name = self.name
        output = _core.activate(KERNELS[name], input, alpha) if name in KERNELS else OTHERS[name](input)
        return np.asarray(output), lambda grad: BACKWARD[name](grad, input, output, alpha)


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


class AlongAxis(Layer):
    """What Softmax and LogSoftmax share: the axis `dim` of the sum."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise TypeError(f"dim should be of type int, got: {type(dim).__name__}")
        self.dim = dim

    def _check_axis(self, input: Array) -> None:
        if not -input.ndim <= self.dim < input.ndim:
            raise ValueError(f"{type(self).__name__}: there is no axis {self.dim} in an input of shape {input.shape}")


class Softmax(AlongAxis):
    """exp(x) / sum(exp(x)) along one axis: torch.nn.Softmax.

    Args:
        dim: the axis of the sum.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.Softmax()(np.array([[1000.0, 1000.0]]))
        array([[0.5, 0.5]])
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        self._check_axis(input)
        output = np.moveaxis(_core.softmax(np.moveaxis(input, self.dim, -1)), -1, self.dim)

        def back(grad: Array) -> Any:
            return output * (grad - (grad * output).sum(axis=self.dim, keepdims=True))

        return output, back


class LogSoftmax(AlongAxis):
    """log(softmax(x)) along one axis, without the overflow of either: torch.nn.LogSoftmax.

    Args:
        dim: the axis of the sum.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.LogSoftmax()(np.array([[1000.0, 1000.0]])).round(6)
        array([[-0.693147, -0.693147]])
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        self._check_axis(input)
        with np.errstate(invalid="ignore"):  # an axis that holds infinity gives NaN, as torch's
            shifted = input - input.max(axis=self.dim, keepdims=True, initial=-np.inf)  # an empty axis has no maximum
        output = shifted - np.log(np.exp(shifted).sum(axis=self.dim, keepdims=True))

        def back(grad: Array) -> Any:
            return grad - np.exp(output) * grad.sum(axis=self.dim, keepdims=True)

        return output, back
