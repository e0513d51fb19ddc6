"""truncated_bptt trains on stretches that carry the state on and cut the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn.train import Adam, mse_loss, truncated_bptt


def sequences(batch_first: bool) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal((11, 3, 2)), rng.standard_normal((11, 3, 5))
    return (x.swapaxes(0, 1), target.swapaxes(0, 1)) if batch_first else (x, target)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_each_stretch_is_a_vjp_from_the_state_before(cell: str, batch_first: bool) -> None:
    layer = getattr(pyrnn, cell)(2, 5, batch_first=batch_first, dtype=np.float64, seed=0)
    x, target = sequences(batch_first)
    state = None
    stretches = list(truncated_bptt(layer, x, target, mse_loss, steps=4))
    assert len(stretches) == 3
    for begin, stretch in zip((0, 4, 8), stretches, strict=True):
        cut = (slice(None), slice(begin, begin + 4)) if batch_first else slice(begin, begin + 4)
        y, state, pullback = layer.vjp(x[cut], state)
        value, gradient = mse_loss(y, target[cut])
        assert stretch.loss == value
        expected = pullback(gradient)
        for name, array in expected.parameters.items():
            assert np.array_equal(stretch.gradients.parameters[name], array)
        for one, other in zip(np.atleast_1d(stretch.state), np.atleast_1d(state), strict=True):
            assert np.array_equal(one, other)


def test_the_states_are_those_of_one_call() -> None:
    layer = pyrnn.GRU(2, 5, dtype=np.float64, seed=0)
    x, target = sequences(False)
    *_, last = truncated_bptt(layer, x, target, mse_loss, steps=3)
    assert np.array_equal(last.state, layer(x)[1])


def test_a_step_between_two_stretches_is_used_by_the_next() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (400, 4, 1)).astype(np.float32)
    layer = pyrnn.RNN(1, 1, seed=0)
    adam = Adam(layer, lr=0.05)
    losses = []
    for stretch in truncated_bptt(layer, x, np.tanh(x), mse_loss, steps=5):
        losses.append(stretch.loss)
        adam.step(stretch.gradients.parameters)
    assert np.mean(losses[-10:]) < 0.1 * np.mean(losses[:10])


def test_a_bidirectional_layer_and_stretches_of_no_steps_are_refused() -> None:
    x, target = sequences(False)
    with pytest.raises(ValueError, match="bidirectional layer has no such state"):
        next(truncated_bptt(pyrnn.GRU(2, 5, bidirectional=True), x, target, mse_loss, steps=4))
    with pytest.raises(ValueError, match="steps must be greater than zero, got 0"):
        next(truncated_bptt(pyrnn.GRU(2, 5), x, target, mse_loss, steps=0))
