"""With lengths, mask and reset all results are those of a plain loop, and the bit contract holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cases
import drawn
import numpy as np
import plain
import pytest
import reference
from cases import DTYPES, Array, Config
from drawn import CELLS, Call, assert_derivatives, assert_result, same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn
from pyrnn import _core

ISAS = _core.available_isas()
# The gradients that have a row for each sequence; those of parameters are summed over the batch.
OF_ROWS = ("input", "state", "reset_state")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_without_options_the_plain_loop_is_the_reference(cell: str, bidirectional: bool) -> None:
    call = Call.draw(Config(cell, 2, bidirectional))
    layer = call.layer()
    y, states, tape = reference.forward(call.config.equations, layer.state_dict(), call.x, call.states)
    assert_result(
        call.expected(layer.state_dict())._replace(cell_states=None), plain.Result(y, states, None, {}), np.float64
    )
    call.loss.pop("cell_states", None)
    found = reference.backward(tape, call.loss["output"], call.loss["state"])
    state = dict(zip("hc", found.states, strict=False))
    assert_derivatives(call, layer, {"input": {"x": found.input}, "state": state, "parameters": found.parameters})


@settings(max_examples=300, deadline=None)
@given(drawn.calls(dtypes=DTYPES))
def test_outputs_and_states_are_those_of_a_plain_loop(call: Call) -> None:
    layer = call.layer()
    expected = call.expected(drawn.as_float64(layer.state_dict()))
    assert_result(call.run(layer), expected, call.config.dtype)
    assert_result(call.vjp(layer)[0], expected, call.config.dtype)


@settings(max_examples=300, deadline=None)
@given(drawn.calls())
def test_gradients_are_those_of_a_plain_loop(call: Call) -> None:
    layer = call.layer()
    assert_derivatives(call, layer, call.vjp(layer)[1])


# The kernels project a block of 48 rows at once: one case has more steps, the other more rows in a step.
@pytest.mark.parametrize(("steps", "batch"), [(110, 2), (3, 60)])
@pytest.mark.parametrize("cell", CELLS)
def test_more_rows_than_a_block_agree_with_the_plain_loop(cell: str, steps: int, batch: int) -> None:
    config, rng = Config(cell, 2, T=steps, B=batch), np.random.default_rng(4)
    options: dict[str, Any] = {"lengths": rng.integers(0, steps + 1, batch), "mask": rng.random((steps, batch)) < 0.8}
    options |= {"reset": rng.random((steps, batch)) < 0.1, "reset_state": config.draw_states(rng)}
    call = replace(Call.draw(config), options=options | {"masked_output": "hold"})
    layer = call.layer()
    result, gradients = call.vjp(layer)
    assert_result(result, call.expected(layer.state_dict()), np.float64)
    assert same_bytes(call.run(layer), result)
    assert_derivatives(call, layer, gradients)


@settings(max_examples=100, deadline=None)
@given(drawn.calls(dtypes=(np.float32,)))
def test_gradients_in_float32_are_those_in_float64(call: Call) -> None:
    wide = Call.draw(replace(call.config, dtype=np.float64), 0)
    wide = replace(wide, **{n: getattr(call, n) for n in ("x", "states")}, loss=call.loss, options=call.options)
    layer, wide_layer = call.layer(), wide.layer()
    wide_layer.load_state_dict(layer.state_dict())
    wide = _cast(wide, np.float64)
    found, expected = (flat(c.vjp(each)[1]) for c, each in ((call, layer), (wide, wide_layer)))
    scale = max(float(np.abs(value).max()) for value in expected.values())
    for name, value in expected.items():
        cases.assert_near(found[name], value, cases.GRADIENT[np.float32] * scale, name, np.float32)


def _cast(call: Call, dtype: Any) -> Call:
    def cast(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(cast, value))
        return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    options = {name: cast(value) for name, value in call.options.items()}
    loss = {name: cast(value) for name, value in call.loss.items()}
    return replace(call, x=cast(call.x), states=cast(call.states), options=options, loss=loss)


def flat(groups: dict[str, Any]) -> dict[str, Array]:
    return {f"{group} {name}": value for group, values in groups.items() for name, value in values.items()}


# -- the bit contract -----------------------------------------------------------------------------------


def alone(call: Call, row: int) -> Call:
    """The row without its padding, as a call of its own."""
    end = call.options["lengths"][row]
    at = np.s_[:end, row : row + 1]
    options = {n: v[at] for n, v in call.options.items() if n in ("mask", "reset")}
    options |= {n: v for n, v in call.options.items() if n == "masked_output"}
    if "reset_state" in call.options:
        options["reset_state"] = tuple(s[:, row : row + 1] for s in call.options["reset_state"])
    loss = {n: v[at] for n, v in call.loss.items() if n != "state"}
    loss["state"] = tuple(s[:, row : row + 1] for s in call.loss["state"])
    config = replace(call.config, T=end, B=1)
    return Call(config, call.x[at], tuple(s[:, row : row + 1] for s in call.states), loss, options)


@settings(max_examples=200, deadline=None)
@given(drawn.calls(dtypes=DTYPES, sizes=40, batched=True), st.data())
def test_a_padded_batch_equals_its_sequences_run_alone(call: Call, data: st.DataObject) -> None:
    ends = st.lists(st.integers(0, call.config.T), min_size=call.config.B, max_size=call.config.B)
    options = call.options | {"lengths": call.options.get("lengths", data.draw(ends)), "masked_output": "zero"}
    call = replace(call, options=options)
    x = call.x.copy()
    for row, end in enumerate(options["lengths"]):
        x[end:, row] = np.nan  # nothing may read the padding
    call = replace(call, x=x)
    layer = call.layer()
    called, (recorded, gradients) = call.run(layer), call.vjp(layer)
    assert same_bytes(called, recorded)
    for row, end in enumerate(options["lengths"]):
        at = np.s_[:, row : row + 1]
        assert not called.output[end:, row].any()
        assert not gradients["input"]["x"][end:, row].any()
        if end == 0:
            initial = call.states or tuple(map(np.zeros_like, called.state))
            assert same_bytes([s[at] for s in called.state], [s[at] for s in initial])
            continue
        single = alone(call, row)
        one, ones = single.vjp(layer)
        assert same_bytes(called.output[:end, row : row + 1], one.output)
        assert same_bytes([s[at] for s in called.state], list(one.state))
        if one.cell_states is not None and called.cell_states is not None:
            assert same_bytes(called.cell_states[:end, row : row + 1], one.cell_states)
        assert same_bytes(gradients["input"]["x"][:end, row : row + 1], ones["input"]["x"])
        for group in OF_ROWS[1:]:
            if group in gradients:
                assert same_bytes([g[at] for g in gradients[group].values()], list(ones[group].values()))
    assert all(np.isfinite(g).all() for g in gradients["parameters"].values())


NOTHING: dict[str, Any] = {
    "lengths": lambda c: {"lengths": [c.T] * c.B},
    "mask": lambda c: {"mask": np.ones((c.T, c.B), bool)},
    "hold": lambda c: {"mask": np.ones((c.T, c.B), bool), "masked_output": "hold"},
    "reset": lambda c: {"reset": np.zeros((c.T, c.B), bool)},
    "all": lambda c: {"lengths": [c.T] * c.B, "mask": np.ones((c.T, c.B), bool)},
}


@pytest.mark.parametrize("asked", NOTHING)
@pytest.mark.parametrize("batch", [1, 13])
@pytest.mark.parametrize("cell", CELLS)
def test_options_that_ask_for_nothing_change_no_bit(cell: str, batch: int, asked: str) -> None:
    for dtype in DTYPES:
        config = Config(cell, 2, asked != "reset", dtype=dtype, T=9, B=batch, I=7, H=19, P=4)
        call = Call.draw(config)
        with_option = replace(call, options=NOTHING[asked](config))
        layer = call.layer()
        assert same_bytes(with_option.run(layer), call.run(layer))
        (result, gradients), (expected, plain_gradients) = with_option.vjp(layer), call.vjp(layer)
        gradients.pop("reset_state", None)
        assert same_bytes(result, expected)
        assert same_bytes(gradients, plain_gradients)


def packed_for(layer: Any, isa: str) -> Any:
    """The same layer on another instruction set, through the cache that a call reads."""
    weights = _core.Weights.pack(layer._spec(), list(layer.parameters().values()), isa)
    layer.__dict__["_packed"] = (layer._parameters, weights)
    return layer


@settings(max_examples=150, deadline=None)
@given(drawn.calls(dtypes=DTYPES, sizes=40, B=5))
def test_every_instruction_set_gives_the_same_bytes(call: Call) -> None:
    scalar = packed_for(call.layer(), "scalar")
    expected = call.run(scalar), *call.vjp(scalar)
    for isa in ISAS[1:]:
        layer = packed_for(call.layer(), isa)
        assert same_bytes((call.run(layer), *call.vjp(layer)), expected)


@pytest.fixture
def threads() -> Any:
    before = pyrnn.get_num_threads()
    yield
    pyrnn.set_num_threads(before)


# A thread is woken for 1e6 multiply-adds and at least 4 rows; these calls wake four, even with half the steps masked.
@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
@pytest.mark.parametrize("cell", CELLS)
def test_any_number_of_threads_gives_the_same_bytes(cell: str, bidirectional: bool) -> None:
    config = Config(cell, 2, bidirectional, dtype=np.float32, T=24, B=33, I=48, H=70, P=40)
    rng = np.random.default_rng(3)
    options: dict[str, Any] = {"mask": rng.random((24, 33)) < 0.8, "lengths": rng.integers(0, 25, 33)}
    if not bidirectional:
        options |= {"reset": rng.random((24, 33)) < 0.2, "reset_state": config.draw_states(rng)}
    call = replace(Call.draw(config), options=options)
    layer = call.layer()
    pyrnn.set_num_threads(1)
    expected = call.run(layer), *call.vjp(layer), call.vjp(layer, checkpoint=5)[1]
    for count in (2, 4):
        pyrnn.set_num_threads(count)
        assert same_bytes((call.run(layer), *call.vjp(layer), call.vjp(layer, checkpoint=5)[1]), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_the_callers_arrays_may_change_before_the_pullback(cell: str) -> None:
    config = Config(cell, 2, T=6)
    rng = np.random.default_rng(1)
    options = {"mask": rng.random((6, 3)) < 0.7, "reset": rng.random((6, 3)) < 0.3}
    call = replace(Call.draw(config), options=options | {"reset_state": config.draw_states(rng)})
    layer = call.layer()
    expected = call.vjp(layer)[1]
    *_, pullback = layer.vjp(*call.arguments(), **call.keywords(), return_states=cell.startswith("lstm"))
    for array in (options["mask"], options["reset"]):
        array[...] = ~array
    for array in call.options["reset_state"]:
        array[...] = np.nan
    assert same_bytes(call.gradients(pullback), expected)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda n: np.array(n, np.uint8)])
def test_lengths_come_as_any_integers(kind: Any) -> None:
    call = Call.draw(Config("gru", 2, True))
    layer = call.layer()
    y, h = layer(call.x, lengths=kind([4, 0, 2]))
    expected_y, expected_h = layer(call.x, lengths=[4, 0, 2])
    assert same_bytes((y, h), (expected_y, expected_h))
    for length in (3, [3], np.int32(3)):
        assert same_bytes(layer(call.x[:, 0], lengths=length), layer(call.x[:, 0], mask=np.arange(4) < 3))


def test_an_empty_batch_runs_and_flags_may_lie_in_any_memory() -> None:
    layer: Any = pyrnn.LSTM(3, 5, 2, dtype=np.float64, seed=1)
    none = np.ones((4, 0), bool)
    y, _ = layer(np.zeros((4, 0, 3)), lengths=[], mask=none, reset=none)
    assert y.shape == (4, 0, 5)
    x = Call.draw(Config("lstm")).x
    flags = np.random.default_rng(1).random((8, 6)) < 0.6
    views = [flags[::2, ::2], flags.T[:4, :3], flags[::-2, ::-2], np.broadcast_to(flags[:1, :3], (4, 3))]
    for view in views:
        for name in ("mask", "reset"):
            assert same_bytes(layer(x, **{name: view}), layer(x, **{name: view.copy()}))
