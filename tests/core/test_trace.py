"""A trace's gates, states and norms of gradients are those of the plain loop, in the order of time."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cases
import drawn
import numpy as np
import plain
import pytest
from cases import DTYPES, Array, Config
from drawn import CELLS, Call, same_bytes
from hypothesis import given, settings

import pyrnn

FIELDS = {"lstm": "ifgoch", "gru": "rznh", "gru_reset_before": "rznh", "rnn_tanh": "h", "rnn_relu": "h"}


def traced(call: Call, layer: Any) -> Any:
    return layer.trace(*call.arguments(), **call.keywords())


@settings(max_examples=100, deadline=None)
@given(drawn.calls(dtypes=DTYPES))
def test_every_field_of_every_layer_and_direction_is_that_of_the_plain_loop(call: Call) -> None:
    layer = call.layer()
    trace = traced(call, layer)
    expected = call.expected(drawn.as_float64(layer.state_dict())).trace
    assert list(trace) == list(expected)
    scale = max([1.0, *(float(np.abs(v).max()) for fields in expected.values() for v in fields.values())])
    for key, fields in expected.items():
        assert set(vars(trace[key])) == set(FIELDS[call.config.equations])
        for name, value in fields.items():
            atol = cases.OUTPUT[call.config.dtype] * scale
            cases.assert_near(getattr(trace[key], name), value, atol, f"{key} {name}", call.config.dtype)


@pytest.mark.parametrize("layout", [{}, {"batch_first": True}, {"batched": False, "B": 1}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_the_results_of_a_trace_are_those_of_a_call(cell: str, layout: dict[str, Any]) -> None:
    call = Call.draw(Config(cell, 2, True, dtype=np.float32, **layout))
    layer = call.layer()
    trace = traced(call, layer)
    output, state = layer(*call.arguments())
    assert same_bytes((trace.output, trace.state), (output, state))
    h = np.concatenate([trace[1, "forward"].h, trace[1, "reverse"].h], axis=-1)
    assert same_bytes(h, np.ascontiguousarray(call.time_first(output)))
    h, c = (call.states_back(state) * 2)[:2]
    for index, key in enumerate(trace):
        ends = -1 if key[1] == "forward" else 0
        assert same_bytes(trace[key].h[ends], h[index])
        assert not hasattr(trace[key], "c") or same_bytes(trace[key].c[ends], c[index])


@pytest.mark.parametrize("masked_output", ["zero", "hold"])
@pytest.mark.parametrize("cell", CELLS)
def test_masked_steps_are_zero_in_a_trace(cell: str, masked_output: str) -> None:
    call = Call.draw(Config(cell, 2, True, T=5))
    mask = np.random.default_rng(1).random((5, 3)) < 0.5
    layer = call.layer()
    mask[2] = False
    trace = layer.trace(call.x, call.state(call.states), mask=mask, masked_output=masked_output)
    norms = trace.gradients(np.ones_like(trace.output))
    for key in trace:
        for value in vars(trace[key]).values():
            assert not value[~mask].any()
            assert value[mask].any()
        assert norms[key].h[2] == 0
        assert norms[key].h[mask.any(axis=1)].all()


def test_the_callers_mask_may_change_after_a_trace() -> None:
    call = Call.draw(Config("lstm"))
    mask = np.random.default_rng(1).random((4, 3)) < 0.5
    trace, other = (call.layer().trace(call.x, mask=each) for each in (mask, mask.copy()))
    mask[...] = ~mask
    assert same_bytes(vars(trace[0, "forward"]), vars(other[0, "forward"]))


def test_dropout_is_off_in_a_trace() -> None:
    config = Config("lstm", 3, True)
    call = Call.draw(config)
    dropping, whole = call.layer(dropout=0.5), call.layer()
    one, other = traced(call, dropping), traced(call, whole)
    assert dropping.training
    assert same_bytes(one.output, other.output)
    for key in one:
        assert same_bytes(vars(one[key]), vars(other[key]))
    for actual, expected in zip(*(t.gradients(call.loss["output"]).values() for t in (one, other)), strict=True):
        assert same_bytes(vars(actual), vars(expected))
    # A trace draws no masks: the next call drops the same elements as without it.
    assert same_bytes(dropping(call.x), call.layer(dropout=0.5)(call.x))


# -- gradients ------------------------------------------------------------------------------------------


def slopes(call: Call, parameters: dict[str, Array], key: plain.Key, name: str, width: int) -> Array:
    """dLoss/dh_t or dLoss/dc_t [T,B,width] of the plain loop; rows are independent, so one run moves all of them."""
    shape = (*call.x.shape[:2], width)
    found = np.zeros(shape)
    for t in range(len(found)):
        for unit in range(width):
            nudge = np.zeros(shape, complex)
            nudge[t, :, unit] = plain.STEP * 1j
            result = call.expected(parameters, nudges={key: {name: nudge}})
            loss = (result.output * call.loss["output"]).sum(axis=(0, 2))
            loss += sum((s * d).sum(axis=(0, 2)) for s, d in zip(result.state, call.loss["state"], strict=True))
            found[t, :, unit] = loss.imag / plain.STEP
    return found


OPTIONS: dict[str, Any] = {
    "plain": {},
    "lengths": {"lengths": [4, 0, 2]},
    "mask": {"mask": np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]], bool), "masked_output": "hold"},
    "reset": {"reset": np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1]], bool)},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_norms_of_gradients_are_those_of_the_plain_loop(cell: str, options: str) -> None:
    config = Config(cell, 2, options != "reset", H=3, P=2, batch_first=options == "lengths")
    call = replace(Call.draw(config), options=OPTIONS[options])
    layer = call.layer()
    parameters = layer.state_dict()
    trace = traced(call, layer)
    norms = trace.gradients(call.sequence(call.loss["output"]), call.state(call.loss["state"]))
    assert list(norms) == list(trace)
    for key in trace:
        width = config.P if cell == "lstm_proj" else config.H
        expected = slopes(call, parameters, key, "h", width)
        # The gradients are of order 1, and a norm adds up a handful: the tolerance is the contract on gradients.
        np.testing.assert_allclose(norms[key].h, np.linalg.norm(expected, axis=(1, 2)), rtol=0, atol=1e-10)
        if not cell.startswith("lstm"):
            assert norms[key].c is None
            continue
        expected = slopes(call, parameters, key, "c", config.H)
        np.testing.assert_allclose(norms[key].c, np.linalg.norm(expected, axis=(1, 2)), rtol=0, atol=1e-10)


def test_a_vanishing_gradient_halves_at_every_step() -> None:
    layer = pyrnn.RNN(1, 1, bias=False, dtype=np.float64)
    layer.load_state_dict({"weight_ih_l0": [[0.0]], "weight_hh_l0": [[0.5]]})
    trace = layer.trace(np.zeros((6, 1, 1)))
    dy = np.zeros((6, 1, 1))
    dy[-1] = 1
    np.testing.assert_array_equal(trace.gradients(dy)[0, "forward"].h, 0.5 ** np.arange(6)[::-1])
    np.testing.assert_array_equal(trace.gradients()[0, "forward"].h, np.zeros(6))
    np.testing.assert_array_equal(trace.gradients(None, np.ones((1, 1, 1)))[0, "forward"].h[-1], 1)


# -- keys, pictures -------------------------------------------------------------------------------------

WRONG_KEYS: list[Any] = [(2, "forward"), (-1, "forward"), (0.5, "forward"), ("0", "forward")]
WRONG_KEYS += [(0, "reverse"), (0, "backward"), (0,), 0, "forward", "f", None]


@pytest.mark.parametrize("key", WRONG_KEYS, ids=repr)
def test_a_wrong_key_is_told_the_right_ones(key: Any) -> None:
    trace = pyrnn.LSTM(3, 5, 2).trace(np.zeros((4, 2, 3), np.float32))
    with pytest.raises(KeyError, match=r"no .* in this trace, which has \(0, 'forward'\), \(1, 'forward'\)"):
        trace[key]
    with pytest.raises(KeyError) as caught:
        trace[key]
    assert str(caught.value).endswith('its gates and states are attributes, as in trace[0, "forward"].h')
    assert str(caught.value).startswith("no ")  # without the quotes that a KeyError puts around its text
    assert list(trace) == [(0, "forward"), (1, "forward")]


def test_a_wrong_key_of_a_deep_layer_is_told_some_of_the_right_ones() -> None:
    trace = pyrnn.RNN(1, 1, 20).trace(np.zeros((1, 1, 1), np.float32))
    with pytest.raises(KeyError, match=r"\(5, 'forward'\) and 14 more; its gates"):
        trace[20, "forward"]


@pytest.mark.parametrize(("cell", "fields"), [("LSTM", "i, f, g, o, c, h"), ("GRU", "r, z, n, h"), ("RNN", "h")])
def test_a_wrong_field_is_told_the_right_ones(cell: str, fields: str) -> None:
    trace = getattr(pyrnn, cell)(3, 5).trace(np.zeros((4, 2, 3), np.float32))
    with pytest.raises(AttributeError, match=f"no 'x' in this layer of the trace, which has {fields}$"):
        _ = trace[0, "forward"].x
    assert copy.deepcopy(trace[0, "forward"]) is not None
    assert list(vars(pickle.loads(pickle.dumps(trace[0, "forward"])))) == fields.split(", ")


def test_wrong_gradients_are_refused() -> None:
    trace: Any = pyrnn.LSTM(3, 5).trace(np.zeros((4, 2, 3), np.float32))
    with pytest.raises(ValueError, match=r"grad_output should have the shape of the output, \(4, 2, 5\)"):
        trace.gradients(np.zeros((4, 2, 6), np.float32))
    with pytest.raises(TypeError, match="grad_output should be a NumPy array, got list"):
        trace.gradients([0.0])
    with pytest.raises(TypeError, match=r"grad_state should be a pair \(h, c\)"):
        trace.gradients(None, np.zeros((1, 2, 5), np.float32))


@pytest.mark.matplotlib
@pytest.mark.parametrize("cell", CELLS)
def test_a_picture_shows_the_layer_and_the_sequence_asked_for(cell: str, tmp_path: Path) -> None:
    config = Config(cell, 2, True, T=30, H=8, batch_first=True)
    call = Call.draw(config)
    trace = traced(call, call.layer())
    figure = trace.plot(tmp_path / "plain.png", key=(1, "reverse"), row=2)
    assert (tmp_path / "plain.png").stat().st_size > 10_000
    assert len(figure.axes) >= len(FIELDS[config.equations]) + 1
    assert "layer 1, reverse" in figure.get_suptitle()
    other = trace.plot(grad_output=call.sequence(call.loss["output"]))
    assert "layer 0, forward" in other.get_suptitle()
    with pytest.raises(KeyError, match=r"no .* in this trace"):
        trace.plot(key=(2, "forward"))
    with pytest.raises(ValueError, match="row should be from 0 to 2, the sequences of the batch, got 3"):
        trace.plot(row=3)


@pytest.mark.matplotlib
def test_a_picture_of_one_sequence_or_one_step_is_drawn(tmp_path: Path) -> None:
    layer = pyrnn.GRU(3, 5, seed=1)
    for index, steps in enumerate((1, 12)):
        path = tmp_path / f"{index}.png"
        layer.trace(np.ones((steps, 3), np.float32)).plot(str(path))
        assert path.stat().st_size > 10_000


@pytest.mark.matplotlib
def test_a_picture_is_drawn_where_no_gradient_flows(tmp_path: Path) -> None:
    layer = pyrnn.LSTM(3, 5, seed=1)
    trace = layer.trace(np.ones((6, 2, 3), np.float32), lengths=[3, 0])
    trace.plot(tmp_path / "none.png", row=1)  # the logarithmic axis gets zeros alone
    assert (tmp_path / "none.png").stat().st_size > 10_000
