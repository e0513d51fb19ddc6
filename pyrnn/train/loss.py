"""Losses of torch.nn.functional: each returns its value and its gradient with respect to `input`.

    mse    d^2                                       d = input - target
    l1     |d|
    huber  d^2 / 2 where |d| <= delta, else delta * (|d| - delta / 2)
    cross entropy    -sum_c weight_c q_c log softmax(x)_c         x logits, q the target distribution
    bce              max(x, 0) - x t + log(1 + exp(-|x|))         x logits, t the target in [0, 1]

`reduction="mean"` divides the sum over all elements by their number; for cross entropy by the number of
distributions or, where targets are class indices, by the sum of the weights of those not ignored. Values are
summed in float64 and returned as a float; a gradient has the dtype and the shape of `input`. Target and input
must have one shape: torch warns where they broadcast, here it is an error.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ..module import Array, to_array

Reduction = Literal["mean", "sum"]
Loss = tuple[float, Array]

# A run that diverges overflows; it should show as a loss that is not finite, not as a warning from inside.
_quiet = np.errstate(over="ignore", invalid="ignore")


@_quiet
def mse_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Mean squared error.

    Args:
        input: predictions, any shape.
        target: as `input`.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if the shapes differ or are empty, or the reduction is unknown.
        TypeError: if `input` is no floating-point array.

    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    (2.0, array([ 0., -2.]))
    """
    input, target = _pair("mse_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    return _reduced(input, difference * difference, 2 * difference, reduction)


@_quiet
def l1_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Mean absolute error; its gradient at 0 is 0. Arguments, result and errors as for `mse_loss`.

    >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    (1.0, array([ 0. , -0.5]))
    """
    input, target = _pair("l1_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    return _reduced(input, np.abs(difference), np.sign(difference), reduction)


@_quiet
def huber_loss(input: Any, target: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Loss:
    """Squared near the target, absolute far from it: outliers pull no harder than `delta`.

    Args:
        input: predictions, any shape.
        target: as `input`.
        reduction: "mean" or "sum" over all elements.
        delta: where the one form gives way to the other, in the units of `input`; positive.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: as for `mse_loss`, and if `delta` is not positive.

    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="sum")
    (2.625, array([0.5, 1. ]))
    """
    if not delta > 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    input, target = _pair("huber_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    size = np.abs(difference)
    each = np.where(size <= delta, 0.5 * difference * difference, delta * (size - 0.5 * delta))
    return _reduced(input, each, np.clip(difference, -delta, delta), reduction)


@_quiet
def bce_with_logits(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Binary cross entropy of logits; torch's `binary_cross_entropy_with_logits`.

    Args:
        input: logits, any shape.
        target: probabilities of the class 1, shaped as `input`.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if the shapes differ or are empty, or the reduction is unknown.

    >>> value, gradient = bce_with_logits(np.array([0.0, 100.0]), np.array([1.0, 1.0]), reduction="sum")
    >>> round(value, 6), gradient
    (0.693147, array([-0.5,  0. ]))
    """
    input, target = _pair("bce_with_logits", input, target)
    logits = input.astype(np.float64)
    tail = np.exp(-np.abs(logits))  # in (0, 1]: cannot overflow
    each = np.maximum(logits, 0) - logits * target + np.log1p(tail)
    sigmoid = np.where(logits >= 0, 1, tail) / (1 + tail)
    return _reduced(input, each, sigmoid - target, reduction)


@_quiet
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    dim: int = 1,
) -> Loss:
    """Cross entropy of logits with class indices or class probabilities.

    Args:
        input: logits [N,C], [N,C,d1,...] or [C]; or with the classes at another `dim`.
        target: integer class indices, shaped as `input` without the class dimension; or floating-point
            probabilities, shaped as `input`.
        weight: [C], a weight for each class.
        ignore_index: class index whose elements count for nothing, as padding does.
        reduction: "mean" or "sum".
        dim: where the classes are. torch always has them at 1; a network's output [T,B,C] has them at -1:
            `functools.partial(cross_entropy, dim=-1)`.

    Returns:
        The value (nan for the mean if all is ignored, as in torch), and its gradient with respect to `input`.

    Raises:
        ValueError: if shapes do not fit, or the reduction is unknown.
        IndexError: for a class index outside [0, C).

    >>> value, gradient = cross_entropy(np.zeros((1, 2)), np.array([1]))
    >>> round(value, 6), gradient
    (0.693147, array([[ 0.5, -0.5]]))
    """
    input, target = _floating("cross_entropy", input), to_array(target, "target")
    axis = 0 if input.ndim == 1 else dim
    if not -input.ndim <= axis < input.ndim:
        raise ValueError(f"cross_entropy looks for the classes at dim {dim}; input has shape {input.shape}.")
    logits = np.moveaxis(input, axis, -1)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    weights = _class_weights(weight, logits)
    if target.dtype.kind == "f":
        _same_shape("cross_entropy with class probabilities", input, target)
        wanted = np.moveaxis(target, axis, -1) * weights
        count = float(logits[..., 0].size)
    else:
        wanted = _one_hot(input, target, logits, ignore_index) * weights
        count = float(wanted.sum(dtype=np.float64))
    # A class that is not wanted adds 0 even where its logit is -inf.
    value = -float(np.where(wanted != 0, log_softmax * wanted, 0).sum(dtype=np.float64))
    gradient = np.exp(log_softmax) * wanted.sum(axis=-1, keepdims=True) - wanted
    if _is_mean(reduction):
        value = value / count if count else math.nan
        gradient = gradient / (count or 1.0)
    return value, np.ascontiguousarray(np.moveaxis(gradient, -1, axis), dtype=input.dtype)


def _class_weights(weight: Any, logits: Array) -> Array:
    """[C], ones if none are given."""
    classes = logits.shape[-1]
    if weight is None:
        return np.ones(classes, logits.dtype)
    weights = to_array(weight, "weight")
    if weights.shape != (classes,):
        raise ValueError(f"weight should have shape ({classes},), one number a class, got {weights.shape}.")
    return weights.astype(logits.dtype)


def _one_hot(input: Array, target: Array, logits: Array, ignore_index: int) -> Array:
    """[...,C]: 1 at each target's class, 0 elsewhere and for the ignored."""
    if target.shape != logits.shape[:-1]:
        raise ValueError(
            f"cross_entropy with class indices expects a target of shape {logits.shape[:-1]}, input's "
            f"{input.shape} without the class dimension; got {target.shape}. If the classes are at another "
            "place, say so with dim, as in dim=-1."
        )
    classes, counted = logits.shape[-1], target != ignore_index
    outside = target[counted & ((target < 0) | (target >= classes))]
    if outside.size:
        raise IndexError(f"Target {outside[0]} is out of bounds: the classes are 0 to {classes - 1}.")
    one_hot = np.zeros(logits.shape, logits.dtype)
    index = np.where(counted, target, 0)[..., None]
    np.put_along_axis(one_hot, index, counted[..., None].astype(logits.dtype), axis=-1)
    return one_hot


def _floating(name: str, input: Any) -> Array:
    array = to_array(input, "input")
    if array.dtype.kind != "f":
        raise TypeError(f"{name} expects a floating-point input, got {array.dtype}.")
    if array.size == 0:
        raise ValueError(f"{name} expects an input with elements, got shape {array.shape}.")
    return array


def _pair(name: str, input: Any, target: Any) -> tuple[Array, Array]:
    arrays = _floating(name, input), to_array(target, "target")
    _same_shape(name, *arrays)
    return arrays


def _same_shape(name: str, input: Array, target: Array) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{name} expects input and target of one shape, got input {input.shape} and target "
            f"{target.shape}: they are not broadcast. Reshape the target to what the model gives out."
        )


def _reduced(input: Array, each: Array, slope: Array, reduction: Reduction) -> Loss:
    """The sum or mean of `each`, and of its derivative `slope` what belongs to every element of `input`."""
    count = input.size if _is_mean(reduction) else 1
    return float(each.sum()) / count, np.asarray(slope / count).astype(input.dtype)


def _is_mean(reduction: Reduction) -> bool:
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction should be "mean" or "sum", got {reduction!r}.')
    return reduction == "mean"
