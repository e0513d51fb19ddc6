"""Losses of probabilities and log-probabilities, for networks that end with Softmax, Sigmoid or LogSoftmax.

`cross_entropy` and `bce_with_logits`, on a network without that last layer, are more accurate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array

from .loss_inputs import Loss, Reduction, classes_of, over_classes, pair, quiet, reduced

SMALLEST = float(np.float32(1e-12))  # torch's divisor of bce's gradient at 0 and 1, a float32 even for float64


@quiet
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    dim: int = 1,
) -> Loss:
    """Negative log likelihood of class indices: torch's `nll_loss`.

    With log-probabilities x and classes t, the mean of

        -weight_t x_t

    Args:
        input: log-probabilities [N,C], [N,C,d1,...] or [C], as nn.LogSoftmax returns them.
        target: integer class indices, shaped as `input` without the class dimension or with size 1 there.
        weight: [C], a weight for each class.
        ignore_index: the class index that marks elements to leave out.
        reduction: "mean" or "sum".
        dim: the axis of the classes.

    Returns:
        The value (nan for the mean if all is ignored, as in torch), and its gradient with respect to `input`.

    Raises:
        ValueError: if shapes do not fit, or the reduction is unknown.
        IndexError: for a class index outside [0, C).

    Example:
        >>> nll_loss(np.log([[0.25, 0.75]]), np.array([0]), reduction="sum")
        (1.3862943611198906, array([[-1.,  0.]]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
    """
    found = classes_of("nll_loss", input, target, weight, ignore_index, dim)
    value = -float(np.where(found.wanted != 0, found.values * found.wanted, 0).sum(dtype=np.float64))
    return over_classes(found, value, 0 - found.wanted, found.values.dtype, reduction)


@quiet
def bce_loss(input: Any, target: Any, reduction: Reduction = "mean", *, epsilon: float = 0.0) -> Loss:
    """Binary cross entropy of probabilities: torch's `binary_cross_entropy`.

    With probabilities x and targets t, the mean of

        -(t log x + (1 - t) log(1 - x))        where each log is at least -100

    Args:
        input: probabilities of the class 1, any shape, as nn.Sigmoid returns them.
        target: 0 and 1, or probabilities, of the shape of `input`.
        reduction: "mean" or "sum" over all elements.
        epsilon: the least distance of x from 0 and 1: an x closer to them is moved, and its gradient is 0. 1e-7 is the
            epsilon of Keras' `binary_crossentropy`, 0 is torch's form.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if the shapes differ or are empty, the reduction is unknown, or `input` is outside [0, 1].

    Example:
        >>> value, gradient = bce_loss(np.array([0.5, 1.0]), np.array([1.0, 1.0]), reduction="sum")
        >>> round(value, 6), gradient
        (0.693147, array([-2.,  0.]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html
    """
    input, target = pair("bce_loss", input, target)
    _check_probabilities("bce_loss", input, 1.0, "bce_with_logits")
    kept = np.clip(input, epsilon, 1 - epsilon)  # as in Keras, with limits rounded to the input's dtype
    x, t = kept.astype(np.float64), target.astype(np.float64)
    with np.errstate(divide="ignore"):
        log_x, log_rest = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    slope = (x - t) / np.maximum(x * (1 - x), SMALLEST)
    return reduced(input, -(t * log_x + (1 - t) * log_rest), np.where(kept == input, slope, 0), reduction)


@quiet
def categorical_crossentropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    *,
    dim: int = -1,
    epsilon: float = 1e-7,
) -> Loss:
    """Cross entropy of class probabilities: Keras' `categorical_crossentropy` and `sparse_categorical_crossentropy`.

    With probabilities x and the target distribution q, the mean of

        -sum over c of weight_c q_c log clip(x_c / sum(x), epsilon, 1 - epsilon)

    Args:
        input: probabilities, the classes on the last axis, as nn.Softmax returns them.
        target: distributions shaped as `input`, or integer class indices without the class dimension.
        weight: [C], a weight for each class.
        ignore_index: the class index that marks elements to leave out.
        reduction: "mean" or "sum".
        dim: the axis of the classes.
        epsilon: the least distance of probabilities from 0 and 1; the gradient is 0 where it takes effect.

    Returns:
        The value, and its gradient with respect to `input`.

    Raises:
        ValueError: if shapes do not fit, the reduction is unknown, or `input` has negative elements.
        IndexError: for a class index outside [0, C).

    Example:
        >>> value, gradient = categorical_crossentropy(np.array([[0.25, 0.75]]), np.array([[0.0, 1.0]]))
        >>> round(value, 6), gradient.round(6)
        (0.287682, array([[ 1.      , -0.333333]]))

    Source: https://keras.io/api/losses/probabilistic_losses/
    """
    found = classes_of("categorical_crossentropy", input, target, weight, ignore_index, dim)
    _check_probabilities("categorical_crossentropy", found.values, np.inf, "cross_entropy")
    total = found.values.sum(axis=-1, keepdims=True)
    share = found.values / total
    kept = np.clip(share, epsilon, 1 - epsilon)
    value = -float((found.wanted * np.log(kept)).sum(dtype=np.float64))
    slope = np.where(kept == share, -found.wanted / kept, 0)
    gradient = (slope - (slope * share).sum(axis=-1, keepdims=True)) / total
    return over_classes(found, value, gradient, found.values.dtype, reduction)


def _check_probabilities(name: str, input: Array, most: float, of_logits: str) -> None:
    # NaN passes this check: the loss becomes NaN, and `fit` raises an error that says where.
    if (input < 0).any() or (input > most).any():
        raise ValueError(
            f"{name} takes probabilities, between 0 and 1; got numbers from {input.min():.4g} to {input.max():.4g}. "
            f"For a network without a last activation use {of_logits}."
        )
