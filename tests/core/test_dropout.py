"""Dropout applies in training to the outputs of all layers but the last, by a new mask for each element and step."""

from __future__ import annotations

from typing import Any

import cases
import numpy as np
import pytest
from cases import DTYPES, Array, Config

CELLS = ("rnn_tanh", "lstm", "lstm_proj", "gru", "gru_reset_before")


def transparent(p: float, dtype: Any = np.float32) -> tuple[Any, Array]:
    """Two relu layers that pass positive inputs through: the output is the input times its mask."""
    config = Config("rnn_relu", 2, bias=False, dtype=dtype, T=50, B=20, I=64, H=64)
    layer = config.pyrnn_layer(dropout=p, seed=1)
    eye, zero = np.eye(64), np.zeros((64, 64))
    layer.load_state_dict({n: eye if "_ih_" in n else zero for n in layer.parameters()})
    return layer, np.random.default_rng(2).uniform(1, 2, config.sequence_shape(64)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_fraction_p_becomes_zero_and_the_rest_is_scaled(p: float, dtype: Any) -> None:
    layer, x = transparent(p, dtype)
    y, h = layer(x)
    kept = y != 0
    # 64000 draws: five standard deviations of the fraction.
    assert abs((1 - kept.mean()) - p) < 5 * np.sqrt(p * (1 - p) / x.size)
    # One rounding of the scale and one of the product.
    np.testing.assert_allclose(y[kept], x[kept] / (1 - p), rtol=4 * float(np.finfo(dtype).eps))
    for axis in range(3):  # time, batch, features share no mask
        assert np.diff(kept, axis=axis).any()
    np.testing.assert_array_equal(h[0], x[-1])  # the state of the first layer is not dropped
    assert not np.array_equal(layer(x)[0] != 0, kept)  # the next call draws anew


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gradient_passes_through_the_same_mask(dtype: Any) -> None:
    layer, x = transparent(0.3, dtype)
    y, _, pullback = layer.vjp(x)
    dy = np.random.default_rng(3).standard_normal(y.shape).astype(dtype)
    expected = dy * (y / x)
    # y / x is the mask up to two roundings.
    np.testing.assert_allclose(pullback(dy).input, expected, rtol=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("cell", CELLS)
def test_dropout_is_off_outside_training_and_in_a_single_layer(cell: str) -> None:
    config = Config(cell, 2, True)
    plain, dropping = config.pyrnn_layer(seed=1), config.pyrnn_layer(dropout=0.5, seed=1)
    x = config.draw_input(np.random.default_rng(1))
    expected = plain(x)[0]
    assert not np.array_equal(dropping(x)[0], expected)
    np.testing.assert_array_equal(dropping.eval()(x)[0], expected)
    np.testing.assert_array_equal(dropping.vjp(x)[0], expected)
    assert not np.array_equal(dropping.train()(x)[0], expected)
    single = Config(cell)
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last recurrent layer"):
        alone = single.pyrnn_layer(dropout=0.5, seed=1)
    np.testing.assert_array_equal(alone(x)[0], single.pyrnn_layer(seed=1)(x)[0])


@pytest.mark.parametrize("cell", CELLS)
def test_p_of_one_feeds_zeros_to_the_next_layer(cell: str) -> None:
    config = Config(cell, 2)
    layer = config.pyrnn_layer(dropout=1.0, seed=1)
    rng = np.random.default_rng(1)
    y, _, pullback = layer.vjp(config.draw_input(rng))
    gradients = pullback(config.draw_output_gradient(rng))
    np.testing.assert_array_equal(y, layer(config.draw_input(rng))[0])
    assert not gradients.input.any()
    assert all(np.isfinite(value).all() for value in (y, *gradients.parameters.values()))
    assert gradients.parameters["weight_hh_l1"].any()


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_agree_with_finite_differences_under_one_mask(cell: str) -> None:
    config = Config(cell, 3, True)
    rng = np.random.default_rng(1)
    x, dy, dstates = config.draw_input(rng), config.draw_output_gradient(rng), config.draw_states(rng)
    parameters = config.pyrnn_layer(seed=1).state_dict()
    directions = {name: rng.standard_normal(value.shape) for name, value in parameters.items()}
    dx = rng.standard_normal(x.shape)

    def run(step: float) -> tuple[float, Any]:
        layer = config.pyrnn_layer(dropout=0.4, seed=1)  # the same seed and the same draws: the same mask
        layer.load_state_dict({name: value + step * directions[name] for name, value in parameters.items()})
        y, state, pullback = layer.vjp(x + step * dx)
        states = cases.as_states(state)
        return float((y * dy).sum() + sum((s * d).sum() for s, d in zip(states, dstates, strict=True))), pullback

    found = run(0.0)[1](dy, cases.as_given(dstates))
    slope = (found.input * dx).sum() + sum((found.parameters[n] * d).sum() for n, d in directions.items())
    # Central differences: the third derivative leaves 1e-8 of the slope at a step of 1e-5, rounding 1e-10.
    assert (run(1e-5)[0] - run(-1e-5)[0]) / 2e-5 == pytest.approx(float(slope), rel=1e-6)


def test_one_seed_gives_one_mask_in_call_and_vjp() -> None:
    config = Config("gru", 2)
    x = config.draw_input(np.random.default_rng(1))
    called = config.pyrnn_layer(dropout=0.5, seed=1)(x)[0]
    np.testing.assert_array_equal(config.pyrnn_layer(dropout=0.5, seed=1).vjp(x)[0], called)
