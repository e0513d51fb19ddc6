"""Truncated backpropagation through time trains on long sequences, one stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pyrnn.checks.arguments import check_size
from pyrnn.checks.arrays import Array
from pyrnn.core.pullback import Gradients
from pyrnn.core.recurrent import Recurrent

from .names import LossFunction, loss_named


class Stretch(NamedTuple):
    """One stretch: its loss, the gradients, which do not reach before its first step, and the state after it."""

    loss: float
    gradients: Gradients
    state: Any


def truncated_bptt(
    layer: Recurrent,
    input: Array,
    target: Array,
    loss: LossFunction | str,
    steps: int,
    hx: Any = None,
) -> Iterator[Stretch]:
    """Cuts sequences into stretches, carries the state from one to the next, and cuts the gradient between them.

    It is lazy: if the caller replaces parameters between two stretches, as an optimizer's step does, the next stretch
    uses them.

    Args:
        layer: an RNN, LSTM or GRU, not bidirectional.
        input: [T,B,I], or [B,T,I] if the layer is batch_first.
        target: of the same layout, one entry a step.
        loss: such as `mse_loss`: from the output of a stretch and its target to (value, gradient); or its name.
        steps: of a stretch, at least 1; the last may be shorter.
        hx: the state before the first step; None for zeros.

    Yields:
        One `Stretch` after the other.

    Raises:
        ValueError: if the layer is bidirectional, or steps is less than 1.

    Example:
        >>> import numpy as np, pyrnn
        >>> from pyrnn.train import Adam, mse_loss, truncated_bptt
        >>> x = np.sin(0.3 * np.arange(101, dtype=np.float32))[:, None, None]
        >>> gru = pyrnn.GRU(1, 1, seed=0)
        >>> adam = Adam(gru, lr=0.05)
        >>> for stretch in truncated_bptt(gru, x[:-1], x[1:], mse_loss, steps=10):
        ...     adam.step(stretch.gradients.parameters)

    Source: Williams & Peng 1990, "An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories".
    """
    if layer.bidirectional:
        raise ValueError("truncated_bptt carries the state forward: a bidirectional layer has no such state")
    function = loss_named(loss)
    check_size("steps", steps)
    axis = 1 if layer.batch_first and input.ndim == 3 else 0
    for begin in range(0, input.shape[axis], steps):
        cut = (slice(None),) * axis + (slice(begin, begin + steps),)
        output, hx, pullback = layer.vjp(input[cut], hx)
        value, gradient = function(output, target[cut])
        yield Stretch(value, pullback(gradient), hx)
