"""Chosen activations and peepholes: forward and gradients are those of the plain loop; the defaults cost no bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import drawn
import numpy as np
import plain
import pytest
from cases import DTYPES, Config
from chosen_calls import GATED, NAMES, chosen_calls
from drawn import CELLS, Call, assert_derivatives, assert_result, same_bytes
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pyrnn

LISTED = "tanh, sigmoid, relu, identity, hard_sigmoid_keras2, hard_sigmoid_keras3"


def call_of(cell: str, dtype: Any = np.float64, bidirectional: bool = True, **chosen: Any) -> Call:
    """Draws inputs that reach the flat ends of a hard sigmoid, and small ones for functions without a bound."""
    call = Call.draw(Config(cell, 2, bidirectional, dtype=dtype))
    scale = dtype(0.25 if {"identity", "relu"} & set(chosen.values()) else 4)
    return replace(call, x=call.x * scale, states=tuple(s * scale for s in call.states), chosen=chosen)


def check(call: Call) -> None:
    layer = call.layer()
    expected = call.expected(drawn.as_float64(layer.state_dict()))
    assert_result(call.run(layer), expected, call.config.dtype)
    result, gradients = call.vjp(layer)
    assert_result(result, expected, call.config.dtype)
    if call.config.dtype is np.float64:
        assert_derivatives(call, layer, gradients)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs_and_gradients_of_a_chosen_activation_are_those_of_the_plain_loop(
    cell: str, name: str, dtype: Any
) -> None:
    check(call_of(cell, dtype, activation=name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", GATED)
def test_outputs_and_gradients_of_a_recurrent_activation_are_those_of_the_plain_loop(
    cell: str, name: str, dtype: Any
) -> None:
    check(call_of(cell, dtype, recurrent_activation=name))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("cell", ["lstm", "lstm_proj"])
def test_outputs_and_gradients_with_peepholes_are_those_of_the_plain_loop(cell: str, name: str, dtype: Any) -> None:
    check(call_of(cell, dtype, recurrent_activation=name, peephole=True))


def stays_small(call: Call) -> bool:
    """Unbounded gates square c at every step; this drops the calls whose rounding errors outgrow the tolerance."""
    with np.errstate(all="ignore"):
        expected = call.expected(drawn.as_float64(call.layer().state_dict()))
    return all(bool((np.abs(part) < 1e6).all()) for part in (expected.output, *expected.state))


@settings(max_examples=150, deadline=None)
@given(chosen_calls(), st.integers(1, 4))
def test_chosen_activations_follow_the_plain_loop_under_any_option(call: Call, every: int) -> None:
    assume(stays_small(call))
    check(call)
    layer = call.layer()
    assert same_bytes(call.vjp(layer, checkpoint=every), call.vjp(layer))


@pytest.mark.parametrize("cell", CELLS)
def test_defaults_given_are_the_same_bytes_as_none(cell: str) -> None:
    for dtype in DTYPES:
        call = call_of(cell, dtype)
        given: dict[str, Any] = {} if cell == "rnn_relu" else {"activation": "tanh"}
        given |= {"recurrent_activation": "sigmoid"} if cell in GATED else {}
        given |= {"peephole": False} if call.config.equations == "lstm" else {}
        spelt_out = replace(call, chosen=given)
        assert same_bytes(spelt_out.vjp(spelt_out.layer()), call.vjp(call.layer()))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
@pytest.mark.parametrize("name", NAMES)
def test_an_rnns_activation_stands_instead_of_its_nonlinearity(name: str, nonlinearity: str) -> None:
    x = np.random.default_rng(1).standard_normal((4, 3, 3))
    layer = pyrnn.RNN(3, 5, nonlinearity=nonlinearity, activation=name, dtype=np.float64, seed=1)
    found = layer(x)[0]
    expected = plain.run("rnn_tanh", layer.state_dict(), x, activation=name).output
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)  # float64's contract: cases.OUTPUT


def test_peepholes_stand_in_the_order_i_o_f() -> None:
    layer = pyrnn.LSTM(1, 1, bias=False, peephole=True, dtype=np.float64)
    zero = {name: np.zeros(value.shape) for name, value in layer.parameters().items()}
    for index, gate in enumerate("iof"):
        layer.load_state_dict(zero | {"weight_peephole_l0": np.eye(3)[index]})
        step = vars(layer.trace(np.zeros((1, 1)), (np.zeros((1, 1)), np.full((1, 1), 8.0)))[0, "forward"])
        opened = {name for name in "ifo" if abs(step[name].item() - 0.5) > 0.4}
        assert opened == {gate}


def test_peepholes_are_parameters() -> None:
    layer = pyrnn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, peephole=True, seed=1)
    state = layer.state_dict()
    names = [name for name in state if "peephole" in name]
    assert names == [f"weight_peephole_l{k}{r}" for k in (0, 1) for r in ("", "_reverse")]
    assert all(state[name].shape == (15,) for name in names)
    assert all(0 < np.abs(state[name]).max() <= 5**-0.5 for name in names)
    other, x = pyrnn.LSTM(3, 5, 2, bidirectional=True, proj_size=2, peephole=True, seed=2), np.ones((4, 3), np.float32)
    other.load_state_dict(state)
    assert same_bytes(other(x), layer(x))
    with pytest.raises(RuntimeError, match="weight_peephole_l0"):
        pyrnn.LSTM(3, 5, 2, bidirectional=True, proj_size=2).load_state_dict(state)
    with pytest.raises(RuntimeError, match="weight_peephole_l0"):
        other.load_state_dict(state | {"weight_peephole_l0": np.zeros(5)})


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"proj_size": 2, "bias": False}])
def test_from_state_dict_finds_peepholes(options: dict[str, Any]) -> None:
    layer = pyrnn.LSTM(3, 5, peephole=True, seed=1, **options)
    again = pyrnn.from_state_dict({f"m.{name}": value for name, value in layer.state_dict().items()}, "m.")
    assert repr(again) == repr(layer)
    x = np.ones((4, 2, 3), np.float32)
    assert same_bytes(again(x), layer(x))


@pytest.mark.parametrize("value", ["selu", "hard_sigmoid", "Tanh", ""])
def test_an_unknown_name_is_told_the_known_ones(value: str) -> None:
    for name in ("RNN", "LSTM", "GRU"):
        with pytest.raises(ValueError, match=f'^activation should be one of {LISTED}, got "{value}"'):
            getattr(pyrnn, name)(3, 5, activation=value)
    for name in ("LSTM", "GRU"):
        with pytest.raises(ValueError, match=f'^recurrent_activation should be one of {LISTED}, got "{value}"'):
            getattr(pyrnn, name)(3, 5, recurrent_activation=value)


@pytest.mark.parametrize("value", [3, None, np.tanh], ids=["int", "None", "function"])
def test_a_name_is_a_string(value: Any) -> None:
    for name in ("activation", "recurrent_activation"):
        with pytest.raises(TypeError, match=f"^{name} should be of type str, got: {type(value).__name__}"):
            pyrnn.LSTM(3, 5, **{name: value})


def test_an_option_that_a_layer_lacks_is_refused_by_name() -> None:
    kinds: dict[str, Any] = {name: getattr(pyrnn, name) for name in ("RNN", "LSTM", "GRU")}
    for name in ("RNN", "GRU"):
        with pytest.raises(TypeError, match="peephole"):
            kinds[name](3, 5, peephole=True)
    with pytest.raises(TypeError, match="recurrent_activation"):
        kinds["RNN"](3, 5, recurrent_activation="sigmoid")
    with pytest.raises(TypeError, match="peephole should be of type bool, got: int"):
        kinds["LSTM"](3, 5, peephole=1)


def test_repr_shows_what_is_chosen() -> None:
    assert repr(pyrnn.LSTM(3, 5, activation="tanh", recurrent_activation="sigmoid")) == "LSTM(3, 5)"
    shown = repr(pyrnn.LSTM(3, 5, activation="relu", recurrent_activation="hard_sigmoid_keras3", peephole=True))
    assert shown == "LSTM(3, 5, activation=relu, recurrent_activation=hard_sigmoid_keras3, peephole=True)"
    assert repr(pyrnn.RNN(3, 5, activation="identity")) == "RNN(3, 5, activation=identity)"
    assert repr(pyrnn.GRU(3, 5, recurrent_activation="relu")) == "GRU(3, 5, recurrent_activation=relu)"
