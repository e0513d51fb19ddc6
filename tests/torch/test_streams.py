"""Streams of torch's modules give the bytes of one call, traces those of the NumPy layers; all in tensors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

import cases
import numpy as np
import torch
from cases import DTYPES, Config
from chosen_calls import chosen_calls
from drawn import Call, same_bytes
from drop_ins import LAYERS, tensors_of
from hypothesis import given, settings
from keyword_calls import COMMON, in_arrays, in_tensors, module_of
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import pyrnn.torch as drop_in

X = torch.linspace(-1, 1, 24).reshape(4, 2, 3)
FLAGS = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 1]]) == 1


def equal(one: Any, other: Any) -> bool:
    return same_bytes(in_arrays(list(tensors_of(one))), in_arrays(list(tensors_of(other))))


# -- streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [0, 1, 3, 70])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", COMMON)
def test_steps_give_the_bytes_of_one_call(cell: str, dtype: Any, batch: int) -> None:
    call = Call.draw(Config(cell, 3, dtype=dtype, T=9, B=batch, I=7, H=21, P=4, given=False))
    module, x = module_of(call, call.layer()), in_tensors(call.x)
    expected, final = module(x)
    stream = module.stream(batch)
    steps = [stream.step(row) for row in x]
    assert {type(step) for step in [*steps, *tensors_of(stream.state)]} == {Tensor}
    assert not any(step.requires_grad for step in [*steps, *tensors_of(stream.state)])
    assert equal((torch.stack(steps), stream.state), (expected, final))
    stream.reset()
    assert equal((stream.run(x[:5]), stream.run(x[5:])), (expected[:5], expected[5:]))
    assert isinstance(stream, drop_in.TensorStream)


@pytest.mark.parametrize("hold", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_steps_with_masks_and_out_give_the_bytes_of_one_call(name: str, batch_first: bool, hold: bool) -> None:
    module, out = getattr(drop_in, name)(3, 5, 2, batch_first=batch_first), torch.empty(2, 5)
    words = {"masked_output": "hold" if hold else "zero"}
    x, mask = (X.transpose(0, 1), FLAGS.T) if batch_first else (X, FLAGS)
    expected, final = module(x, mask=mask, **words)
    stream, steps = module.stream(2), []
    for row, active in zip(X, FLAGS, strict=True):
        assert stream.step(row, out, active=active, **words) is out
        steps.append(out.clone())
    assert equal((torch.stack(steps, int(batch_first)), stream.state), (expected, final))
    stream.reset()
    assert equal((stream.run(x, mask=mask, **words), stream.state), (expected, final))


@pytest.mark.parametrize("name", LAYERS)
def test_a_stream_resets_rows_and_keeps_the_weights_of_its_making(name: str) -> None:
    module = getattr(drop_in, name)(3, 5, 2)
    stream, starts = module.stream(2), torch.tensor([True, False])
    expected = module(torch.cat([X, X]), reset=torch.cat([FLAGS & False, starts[None], FLAGS[1:] & False]))
    stream.run(X)
    stream.reset(starts)
    module.weight_hh_l0.data.fill_(0)
    assert equal((stream.run(X), stream.state), (expected[0][4:], expected[1]))
    assert equal(module.stream(2).run(X), module(X)[0])
    assert not equal(module(X)[0], expected[0][:4])
    stream.state[0].fill_(9)  # a copy
    assert equal(stream.state, expected[1])


@settings(max_examples=50, deadline=None)
@given(chosen_calls().filter(lambda c: c.config.cell in COMMON and not c.config.bidirectional and c.config.batched))
def test_streams_with_chosen_activations_give_the_bytes_of_one_call(call: Call) -> None:
    call = replace(call, states=(), options={})
    module = module_of(call, call.layer())
    stream = module.stream(call.config.B)
    x = in_tensors(call.sequence(call.x))
    assert equal((stream.run(x), stream.state), module(x))


def test_a_step_takes_strided_inputs_and_such_as_require_gradients() -> None:
    module = drop_in.GRU(3, 5)
    expected = module(X)[0][0]
    wide = torch.zeros(2, 6)
    wide[:, ::2] = X[0]
    for x in (X[0].clone().requires_grad_(), nn.Parameter(X[0]), wide[:, ::2], X[0].t().contiguous().t()):
        found = module.stream(2).step(x)
        assert equal(found, expected)
        assert not found.requires_grad
    assert drop_in.GRU(3, 5, bias=False, num_layers=2).stream().step(X[0, :1]).shape == (1, 5)


ARRAY, WRONG = X[0].numpy(), "writable, contiguous array of float32 of shape"
BAD_STEPS: dict[str, tuple[Any, dict[str, Any], Any, str]] = {
    "array": (ARRAY, {}, TypeError, "^input should be a tensor, got ndarray$"),
    "list": ([[1.0]], {}, TypeError, "^input should be a tensor, got list$"),
    "array out": (X[0], {"out": ARRAY}, TypeError, "^out should be a tensor, got ndarray$"),
    "array active": (X[0], {"active": np.ones(2, bool)}, TypeError, "^active should be a tensor, got ndarray$"),
    "list active": (X[0], {"active": [True, True]}, TypeError, "^active should be a tensor, got list$"),
    "sequence": (X, {}, ValueError, r"expected input of shape \(batch, input_size\), got \(4, 2, 3\)$"),
    "batch": (X[0, :1], {}, ValueError, r"expected input of shape \(2, 3\), got \(1, 3\)$"),
    "width": (X[0, :, :2], {}, ValueError, r"expected input of shape \(2, 3\), got \(2, 2\)$"),
    "dtype": (X[0].double(), {}, ValueError, "input dtype .*float64.* does not match weight dtype .*float32"),
    "out width": (X[0], {"out": torch.zeros(2, 6)}, ValueError, WRONG),
    "out dtype": (X[0], {"out": torch.zeros(2, 5).double()}, ValueError, WRONG),
    "out strides": (X[0], {"out": torch.zeros(5, 2).t()}, ValueError, WRONG),
    "active shape": (X[0], {"active": FLAGS[:3, 0]}, ValueError, r"active .* of shape \(2,\)"),
    "active dtype": (X[0], {"active": torch.ones(2)}, ValueError, "active .* of bool .* got torch.float32"),
    "word": (X[0], {"masked_output": "keep"}, ValueError, """"zero" or "hold", got 'keep'$"""),
}


@pytest.mark.parametrize("case", BAD_STEPS)
def test_wrong_steps_are_refused_and_leave_the_state(case: str) -> None:
    x, options, kind, sentence = BAD_STEPS[case]
    stream = drop_in.GRU(3, 5).stream(2)
    stream.run(X)
    before = stream.state
    with pytest.raises(kind, match=sentence):
        stream.step(x, **options)
    assert equal(stream.state, before)


def test_other_wrong_arguments_of_a_stream_are_refused() -> None:
    stream = drop_in.LSTM(3, 5).stream(2)
    for kind, sentence, call in (
        (TypeError, "^input should be a tensor, got ndarray$", lambda: stream.run(X.numpy())),
        (ValueError, r"expected input of 3 dimensions, got shape \(2, 3\)$", lambda: stream.run(X[0])),
        (ValueError, r"^mask should be .* of bool of shape \(4, 2\)", lambda: stream.run(X, mask=FLAGS.T)),
        (TypeError, "^mask should be a tensor, got ndarray$", lambda: stream.reset(np.ones(2, bool))),
        (ValueError, r"^mask should be .* of bool of shape \(2,\)", lambda: stream.reset(FLAGS)),
        (TypeError, "^batch should be of type int, got: float$", lambda: drop_in.GRU(3, 5).stream(2.0)),
        (ValueError, "^batch should be from 0 to", lambda: drop_in.GRU(3, 5).stream(-1)),
        (ValueError, "bidirectional GRU cannot stream", lambda: drop_in.GRU(3, 5, bidirectional=True).stream()),
        (RuntimeError, "weights are of torch.float16", lambda: drop_in.GRU(3, 5).half().stream()),
        (RuntimeError, "not a plain tensor on the CPU", lambda: drop_in.GRU(3, 5).to("meta").stream()),
        (TypeError, r"use reset\(\) for zeros$", lambda: setattr(stream, "state", None)),
    ):
        with pytest.raises(kind, match=sentence):
            call()


# -- traces ----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(chosen_calls().filter(lambda call: call.config.cell in COMMON))
def test_a_trace_has_the_bytes_of_the_numpy_layers(call: Call) -> None:
    layer = call.layer()
    given, expected = in_tensors(call), layer.trace(*call.arguments(), **call.keywords())
    trace = module_of(call, layer).trace(*given.arguments(), **given.keywords())
    assert list(trace) == list(expected)
    assert same_bytes([trace.output, cases.as_states(trace.state)], [expected.output, cases.as_states(expected.state)])
    for key in trace:
        assert same_bytes(vars(trace[key]), vars(expected[key]))


@pytest.mark.parametrize("mask", [None, FLAGS], ids=["plain", "masked"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_trace_uses_parametrized_weights(name: str, mask: Any) -> None:
    module = getattr(drop_in, name)(3, 5, 2, bidirectional=True)
    for weight in ("weight_ih_l0", "weight_hh_l1_reverse"):
        module = parametrizations.weight_norm(module, weight)
        getattr(module.parametrizations, weight).original0.data.mul_(2)
    output, state = module(X, mask=mask)
    trace = module.trace(X, mask=mask)
    assert same_bytes([trace.output, cases.as_states(trace.state)], in_arrays([output, cases.as_states(state)]))
    norms = trace.gradients(np.ones_like(trace.output))
    assert all(flow.h.shape == (4,) and flow.h.all() for flow in norms.values())
    module.get_parameter("weight_hh_l0").data.mul_(0.5)
    assert same_bytes(module.trace(X).output, module(X)[0].detach().numpy())


def test_dropout_is_off_in_a_trace() -> None:
    module = drop_in.GRU(3, 5, 2, dropout=0.9)
    assert same_bytes(module.trace(X).output, module.eval()(X)[0].detach().numpy())


def test_wrong_arguments_of_a_trace_are_refused() -> None:
    module = drop_in.LSTM(3, 5)
    for option in ("return_states", "checkpoint", "length"):
        with pytest.raises(TypeError, match=rf"LSTM.trace\(\) does not take '{option}', only hx, lengths, mask, "):
            module.trace(X, **{option: 1})
    with pytest.raises(ValueError, match="lengths should be from 0 to 4"):
        module.trace(X, lengths=[5, 1])
    with pytest.raises(ValueError, match=r"mask should have the shape \(4, 2\)"):
        module.trace(X, mask=FLAGS.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", COMMON)
def test_a_state_is_set_and_read_and_a_wrong_one_is_refused(cell: str, dtype: Any) -> None:
    call = Call.draw(Config(cell, 2, dtype=dtype))
    module, x, states = module_of(call, call.layer()), in_tensors(call.x), cases.as_given(in_tensors(call.states))
    stream = module.stream(3)
    stream.state = states
    assert equal(stream.state, states)
    expected = module(x, states)
    stream.run(x[:2])
    clone = stream.clone()
    assert isinstance(clone, drop_in.TensorStream)
    for each in (stream, clone):
        assert equal((each.run(x[2:]), each.state), (expected[0][2:], expected[1]))
    for wrong in (X, (X, None), (X, X, X), in_arrays(states)):
        with pytest.raises((TypeError, ValueError, RuntimeError)) as found:
            stream.state = wrong
        assert "NumPy" not in str(found.value)
    assert equal(stream.state, expected[1])


@pytest.mark.parametrize("x", [None, X[0].to("meta"), X[0].to_sparse()], ids=["none", "meta", "sparse"])
def test_a_step_of_an_input_without_numbers_is_refused(x: Any) -> None:
    with pytest.raises(
        (TypeError, RuntimeError), match=r"^input should be|^expected a dense tensor on the CPU"
    ) as found:
        drop_in.GRU(3, 5).stream(2).step(x)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("x", [X.bfloat16(), X.to("meta"), None], ids=["bfloat16", "meta", "none"])
def test_a_trace_of_an_input_without_numbers_is_refused(x: Any) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"input|tensor") as found:
        drop_in.GRU(3, 5).trace(x)
    assert "NumPy" not in str(found.value)
