"""The losses share these functions, which check input and target and compute sums and means."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from pyrnn.checks.arguments import check_int
from pyrnn.checks.arrays import Array, as_array, to_array
from pyrnn.checks.quiet import Quiet
from pyrnn.checks.quoting import brief
from pyrnn.nn.embedding import OutOfRangeError

Reduction = Literal["mean", "sum"]
Loss = tuple[float, Array]

# If training diverges, numbers overflow. The caller should see a loss that is not finite, not NumPy's warnings.
quiet = Quiet(over="ignore", invalid="ignore")


class Classes(NamedTuple):
    """The arrays that a loss over classes compares, with the classes on the last axis.

    Attributes:
        values: the input, [...,C].
        wanted: the target distribution times the weights of the classes, [...,C]; zeros where it is ignored.
        divisor: the number by which a mean divides.
        axis: the axis of the classes in the input.
    """

    values: Array
    wanted: Array
    divisor: float
    axis: int


def classes_of(name: str, input: Any, target: Any, weight: Any, ignore_index: int, dim: int) -> Classes:
    """Checks input and target of a loss over classes; `name` is the loss in errors."""
    check_int("ignore_index", ignore_index)
    check_int("dim", dim)
    input, target = floating(name, input), numbers("target", target)
    axis = 0 if input.ndim == 1 else dim
    if not -input.ndim <= axis < input.ndim:
        raise ValueError(f"{name} looks for the classes at dim {dim}; input has shape {input.shape}.")
    values = np.moveaxis(input, axis, -1)
    weights = _class_weights(weight, values)
    target = _as_indices(name, target, input, axis)
    if target.dtype.kind == "f" or _is_one_hot(target, input, axis):
        same_shape(f"{name} with class probabilities", input, target)
        wanted = np.moveaxis(target, axis, -1) * weights
        count = float(values[..., 0].size)
    else:
        wanted = _one_hot(name, input, target, values, ignore_index) * weights
        count = float(wanted.sum(dtype=np.float64))
    return Classes(values, wanted, count, axis)


def over_classes(classes: Classes, value: float, gradient: Array, dtype: Any, reduction: Reduction) -> Loss:
    """Returns the sum or mean, and its gradient [...,C] with the classes back on their own axis."""
    if is_mean(reduction):
        value = value / classes.divisor if classes.divisor else float("nan")
        gradient = gradient / (classes.divisor or 1.0)
    return value, np.ascontiguousarray(np.moveaxis(gradient, -1, classes.axis), dtype=dtype)


def _as_indices(name: str, target: Array, input: Array, axis: int) -> Array:
    """Returns class indices as integers, without the class axis of size 1 that tables and Keras have.

    Distributions, shaped as the input, come back as they are.
    """
    if target.shape == input.shape:
        return target
    if target.ndim == input.ndim and target.shape[axis] == 1:
        target = target.squeeze(axis)
    if target.dtype.kind != "f" or target.ndim != input.ndim - 1:
        return target
    if not (target == np.floor(target)).all():
        raise ValueError(
            f"{name} takes class indices as integers, got numbers with fractions in target {target.shape}."
        )
    return target.astype(np.int64)


def _is_one_hot(target: Array, input: Array, axis: int) -> bool:
    """Whether integers are no class indices, but 1 for one class of each sample and 0 for the others."""
    if target.shape != input.shape or input.shape[axis] < 2:
        return False
    return bool(((target == 0) | (target == 1)).all() and (target.sum(axis=axis) == 1).all())


def _class_weights(weight: Any, values: Array) -> Array:
    """Returns the weights [C], ones if none are given."""
    classes = values.shape[-1]
    if weight is None:
        return np.ones(classes, values.dtype)
    weights = to_array(weight, "weight")
    if weights.shape != (classes,):
        raise ValueError(f"weight should have shape ({classes},), one number a class, got {weights.shape}.")
    return weights.astype(values.dtype)


def _one_hot(name: str, input: Array, target: Array, values: Array, ignore_index: int) -> Array:
    """Returns [...,C]: 1 at each target's class, 0 elsewhere and for ignored targets."""
    if target.shape != values.shape[:-1]:
        raise ValueError(
            f"{name} with class indices expects a target of shape {values.shape[:-1]}, input's "
            f"{input.shape} without the class dimension; got {target.shape}. If the classes are at another "
            "place, say so with dim, as in dim=-1."
        )
    classes, counted = values.shape[-1], target != ignore_index
    outside = target[counted & ((target < 0) | (target >= classes))]
    if outside.size:
        hint = " With one output for two classes, use bce_with_logits." if classes == 1 else ""
        raise OutOfRangeError(f"Target {outside[0]} is out of bounds: the classes are 0 to {classes - 1}.{hint}")
    one_hot = np.zeros(values.shape, values.dtype)
    index = np.where(counted, target, 0)[..., None]
    np.put_along_axis(one_hot, index, counted[..., None].astype(values.dtype), axis=-1)
    return one_hot


def numbers(what: str, value: Any) -> Array:
    """Returns an array of numbers; bools become 0 and 1."""
    array = as_array(value, what)
    return array.astype(np.int64) if array.dtype.kind == "b" else array


def floating(name: str, input: Any) -> Array:
    """Returns a floating-point array of at least one element, or raises an error."""
    array = to_array(input, "input")
    if array.dtype.kind != "f":
        raise TypeError(f"{name} expects a floating-point input, got {array.dtype}.")
    if array.size == 0:
        raise ValueError(f"{name} expects an input with elements, got shape {array.shape}.")
    return array


def pair(name: str, input: Any, target: Any) -> tuple[Array, Array]:
    """Returns input and target, which must have one shape."""
    arrays = floating(name, input), numbers("target", target)
    same_shape(name, *arrays)
    return arrays


def same_shape(name: str, input: Array, target: Array) -> None:
    """Raises ValueError if the shapes differ."""
    if input.shape == target.shape:
        return
    advice = "Reshape the target to what the model gives out."
    if (*target.shape, 1) == input.shape:
        advice = "Write target[..., None] to give the target the model's last axis."
    raise ValueError(
        f"{name} expects input and target of one shape, got input {input.shape} and target "
        f"{target.shape}: they are not broadcast. {advice}"
    )


def reduced(input: Array, each: Array, slope: Array, reduction: Reduction) -> Loss:
    """Returns the sum or mean of `each`, and its gradient, given the derivative `slope` of `each`."""
    count = input.size if is_mean(reduction) else 1
    return float(each.sum()) / count, np.asarray(slope / count).astype(input.dtype)


def is_mean(reduction: Reduction) -> bool:
    """Whether to divide by the count; raises ValueError for an unknown reduction."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction should be "mean" or "sum", got {brief(reduction)}.')
    return reduction == "mean"
