"""quantize to bf16 equals float32 with rounded matrices; to int8, exact integer products between float32 equations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cases
import drawn
import numpy as np
import pytest
import quantized
from cases import Array, Config
from drawn import CELLS, Call, same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn
from pyrnn import _core

FORMATS = ("bf16", "int8")
ISAS = _core.available_isas()
SHAPES = (
    {},
    {"layers": 2, "bidirectional": True},
    {"bias": False, "given": False},
    {"T": 1, "B": 1, "I": 1, "H": 2, "P": 1},
    {"T": 3, "B": 13, "I": 40, "H": 70, "P": 33},
)
CHOSEN: dict[str, dict[str, Any]] = {
    "rnn_tanh": {"activation": "hard_sigmoid_keras3"},
    "lstm": {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras2", "peephole": True},
    "gru": {"recurrent_activation": "hard_sigmoid_keras3"},
}


def config_of(cell: str, **shape: Any) -> Config:
    return Config(cell, dtype=np.float32, **({"T": 5, "I": 7, "H": 21, "P": 4} | shape))


def states_of(call: Call) -> tuple[Array, ...]:
    return call.states or tuple(map(np.zeros_like, call.config.draw_states(np.random.default_rng(0))))


def rounded(layer: Any) -> Any:
    """The float32 layer with the matrices of bf16."""
    twin = layer.quantize("bf16").unquantized()
    arrays = layer.state_dict()
    twin.load_state_dict({n: quantized.bf16(a) if quantized.is_quantized(n) else a for n, a in arrays.items()})
    return twin


def run(layer: Any, call: Call, isa: str, format: str) -> Any:
    """Output and state under one instruction set, time first."""
    weights = _core.Weights.pack(layer._spec(), list(layer.parameters().values()), isa, format=format)
    return weights.run(call.x, list(call.states), False, [], False)[:2]


# -- bf16 --------------------------------------------------------------------------------------------------


def test_bf16_rounds_to_nearest_even() -> None:
    ulp = np.float32(2.0**-7)  # a unit in the last place of bf16 from 1 to 2
    weights = np.array([1 + ulp / 2, 1 + 3 * ulp / 2, 1 + ulp / 2 + 2.0**-20, -1 - ulp / 2, 3.0e38, 1e-40], np.float32)
    expected = np.array([1, 1 + 2 * ulp, 1 + ulp, -1], np.float32)
    assert same_bytes(quantized.bf16(weights)[:4], expected)
    rnn = pyrnn.RNN(6, 1, nonlinearity="relu", bias=False)
    rnn.weight_ih_l0, rnn.weight_hh_l0 = weights[None], [[0.0]]
    x = (np.sign(weights) * np.eye(6, dtype=np.float32))[:, None]  # a step sees one weight
    y, _ = rnn.quantize("bf16")(x)
    # A subnormal weight makes a state under 2^-100, which is zero.
    assert same_bytes(y[:5, 0, 0], np.abs(quantized.bf16(weights))[:5])
    assert y[5, 0, 0] == 0


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_bf16_is_float32_with_rounded_matrices(cell: str, shape: dict[str, Any], isa: str) -> None:
    call = Call.draw(config_of(cell, **shape))
    layer = call.layer()
    assert same_bytes(run(layer, call, isa, "bf16"), run(rounded(layer), call, isa, "float32"))


@settings(max_examples=100, deadline=None)
@given(drawn.calls(dtypes=(np.float32,), sizes=40))
def test_bf16_is_float32_with_rounded_matrices_under_any_option(call: Call) -> None:
    layer = call.layer()
    found, expected = call.run(layer.quantize("bf16")), call.run(rounded(layer))
    assert same_bytes(found[:3], expected[:3])


@pytest.mark.parametrize("cell", CHOSEN)
def test_bf16_is_float32_with_rounded_matrices_under_chosen_activations(cell: str) -> None:
    call = replace(Call.draw(config_of(cell, layers=2)), chosen=CHOSEN[cell])
    layer = call.layer()
    assert same_bytes(call.run(layer.quantize("bf16"))[:3], call.run(rounded(layer))[:3])


# -- int8 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_int8_is_the_stated_arithmetic(cell: str, shape: dict[str, Any], isa: str) -> None:
    call = Call.draw(config_of(cell, **shape))
    layer = call.layer()
    y, state = quantized.forward(call.config.equations, layer.parameters(), call.x, states_of(call))
    found = run(layer, call, isa, "int8")
    assert same_bytes((found[0], tuple(found[1])), (y, state))


# The inputs hold ties between two integers, rows of zeros, rows so small that they count as zero, and the largest
# sums, 127 * 127 * K.
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_int8_is_the_stated_arithmetic_at_ties_zeros_and_the_largest_sums(cell: str, isa: str) -> None:
    call = Call.draw(config_of(cell, T=4, B=5, I=300, H=18))
    layer, rng = call.layer(), np.random.default_rng(0)
    call.x[0, 0], call.x[1, 1], call.x[2, 2], call.x[3, 3] = 0, 2.0**-101, 127.0, -127.0
    call.x[0, 1] = rng.integers(-126, 126, 300) + 0.5
    call.x[0, 1, :2] = 127, 0.5
    weights = layer.state_dict()
    weights["weight_ih_l0"][0], weights["weight_ih_l0"][1], weights["weight_hh_l0"][2] = 0.25, -0.25, 0
    layer.load_state_dict(weights)
    y, state = quantized.forward(call.config.equations, weights, call.x, states_of(call))
    found = run(layer, call, isa, "int8")
    assert same_bytes((found[0], tuple(found[1])), (y, state))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("cell", CELLS)
def test_int8_turns_nan_and_infinity_into_nan_in_their_own_row_alone(cell: str, value: float) -> None:
    call = Call.draw(config_of(cell, T=3))
    layer = call.layer().quantize("int8")
    expected, _ = layer(call.x)
    call.x[1, 1, 3] = value
    y, _ = layer(call.x)
    assert np.isnan(y[1:, 1]).all()
    clean = np.ones_like(y, bool)
    clean[1:, 1] = False
    assert same_bytes(y[clean], expected[clean])


# -- both --------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    drawn.configs(dtypes=(np.float32,), sizes=70, batched=True, batch_first=False),
    st.sampled_from([1.0, 64.0, 2.0**-98]),
    st.sampled_from(FORMATS),
)
def test_every_instruction_set_gives_the_scalar_bits(config: Config, scale: float, format: str) -> None:
    call = Call.draw(config)
    call = replace(call, x=call.x * np.float32(scale))
    layer = call.layer()
    expected = run(layer, call, "scalar", format)
    for isa in ISAS[1:]:
        assert same_bytes(run(layer, call, isa, format), expected)


@pytest.mark.parametrize("cell", CHOSEN)
def test_int8_with_chosen_activations_gives_the_scalar_bits(cell: str) -> None:
    call = replace(Call.draw(config_of(cell, layers=2)), chosen=CHOSEN[cell])
    layer = call.layer()
    expected = run(layer, call, "scalar", "int8")
    assert all(same_bytes(run(layer, call, isa, "int8"), expected) for isa in ISAS[1:])


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = pyrnn.get_num_threads()
    pyrnn.set_num_threads(2)
    yield
    pyrnn.set_num_threads(before)


# Both shapes have enough work for two threads; they share it by rows, hidden units, layers or directions.
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("shape", [{"B": 40, "H": 96}, {"B": 1, "H": 300, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_bits_of_one(cell: str, shape: dict[str, Any], format: str) -> None:
    call = Call.draw(config_of(cell, layers=2, T=6, I=20, **shape))
    layer = call.layer().quantize(format)
    found = layer(call.x, cases.as_given(call.states))
    pyrnn.set_num_threads(1)
    assert same_bytes(found, layer(call.x, cases.as_given(call.states)))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("batch", [1, 3, 20])
@pytest.mark.parametrize("cell", CELLS)
def test_streams_cuts_and_rows_give_the_bits_of_the_whole(cell: str, batch: int, format: str) -> None:
    call = Call.draw(config_of(cell, layers=2, T=9, B=batch))
    layer, state = call.layer().quantize(format), cases.as_given(call.states)
    expected = layer(call.x, state)
    stream = layer.stream(batch)
    stream.state = state
    first = [stream.step(x) for x in call.x[:4]]
    twin = stream.clone()
    assert same_bytes((np.concatenate([first, stream.run(call.x[4:])]), stream.state), expected)
    assert same_bytes(twin.step(call.x[4]), expected[0][4])
    begun = layer(call.x[:4], state)
    ended = layer(call.x[4:], begun[1])
    assert same_bytes((np.concatenate([begun[0], ended[0]]), ended[1]), expected)
    row = cases.as_given(tuple(part[:, :1] for part in call.states))
    assert same_bytes(layer(call.x[:, :1], row)[0], expected[0][:, :1])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("cell", CELLS)
def test_a_padded_batch_equals_its_sequences_run_alone(cell: str, format: str) -> None:
    call = Call.draw(config_of(cell, layers=2, bidirectional=True, T=6, B=3, given=False))
    layer = call.layer().quantize(format)
    lengths = [6, 2, 1]
    y, state = layer(call.x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = layer(call.x[:length, row : row + 1])
        assert same_bytes(y[:length, row : row + 1], alone[0])
        assert not y[length:, row].any()
        for part, own in zip(cases.as_states(state), cases.as_states(alone[1]), strict=True):
            assert same_bytes(part[:, row : row + 1], own)


# With one input more than 133144 the largest sum no longer fits 32 bits.
def test_int8_refuses_more_inputs_than_a_sum_can_hold() -> None:
    with pytest.raises(ValueError, match="133144"):
        pyrnn.RNN(133_145, 1).quantize("int8")
