"""Defines the model of the demo: it joins two layers into one model that `pyrnn.train.fit` can train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyrnn import GRU, Gradients, Linear, Module
from pyrnn.checks.arrays import Array

from .data import DAY, FEATURES

HIDDEN = 64


class Forecaster(Module):
    """Reads the past with a GRU, and forecasts 24 hours at once with a Linear on its last state: [B,T,4] -> [B,24].

    Example:
        >>> import numpy as np
        >>> model, x = Forecaster(seed=0), np.ones((2, 72, 4), np.float32)
        >>> y, _, pullback = model.vjp(x)
        >>> y.shape, pullback(np.ones_like(y)).parameters["gru.weight_hh_l0"].shape
        ((2, 24), (192, 64))
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.gru = GRU(FEATURES, HIDDEN, batch_first=True, seed=seed)
        self.head = Linear(HIDDEN, DAY, seed=seed + 1)

    def __call__(self, x: Array) -> Array:
        _, state = self.gru(x)
        return self.head(state[-1])

    def vjp(self, x: Array) -> tuple[Array, None, Callable[[Array], Gradients]]:
        """The output, None for its state, and the way back: the same two layers in reverse."""
        _, state, gru_pullback = self.gru.vjp(x)
        y, _, head_pullback = self.head.vjp(state[-1])

        def pullback(dy: Array) -> Gradients:
            head = head_pullback(dy)
            # None is the gradient of the GRU's output, because only the last state was used.
            gru = gru_pullback(None, head.input[np.newaxis])
            parameters = {f"gru.{name}": gradient for name, gradient in gru.parameters.items()}
            parameters |= {f"head.{name}": gradient for name, gradient in head.parameters.items()}
            return Gradients(gru.input, None, parameters)

        return y, None, pullback
