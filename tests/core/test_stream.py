"""A stream gives the bytes of one call, by steps, by runs or by a mixture of both, and owns its state."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import cases
import drawn
import numpy as np
import pytest
from cases import DTYPES, Array, Config
from drawn import CELLS, Call, same_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

import pyrnn

BATCHES = (0, 1, 3, 70)


def state_of(call: Call) -> Any:
    return cases.as_given(call.states)


def start(call: Call, layer: Any = None) -> Any:
    stream = (layer or call.layer()).stream(call.config.B)
    if call.states:
        stream.state = state_of(call)
    return stream


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_steps_give_the_bytes_of_one_call(cell: str, dtype: Any, batch: int) -> None:
    call = Call.draw(Config(cell, 3, dtype=dtype, T=9, B=batch, I=7, H=21, P=4))
    layer = call.layer()
    expected = layer(call.x, state_of(call))
    stream = start(call, layer)
    steps = [stream.step(x) for x in call.x]
    assert all(y.shape == (batch, expected[0].shape[2]) for y in steps)
    assert same_bytes((np.stack(steps), stream.state), expected)
    whole = start(call, layer)
    assert same_bytes((whole.run(call.x), whole.state), expected)


@settings(max_examples=100, deadline=None)
@given(drawn.configs(dtypes=DTYPES, sizes=40, bidirectional=False, batched=True, T=11), st.data())
def test_any_cut_into_runs_and_steps_gives_the_bytes_of_one_call(config: Config, data: st.DataObject) -> None:
    call = Call.draw(config)
    layer = call.layer()
    flags = np.array(data.draw(st.lists(st.booleans(), min_size=11 * config.B, max_size=11 * config.B)), bool)
    options: dict[str, Any] = {
        "mask": flags.reshape(11, config.B),
        "masked_output": data.draw(st.sampled_from(["zero", "hold"])),
    }
    expected = replace(call, options=options).run(layer)
    stream, cuts = start(call, layer), sorted(data.draw(st.lists(st.integers(0, 11), max_size=5)))
    outputs = []
    for first, last in zip([0, *cuts], [*cuts, 11], strict=True):
        x, mask = call.x[first:last], options["mask"][first:last]
        if last - first == 1:
            y = stream.step(x[0], active=mask[0], masked_output=options["masked_output"])[None]
        else:
            y = stream.run(call.sequence(x), mask=call.sequence(mask), masked_output=options["masked_output"])
            y = call.time_first(y)
        outputs.append(y)
    assert same_bytes((np.concatenate(outputs), cases.as_states(stream.state)), (expected.output, expected.state))


# The kernels project a block of rows at once: these have more steps than it holds, or more rows in a step.
@pytest.mark.parametrize(("steps", "batch"), [(200, 1), (130, 7), (3, 200)])
def test_runs_longer_than_a_block_give_the_bytes_of_one_call(steps: int, batch: int) -> None:
    call = Call.draw(Config("lstm_proj", 2, dtype=np.float32, T=steps, B=batch))
    layer = call.layer()
    stream = start(call, layer)
    outputs = np.concatenate([stream.run(call.x[: steps // 3]), stream.run(call.x[steps // 3 :])])
    assert same_bytes((outputs, stream.state), layer(call.x, state_of(call)))


CHOSEN: dict[str, dict[str, Any]] = {
    "rnn_tanh": {"activation": "hard_sigmoid_keras3"},
    "lstm": {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras2", "peephole": True},
    "gru": {"recurrent_activation": "hard_sigmoid_keras3"},
}


@pytest.mark.parametrize("cell", CHOSEN)
def test_steps_with_chosen_activations_give_the_bytes_of_one_call(cell: str) -> None:
    call = replace(Call.draw(Config(cell, 2)), chosen=CHOSEN[cell])
    layer = call.layer()
    stream = start(call, layer)
    assert same_bytes((np.stack([stream.step(x) for x in call.x]), stream.state), layer(call.x, state_of(call)))


@pytest.mark.parametrize("cell", CELLS)
def test_streams_in_one_batch_equal_streams_run_alone(cell: str) -> None:
    call = Call.draw(Config(cell, 2, dtype=np.float32, T=6, B=5, H=33))
    layer = call.layer()
    together, apart = layer.stream(5), [layer.stream() for _ in range(5)]
    for x in call.x:
        expected = np.concatenate([each.step(x[row : row + 1]) for row, each in enumerate(apart)])
        assert same_bytes(together.step(x), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_reset_sets_rows_to_zero(cell: str) -> None:
    call = Call.draw(Config(cell, 2))
    layer, starts = call.layer(), np.array([True, False, True])
    stream = start(call, layer)
    stream.run(call.x)
    before = cases.as_states(stream.state)
    stream.reset(starts)
    assert same_bytes(cases.as_states(stream.state), tuple(np.where(starts[:, None], 0, part) for part in before))
    stream.reset(np.zeros(3, bool))
    flags = np.concatenate([np.zeros((4, 3), bool), starts[None], np.zeros((3, 3), bool)])
    expected = layer(np.concatenate([call.x, call.x]), state_of(call), reset=flags)
    assert same_bytes((stream.run(call.x), stream.state), (expected[0][4:], expected[1]))
    stream.reset()
    assert not any(part.any() for part in cases.as_states(stream.state))
    assert same_bytes(stream.run(call.x), layer(call.x)[0])


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_state_is_copied_when_read_or_set_and_a_clone_has_its_own(cell: str, batch: int) -> None:
    call = Call.draw(Config(cell, 2, B=batch))
    layer = call.layer()
    stream = layer.stream(batch)
    assert not any(part.any() for part in cases.as_states(stream.state))
    stream.state = state_of(call)
    assert same_bytes(stream.state, state_of(call))
    state = stream.state
    for part in cases.as_states(state):
        part[...] = np.nan  # a copy
    assert same_bytes(stream.state, state_of(call))
    clone = stream.clone()
    y = stream.run(call.x)
    assert same_bytes(clone.state, state_of(call))  # goes its own way
    assert same_bytes((clone.run(call.x), clone.state), (y, stream.state))


def test_a_stream_keeps_the_weights_of_its_making() -> None:
    call = Call.draw(Config("gru", 2))
    layer = call.layer()
    stream, expected = start(call, layer), layer(call.x, call.states[0])
    layer.load_state_dict({name: 2 * value for name, value in layer.state_dict().items()})
    clone = stream.clone()
    del layer
    for each in (stream, clone):
        assert same_bytes((each.run(call.x), each.state), expected)


@pytest.mark.parametrize("cell", CELLS)
def test_an_output_array_is_written_in_place(cell: str) -> None:
    call = Call.draw(Config(cell, 3, dtype=np.float32))
    layer = call.layer()
    stream, other = start(call, layer), start(call, layer)
    width = call.loss["output"].shape[2]
    out = np.full((4, 3, width), np.nan, np.float32)
    for t, x in enumerate(call.x):
        assert stream.step(x, out[t]) is not None
        assert same_bytes(out[t], other.step(x))
        assert np.isnan(out[t + 1 :]).all()
    array = np.empty((3, width), np.float32)
    assert stream.step(call.x[0], out=array, active=np.zeros(3, bool)) is array
    assert not array.any()


def read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


WRONG_OUT: dict[str, tuple[Any, Any]] = {
    "shape": (np.zeros((3, 4), np.float32), ValueError),
    "dtype": (np.zeros((3, 5)), ValueError),
    "strided": (np.zeros((3, 10), np.float32)[:, ::2], ValueError),
    "fortran": (np.zeros((3, 5), np.float32, order="F"), ValueError),
    "read-only": (read_only(np.zeros((3, 5), np.float32)), ValueError),
    "big-endian": (np.zeros((3, 5), ">f4"), ValueError),
    "list": ([[0.0] * 5] * 3, TypeError),
}


@pytest.mark.parametrize("case", WRONG_OUT)
def test_a_wrong_output_array_is_refused(case: str) -> None:
    out, kind = WRONG_OUT[case]
    stream, x = pyrnn.GRU(3, 5, seed=1).stream(3), np.ones((3, 3), np.float32)
    with pytest.raises(kind, match=r"^out should be a "):
        stream.step(x, out=out)
    assert not stream.state.any()
    assert not np.asarray(out).any()


def zeros(*shape: int, dtype: Any = np.float32) -> Any:
    return np.zeros(shape, dtype)


TRUE = np.ones(3, bool)
WRONG_CALLS: dict[str, tuple[Any, Any, str]] = {
    "step-batch": (lambda s: s.step(zeros(2, 3)), ValueError, r"expected input of shape \(3, 3\), got \(2, 3\)"),
    "step-width": (lambda s: s.step(zeros(3, 4)), ValueError, r"expected input of shape \(3, 3\), got \(3, 4\)"),
    "step-rank": (lambda s: s.step(zeros(3)), ValueError, r"expected input of shape .*, got \(3,\)"),
    "step-run": (lambda s: s.step(zeros(4, 3, 3)), ValueError, r"expected input of shape .*, got \(4, 3, 3\)"),
    "step-dtype": (lambda s: s.step(zeros(3, 3, dtype=float)), ValueError, r"input dtype \(float64\)"),
    "step-list": (lambda s: s.step([[0.0] * 3] * 3), TypeError, "input should be a NumPy array, got list"),
    "run-batch": (lambda s: s.run(zeros(4, 2, 3)), ValueError, r"expected input of shape \(\*, 3, 3\), got"),
    "run-rank": (lambda s: s.run(zeros(3, 3)), ValueError, r"3 dimensions, got shape \(3, 3\)"),
    "run-list": (lambda s: s.run([]), TypeError, "input should be a NumPy array, got list"),
    "active-shape": (lambda s: s.step(zeros(3, 3), active=TRUE[:2]), ValueError, r"active should .* got bool of"),
    "active-dtype": (lambda s: s.step(zeros(3, 3), active=zeros(3)), ValueError, r"active should .* got float32"),
    "active-list": (lambda s: s.step(zeros(3, 3), active=[True] * 3), TypeError, "active should be a NumPy array"),
    "mask-shape": (lambda s: s.run(zeros(4, 3, 3), mask=TRUE), ValueError, r"mask should .* got bool of"),
    "mask-list": (lambda s: s.run(zeros(4, 3, 3), mask=[TRUE] * 4), TypeError, "mask should be a NumPy array"),
    "masked-output": (lambda s: s.step(zeros(3, 3), masked_output="keep"), ValueError, "masked_output should be"),
    "run-output": (lambda s: s.run(zeros(4, 3, 3), masked_output=None), ValueError, "masked_output should be"),
    "reset-shape": (lambda s: s.reset(TRUE[:2]), ValueError, r"mask should .* got bool of shape \(2,\)"),
    "reset-dtype": (lambda s: s.reset(np.ones(3)), ValueError, r"mask should .* got float64"),
    "reset-list": (lambda s: s.reset([True] * 3), TypeError, "mask should be a NumPy array, got list"),
    "state-shape": (lambda s: setattr(s, "state", zeros(1, 2, 5)), RuntimeError, r"Expected hidden size \(1, 3, 5\)"),
    "state-dtype": (lambda s: setattr(s, "state", zeros(1, 3, 5, dtype=float)), ValueError, r"dtype \(float64\)"),
    "state-none": (lambda s: setattr(s, "state", None), TypeError, "state should be made of arrays"),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_wrong_calls_are_refused_and_leave_the_state(case: str) -> None:
    call, kind, sentence = WRONG_CALLS[case]
    stream = pyrnn.GRU(3, 5, seed=1).stream(3)
    stream.step(np.ones((3, 3), np.float32))
    before = stream.state
    with pytest.raises(kind, match=sentence):
        call(stream)
    assert same_bytes(stream.state, before)


def test_a_bidirectional_layer_and_a_wrong_batch_or_state_are_refused() -> None:
    for name in ("RNN", "LSTM", "GRU"):
        with pytest.raises(ValueError, match=f"a bidirectional {name} cannot stream: its reverse direction"):
            getattr(pyrnn, name)(3, 5, bidirectional=True).stream()
    layer: Any = pyrnn.LSTM(3, 5)
    with pytest.raises(ValueError, match=r"batch should be from 0 to .*, got -1"):
        layer.stream(-1)
    for value, kind in ((1.0, "float"), (True, "bool"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"batch should be of type int, got: {kind}"):
            layer.stream(value)
    with pytest.raises((ValueError, MemoryError), match="batch"):
        layer.stream(2**40)
    stream = layer.stream(2)
    with pytest.raises(TypeError, match="state should be"):
        stream.state = (zeros(1, 2, 5), None)
    with pytest.raises(RuntimeError, match=r"Expected hidden\[1\] size \(1, 2, 5\)"):
        stream.state = (np.ones((1, 2, 5), np.float32), zeros(1, 2, 4))
    assert not stream.state[0].any()  # nothing is half-written


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_run_of_no_steps_leaves_the_state(batch_first: bool) -> None:
    stream = pyrnn.LSTM(3, 5, batch_first=batch_first, seed=1).stream(2)
    stream.step(np.ones((2, 3), np.float32))
    before = stream.state
    shape = (2, 0, 3) if batch_first else (0, 2, 3)
    assert stream.run(zeros(*shape)).shape == (*shape[:2], 5)
    assert stream.run(zeros(*shape), mask=np.ones(shape[:2], bool)).shape == (*shape[:2], 5)
    assert same_bytes(stream.state, before)


def test_steps_into_an_array_take_no_memory() -> None:
    stream = pyrnn.LSTM(16, 16, 2, seed=1).stream(3)
    x, out = np.ones((3, 16), np.float32), np.zeros((3, 16), np.float32)
    for _ in range(100):
        stream.step(x, out)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            stream.step(x, out)
        # The loop's own integers take some; one kept object a step would add 10,000 times 50 bytes or more.
        assert tracemalloc.get_traced_memory()[0] - before < 2_000
    finally:
        tracemalloc.stop()
