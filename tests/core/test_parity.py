"""pyrnn's NumPy layers and cells against torch.nn, and against helpers/reference.py where torch has no such layer."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")

import cases
import numpy as np
import reference
import torch
from cases import DTYPES, Array, Config
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_layers import torch_layer, torch_vjp

import pyrnn

TORCH_CELLS = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru")
ALL_CELLS = (*TORCH_CELLS, "gru_reset_before")
FLAGS = (False, True)


def call(layer: Any, x: Array, states: tuple[Array, ...]) -> Any:
    return layer(x, cases.as_given(states)) if states else layer(x)


def vjp(layer: Any, x: Array, states: tuple[Array, ...]) -> Any:
    return layer.vjp(x, cases.as_given(states)) if states else layer.vjp(x)


def assert_identical(actual: Any, expected: Any) -> None:
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


# -- all combinations of the options, against torch.nn --------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        Config(*options)
        for options in itertools.product(TORCH_CELLS, (1, 2, 3), FLAGS, FLAGS, FLAGS, FLAGS, DTYPES, FLAGS)
    ],
    ids=str,
)
def test_a_layer_agrees_with_torchs(config: Config) -> None:
    rng = np.random.default_rng(1)
    x, states = config.draw_input(rng), config.draw_states(rng) if config.given else ()
    dy, dstates = config.draw_output_gradient(rng), config.draw_states(rng)
    module, layer = torch_layer(config), config.pyrnn_layer()
    layer.load_state_dict(module.state_dict())
    expected_y, expected_states, expected = torch_vjp(module, x, states, dy, dstates)
    y, state, pullback = vjp(layer, x, states)
    cases.assert_outputs(y, state, expected_y, expected_states, config.dtype)
    cases.assert_gradients(pullback(dy, cases.as_given(dstates)), expected, config.dtype)
    called_y, called_state = call(layer, x, states)
    assert_identical((called_y, *cases.as_states(called_state)), (y, *cases.as_states(state)))


CELL_CLASSES = {
    "rnn_tanh": ("RNNCell", {}),
    "rnn_relu": ("RNNCell", {"nonlinearity": "relu"}),
    "lstm": ("LSTMCell", {}),
    "gru": ("GRUCell", {}),
}


@pytest.mark.parametrize("has_state", FLAGS, ids=["no-state", "state"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (0,), (3,)], ids=str)
@pytest.mark.parametrize("bias", FLAGS, ids=["no-bias", "bias"])
@pytest.mark.parametrize("cell", CELL_CLASSES)
def test_a_cell_agrees_with_torchs(cell: str, bias: bool, batch: tuple[int, ...], dtype: Any, has_state: bool) -> None:
    rng = np.random.default_rng(1)
    name, options = CELL_CLASSES[cell]
    count = 2 if cell == "lstm" else 1
    module = getattr(torch.nn, name)(3, 5, bias=bias, **options, dtype=getattr(torch, np.dtype(dtype).name))
    ours = getattr(pyrnn, name)(3, 5, bias=bias, **options, dtype=dtype)
    ours.load_state_dict(module.state_dict())
    x = rng.standard_normal((*batch, 3)).astype(dtype)
    states, dstates = (tuple(rng.uniform(-1, 1, (count, *batch, 5)).astype(dtype)) for _ in range(2))
    states = states if has_state else ()
    _, expected_states, expected = torch_vjp(module, x, states, None, dstates)
    output, state, pullback = vjp(ours, x, states)
    cases.assert_outputs(None, state, None, expected_states, dtype)
    cases.assert_gradients(pullback(None, cases.as_given(dstates)), expected, dtype)
    assert_identical([output], cases.as_states(state)[:1])
    assert_identical(cases.as_states(call(ours, x, states)), cases.as_states(state))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gru_cell_with_the_reset_before_the_product_agrees_with_the_reference(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    cell = pyrnn.GRUCell(3, 5, reset_after=False, dtype=dtype, seed=1)
    x, h, dh = (rng.uniform(-1, 1, shape).astype(dtype) for shape in ((2, 3), (2, 5), (2, 5)))
    named = {f"{name}_l0": value for name, value in cell.parameters().items()}
    y, _, tape = reference.forward("gru_reset_before", named, x[None], (h[None],))
    found = reference.backward(tape, np.zeros_like(y), (dh[None],))
    parameters = {name.removesuffix("_l0"): value for name, value in found.parameters.items()}
    state, _, pullback = cell.vjp(x, h)
    cases.assert_near(state, y[0], cases.OUTPUT[dtype], "h", dtype)
    expected = reference.Gradients(found.input[0], (found.states[0][0],), parameters)
    cases.assert_gradients(pullback(dh), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", FLAGS, ids=["no-bias", "bias"])
@pytest.mark.parametrize("leading", [(), (4,), (2, 0), (2, 3, 4)], ids=str)
def test_linear_agrees_with_torchs(leading: tuple[int, ...], bias: bool, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    module = torch.nn.Linear(7, 19, bias=bias, dtype=getattr(torch, np.dtype(dtype).name))
    ours = pyrnn.Linear(7, 19, bias=bias, dtype=dtype)
    ours.load_state_dict(module.state_dict())
    x, dy = (rng.standard_normal((*leading, width)).astype(dtype) for width in (7, 19))
    _, (expected_y,), expected = torch_vjp(module, x, None, None, (dy,))
    y, _, pullback = ours.vjp(x)
    cases.assert_near(y, expected_y, cases.OUTPUT[dtype], "output", dtype)
    cases.assert_gradients(pullback(dy), expected, dtype)
    assert_identical([ours(x)], [y])


# -- sizes that cross the vector widths, against the reference ------------------------------------------


@st.composite
def drawn_configs(draw: st.DrawFn) -> Config:
    cell = draw(st.sampled_from(ALL_CELLS))
    # In float32 a sum near zero may have the other sign than the reference's, and its relu another slope.
    dtype = np.float64 if cell == "rnn_relu" else draw(st.sampled_from(DTYPES))
    size = {"T": st.integers(1, 9), "B": st.integers(0, 7), "I": st.integers(1, 20), "H": st.integers(2, 40)}
    sizes: dict[str, Any] = {name: draw(values) for name, values in size.items()}
    sizes["P"] = draw(st.integers(1, sizes["H"] - 1))
    options: dict[str, Any] = {name: draw(st.booleans()) for name in ("bidirectional", "bias", "given")}
    return Config(cell, draw(st.integers(1, 2)), dtype=dtype, **options, **sizes)


def assert_agrees_with_reference(config: Config) -> None:
    rng = np.random.default_rng(2)
    x, states = config.draw_input(rng), config.draw_states(rng)
    dy, dstates = config.draw_output_gradient(rng), config.draw_states(rng)
    states = states if config.given else tuple(np.zeros_like(s) for s in states)
    layer = config.pyrnn_layer(seed=4)
    expected_y, expected_states, tape = reference.forward(config.equations, layer.parameters(), x, states)
    y, state, pullback = vjp(layer, x, states if config.given else ())
    cases.assert_outputs(y, state, expected_y, expected_states, config.dtype)
    expected = reference.backward(tape, dy, dstates)
    expected = expected if config.given else expected._replace(states=())
    cases.assert_gradients(pullback(dy, cases.as_given(dstates)), expected, config.dtype)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(config=drawn_configs())
def test_drawn_sizes_agree_with_the_reference(config: Config) -> None:
    assert_agrees_with_reference(config)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65])
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru", "gru_reset_before"])
def test_every_vector_tail_agrees_with_the_reference(cell: str, hidden: int, dtype: Any) -> None:
    assert_agrees_with_reference(Config(cell, 2, True, dtype=dtype, B=7, I=5, H=hidden))


# -- the float32 contract at full length ----------------------------------------------------------------


def distance(actual: list[Any], expected: list[Array]) -> float:
    """The largest difference, divided by the largest value if that exceeds 1."""
    scale = max(1.0, *(float(np.abs(e).max()) for e in expected))
    return max(float(np.abs(a - e).max()) for a, e in zip(actual, expected, strict=True)) / scale


@pytest.mark.parametrize("bidirectional", FLAGS, ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_float32_at_100_steps_keeps_the_contract(cell: str, bidirectional: bool) -> None:
    config = Config(cell, 1, bidirectional, dtype=np.float32, T=100, B=3, I=64, H=128, P=48)
    rng = np.random.default_rng(3)
    x, states = config.draw_input(rng), config.draw_states(rng)
    dy, dstates = config.draw_output_gradient(rng), config.draw_states(rng)
    module, layer = torch_layer(config), config.pyrnn_layer()
    layer.load_state_dict(module.state_dict())
    torch_y, torch_states, torch_found = torch_vjp(module, x, states, dy, dstates)
    y, state, pullback = vjp(layer, x, states)
    cases.assert_outputs(y, state, torch_y, torch_states, np.float32)
    true_y, true_states, tape = reference.forward(config.equations, layer.parameters(), x, states)
    truth = [true_y, *true_states]
    assert_about_as_near([y, *cases.as_states(state)], [torch_y, *torch_states], truth)
    found, expected = pullback(dy, cases.as_given(dstates)), reference.backward(tape, dy, dstates)
    arrays = [found.input, *cases.as_states(found.state), *found.parameters.values()]
    for ours, theirs, true in zip(arrays, gradients_of(torch_found), gradients_of(expected), strict=True):
        assert_about_as_near([ours], [theirs], [true])


def gradients_of(found: reference.Gradients) -> list[Array]:
    return [found.input, *found.states, *found.parameters.values()]


def assert_about_as_near(ours: list[Any], theirs: list[Any], truth: list[Array]) -> None:
    assert distance(ours, truth) <= cases.RATIO * distance(theirs, truth) + cases.FLOOR


# -- special values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", TORCH_CELLS)
def test_special_values_do_as_in_torch(cell: str, dtype: Any) -> None:
    config = Config(cell, dtype=dtype, T=6, B=4, I=3, H=20)
    x = config.draw_input(np.random.default_rng(4))
    x[2, 0, 1] = np.nan  # spoils its own row alone, from this step on
    x[3, 1], x[3, 2] = 1e30, -1e30  # these saturate; a relu keeps them finite
    module, layer = torch_layer(config), config.pyrnn_layer()
    layer.load_state_dict(module.state_dict())
    expected = module(torch.tensor(x))[0].detach().numpy()
    y, _ = layer(x)
    for b in range(config.B):  # relu's states are of order 1e30 in the last row
        atol = cases.OUTPUT[dtype] * max(1.0, float(np.nanmax(np.abs(expected[:, b]))))
        np.testing.assert_allclose(y[:, b], expected[:, b], rtol=0, atol=atol)
    assert np.isfinite(y[:, 3]).all()
    assert np.isfinite(y[:2, 0]).all()
    assert np.isnan(y[2:, 0]).all()


def test_relu_at_exactly_zero_has_the_slope_of_torchs() -> None:
    config = Config("rnn_relu", bias=False)
    x, dy = np.zeros(config.sequence_shape(config.I)), np.ones(config.sequence_shape(config.H))
    module, layer = torch_layer(config), config.pyrnn_layer()
    layer.load_state_dict(module.state_dict())
    found = layer.vjp(x)[2](dy)
    assert not found.input.any()
    assert not torch_vjp(module, x, None, dy, (np.zeros((1, config.B, config.H)),))[2].input.any()


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_a_quiet_signal_keeps_its_relative_accuracy(cell: str) -> None:
    config = Config(cell, bias=False, dtype=np.float32, H=20)
    x = config.draw_input(np.random.default_rng(4)) * np.float32(1e-12)
    layer = config.pyrnn_layer(seed=1)
    zeros = tuple(np.zeros_like(s) for s in config.draw_states(np.random.default_rng(4)))
    expected, _, _ = reference.forward(config.equations, layer.parameters(), x, zeros)
    y, _ = layer(x)
    # Sums of products of mixed signs may cancel to a hundredth, which makes 1e-5 of a rounding error of 1e-7.
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
