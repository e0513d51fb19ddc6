"""Every cell of csrc/cells is compared with tests/helpers/reference.py, whatever its name: a new one as well."""

from __future__ import annotations

import itertools
from typing import Any

import cases
import numpy as np
import pytest
import reference
from cases import DTYPES, Config

from pyrnn import _core
from pyrnn.core.facts import FACTS, GATES, IS_PAIR, reordered

# One sequence and a batch that fills the register tiles; units that fill vectors and some left over.
SIZES = ({"T": 1, "B": 1, "H": 5}, {"T": 9, "B": 3, "H": 33}, {"T": 5, "B": 33, "I": 17, "H": 16})
CONFIGS = [
    Config(cell, layers, layers == 2, bias, dtype=dtype, **size)
    for cell, layers, bias, dtype, size in itertools.product(FACTS, (1, 2), (True, False), DTYPES, SIZES)
]


def drawn(config: Config) -> tuple[Any, ...]:
    rng = np.random.default_rng(7)
    x, states, dy = config.draw_input(rng), config.draw_states(rng), config.draw_output_gradient(rng)
    return config.pyrnn_layer(seed=3), x, states, dy, config.draw_states(rng)


def test_the_reference_has_the_equations_of_every_cell() -> None:
    assert set(reference.CELLS) == set(FACTS)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_outputs_and_gradients_are_those_of_the_reference(config: Config) -> None:
    layer, x, states, dy, dstates = drawn(config)
    y, state, pullback = layer.vjp(x, cases.as_given(states))
    expected_y, expected_state, tape = reference.forward(config.cell, layer.state_dict(), x, states)
    cases.assert_outputs(y, state, expected_y, expected_state, config.dtype)
    cases.assert_gradients(pullback(dy, cases.as_given(dstates)), reference.backward(tape, dy, dstates), config.dtype)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_instruction_set_and_the_steps_of_a_stream_give_the_same_bits(config: Config) -> None:
    layer, x, states, _, _ = drawn(config)
    y, state = layer(x, cases.as_given(states))
    for isa in _core.available_isas():
        weights = _core.Weights.pack(layer._spec(), list(layer.parameters().values()), isa)
        assert weights.run(x, list(states), False, [], False)[0].tobytes() == y.tobytes()
    if not config.bidirectional:
        stream = layer.stream(config.B)
        stream.state = cases.as_given(states)
        assert np.stack([stream.step(x_t) for x_t in x]).tobytes() == y.tobytes()
        for one, other in zip(cases.as_states(stream.state), cases.as_states(state), strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("cell", FACTS)
def test_a_trace_has_the_gates_and_the_states(cell: str) -> None:
    layer, x, _, _, _ = drawn(Config(cell))
    facts, trace = FACTS[cell], layer.trace(x)
    assert set(vars(trace[0, "forward"])) == {*facts.gates, *facts.states}
    assert IS_PAIR[cell] == isinstance(trace.state, tuple) == (facts.states == ("h", "c"))


@pytest.mark.parametrize("cell", FACTS)
def test_the_facts_are_those_of_the_parameters(cell: str) -> None:
    facts, layer = FACTS[cell], Config(cell, H=5).pyrnn_layer()
    assert layer.state_dict()["weight_hh_l0"].shape == (5 * len(facts.gates), 5)
    assert GATES[facts.layer] == facts.gates
    for option in ("recurrent_activation", "peephole", "proj_size"):
        assert (option in facts.options) == (option in layer.config()), option


def test_reordered_blocks_are_those_of_the_wanted_gates() -> None:
    rows = np.arange(8).reshape(4, 2).repeat(2, axis=0)
    back = reordered(reordered(rows, "iofg", "ifgo"), "ifgo", "iofg")
    assert back.tobytes() == rows.tobytes()
    assert reordered(rows, "iofg", "ifgo")[:, 0].tolist() == [0, 0, 4, 4, 6, 6, 2, 2]
