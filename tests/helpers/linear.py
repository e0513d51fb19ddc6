"""A model to train in the tests of fit, and runs that print nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyrnn.core.module import Module
from pyrnn.train import SGD, fit

Array = NDArray[Any]


class Linear(Module):
    """y = x W + b over the last axis, a minimal model with a vjp."""

    def __init__(self, inputs: int = 3, outputs: int = 1) -> None:
        super().__init__()
        random = np.random.default_rng(0)
        self._add_parameter("weight", 0.1 * random.standard_normal((inputs, outputs)))
        self._add_parameter("bias", np.zeros(outputs))
        self.calls: list[bool] = []  # the training flag of every pass

    def __call__(self, x: Array) -> Array:
        self.calls.append(self.training)
        return x @ self.weight + self.bias

    def vjp(self, x: Array) -> tuple[Array, None, Callable[[Array], Any]]:
        def pullback(dy: Array) -> Any:
            flat_x, flat_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
            parameters = {"weight": flat_x.T @ flat_dy, "bias": flat_dy.sum(axis=0)}
            return SimpleNamespace(input=dy @ self.weight.T, parameters=parameters)

        return self(x), None, pullback


def problem(sequences: int = 48, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.standard_normal((sequences, 3))
    return x, x @ np.array([[1.0], [-2.0], [0.5]]) + 0.25


def settled(**options: Any) -> Any:
    """`fit` that prints nothing and takes twelve sequences a batch, four batches an epoch."""
    return partial(fit, **{"epochs": 5, "batch_size": 12, "seed": 0, "progress": False, **options})


def weights_after(epochs: int, data: Any = None, **options: Any) -> dict[str, Array]:
    """The weights at the end of a number of epochs in which the training loss fell."""
    model = Linear()
    history = settled(epochs=epochs, optimizer=SGD(model, lr=0.05), **options)(model, data or problem())
    assert history.best_epoch == epochs
    return model.state_dict()


def in_batches(x: Array, y: Array) -> list[tuple[Array, Array]]:
    return [(x[start : start + 12], y[start : start + 12]) for start in range(0, len(x), 12)]


def assert_weights(model: Module, expected: dict[str, Array]) -> None:
    for name, value in model.parameters().items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
