"""Gradient clipping works as torch's clip_grad_norm_ and clip_grad_value_, but returns new arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_not_negative
from pyrnn.checks.arrays import Array


@np.errstate(over="ignore", invalid="ignore")
def clip_grad_norm(
    gradients: Mapping[str, Array], max_norm: float, error_if_nonfinite: bool = False
) -> tuple[dict[str, Array], float]:
    """Scales all gradients by one factor, so that their common norm is at most `max_norm`.

        factor = min(1, max_norm / (norm + 1e-6))

    The norm is the Euclidean one of all gradients together. As in torch, a norm that is not finite makes every
    gradient nan or zero unless `error_if_nonfinite` is set.

    Args:
        gradients: arrays by parameter name; not changed.
        max_norm: the largest norm that stays as it is.
        error_if_nonfinite: whether a norm of nan or inf is an error.

    Returns:
        The gradients, and their norm before clipping.

    Raises:
        TypeError: if the gradients are no mapping, or `max_norm` is no number.
        ValueError: if `max_norm` is negative or nan.
        RuntimeError: if the norm is not finite and `error_if_nonfinite` is set.

    Example:
        >>> clipped, norm = clip_grad_norm({"weight": np.array([3.0, 4.0])}, max_norm=1.0)
        >>> clipped["weight"].round(3), norm
        (array([0.6, 0.8]), 5.0)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html; Pascanu et al. 2013
    (arXiv:1211.5063).
    """
    check_gradients(gradients)
    check_bools(error_if_nonfinite=error_if_nonfinite)
    limit = check_not_negative("max_norm", max_norm, finite=False)
    squares = [float(np.square(gradient, dtype=np.float64).sum()) for gradient in gradients.values()]
    norm = math.sqrt(sum(squares))
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(
            f"The total norm of the gradients is {norm}, so they cannot be clipped. "
            "To scale them by it anyway, set error_if_nonfinite=False."
        )
    factor = float(np.minimum(limit / (norm + 1e-6), 1.0))  # np.minimum keeps nan, as torch does
    return {name: gradient * factor for name, gradient in gradients.items()}, norm


def clip_grad_value(gradients: Mapping[str, Array], clip_value: float) -> dict[str, Array]:
    """Limits every element of every gradient to [-clip_value, clip_value].

    Args:
        gradients: arrays by parameter name; not changed.
        clip_value: the largest magnitude that stays as it is.

    Returns:
        The clipped gradients.

    Raises:
        TypeError: if the gradients are no mapping, or `clip_value` is no number.
        ValueError: if `clip_value` is negative or nan.

    Example:
        >>> clip_grad_value({"bias": np.array([-3.0, 0.5])}, clip_value=1.0)
        {'bias': array([-1. ,  0.5])}

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
    """
    check_gradients(gradients)
    limit = check_not_negative("clip_value", clip_value, finite=False)
    return {name: np.clip(gradient, -limit, limit) for name, gradient in gradients.items()}


def check_gradients(gradients: Any) -> None:
    """Raises TypeError for what is no mapping of names to arrays."""
    if not isinstance(gradients, Mapping):
        raise TypeError(
            "gradients should be arrays by parameter name, as a pullback's .parameters, got "
            f"{type(gradients).__name__}."
        )
