"""The losses of torch.nn.functional on NumPy arrays: each returns its value and its gradient with respect to `input`.

`reduction="mean"` divides the sum over all elements by their number. Cross entropy divides by the number of
distributions; if targets are class indices, by the sum of the weights of those not ignored. Values are summed in
float64 and returned as a float; a gradient has the dtype and the shape of `input`. Target and input must have one
shape: where torch warns and broadcasts, these raise an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .loss_inputs import Loss, Reduction, classes_of, over_classes, pair, quiet, reduced


@quiet
def mse_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Mean squared error.

        mean of (input - target)^2

    Args:
        input: predictions, any shape.
        target: values of the shape of `input`.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if the shapes differ or are empty, or the reduction is unknown.
        TypeError: if `input` is no floating-point array.

    Example:
        >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        (2.0, array([ 0., -2.]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html
    """
    input, target = pair("mse_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    return reduced(input, difference * difference, 2 * difference, reduction)


@quiet
def l1_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Mean absolute error; its gradient at 0 is 0. Arguments, result and errors are those of `mse_loss`.

        mean of |input - target|

    Example:
        >>> l1_loss(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
        (1.0, array([ 0. , -0.5]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html
    """
    input, target = pair("l1_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    return reduced(input, np.abs(difference), np.sign(difference), reduction)


@quiet
def huber_loss(input: Any, target: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Loss:
    """Squared error near the target, absolute error far from it, so that outliers have gradients of at most `delta`.

    With d = input - target, the mean of

        d^2 / 2                        where |d| <= delta
        delta * (|d| - delta / 2)      elsewhere

    Args:
        input: predictions, any shape.
        target: values of the shape of `input`.
        reduction: "mean" or "sum" over all elements.
        delta: the |d| at which the form changes, in the units of `input`; positive.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: as for `mse_loss`, and if `delta` is not positive.

    Example:
        >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="sum")
        (2.625, array([0.5, 1. ]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html
    """
    if not delta > 0:
        raise ValueError(f"huber_loss does not support non-positive values for delta, got {delta}.")
    input, target = pair("huber_loss", input, target)
    difference = np.subtract(input, target, dtype=np.float64)
    size = np.abs(difference)
    each = np.where(size <= delta, 0.5 * difference * difference, delta * (size - 0.5 * delta))
    return reduced(input, each, np.clip(difference, -delta, delta), reduction)


@quiet
def bce_with_logits(input: Any, target: Any, reduction: Reduction = "mean") -> Loss:
    """Binary cross entropy of logits: torch's `binary_cross_entropy_with_logits`.

    With logits x and targets t, the mean of

        max(x, 0) - x t + log(1 + exp(-|x|))

    Args:
        input: logits, any shape.
        target: probabilities of the class 1, shaped as `input`.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if the shapes differ or are empty, or the reduction is unknown.

    Example:
        >>> value, gradient = bce_with_logits(np.array([0.0, 100.0]), np.array([1.0, 1.0]), reduction="sum")
        >>> round(value, 6), gradient
        (0.693147, array([-0.5,  0. ]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
    """
    input, target = pair("bce_with_logits", input, target)
    logits = input.astype(np.float64)
    tail = np.exp(-np.abs(logits))  # at most 1, so it cannot overflow
    each = np.maximum(logits, 0) - logits * target + np.log1p(tail)
    sigmoid = np.where(logits >= 0, 1, tail) / (1 + tail)
    return reduced(input, each, sigmoid - target, reduction)


@quiet
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

    With logits x and the target distribution q (1 at a class index, 0 elsewhere), the mean of

        -sum over c of weight_c q_c log softmax(x)_c

    Args:
        input: logits [N,C], [N,C,d1,...] or [C]; or with the classes at another `dim`.
        target: integer class indices, shaped as `input` without the class dimension or with size 1 there; or
            probabilities, shaped as `input`, floating-point or one-hot integers.
        weight: [C], a weight for each class.
        ignore_index: the class index that marks elements to leave out, such as padding.
        reduction: "mean" or "sum".
        dim: the axis of the classes. In torch it is always 1; for a network's output [T,B,C] it is -1:
            `functools.partial(cross_entropy, dim=-1)`.

    Returns:
        The value (nan for the mean if all is ignored, as in torch), and its gradient with respect to `input`.

    Raises:
        ValueError: if shapes do not fit, or the reduction is unknown.
        IndexError: for a class index outside [0, C).

    Example:
        >>> value, gradient = cross_entropy(np.zeros((1, 2)), np.array([1]))
        >>> round(value, 6), gradient
        (0.693147, array([[ 0.5, -0.5]]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
    """
    found = classes_of("cross_entropy", input, target, weight, ignore_index, dim)
    shifted = found.values - found.values.max(axis=-1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    # A class of target 0 adds 0 even if its logit is -inf, where the product would be NaN.
    value = -float(np.where(found.wanted != 0, log_softmax * found.wanted, 0).sum(dtype=np.float64))
    gradient = np.exp(log_softmax) * found.wanted.sum(axis=-1, keepdims=True) - found.wanted
    return over_classes(found, value, gradient, found.values.dtype, reduction)
