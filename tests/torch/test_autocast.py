"""Under autocast the kernels compute in float32, and results and gradients have torch's dtypes."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from compiled import B, I, T, compiled, twins
from drop_ins import CELLS, LAYERS, input_of, leaves, pair, sequences, tensors_of
from torch import Tensor, nn

import pyrnn.torch as drop_in
from pyrnn.torch import autocast

HALVES = [torch.bfloat16, torch.float16]
OPTIONS: list[dict[str, Any]] = [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}, {"bias": False}]
CASES = [(name, options) for name in LAYERS for options in OPTIONS]
CASES += [("LSTM", {"proj_size": 2}), *((name, {}) for name in CELLS)]
# A bfloat16 has 8 significant bits. torch rounds a product, a sum and a gate in each of up to 4 steps and 2 layers: up
# to 2^-9 of the number each time, of numbers below 4 here.
TOLERANCE = 0.05


@pytest.fixture(autouse=True)
def _without_instructions_of_16_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autocast, "onednn_is_fast", lambda low: False)


def state_of(module: Any, name: str, dtype: torch.dtype | None) -> Any:
    if dtype is None:
        return None
    runs = () if "Cell" in name else (module.num_layers * (1 + module.bidirectional),)
    width = getattr(module, "proj_size", 0) or module.hidden_size
    h, c = torch.randn(*runs, 2, width, dtype=dtype), torch.randn(*runs, 2, module.hidden_size, dtype=dtype)
    return (h, c) if "LSTM" in name else h


def trained(module: nn.Module, args: Any, low: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs under autocast, and the gradients of arguments and weights, computed outside."""
    args = leaves(args)
    with torch.autocast("cpu", low):
        outputs = [out for out in tensors_of(module(*args)) if out.is_floating_point()]
    loss = torch.stack([out.float().sin().sum() for out in outputs]).sum()
    inputs = [t for t in tensors_of(args) if t.is_floating_point()] + list(module.parameters())
    return outputs, list(torch.autograd.grad(loss, inputs))


def assert_near(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert [t.dtype for t in ours] == [t.dtype for t in theirs]
    scale = max(1.0, *(t.abs().max().item() for t in theirs))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.float(), other.float(), rtol=0, atol=TOLERANCE * scale)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("low", HALVES, ids=str)
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_results_and_gradients_have_torchs_dtypes_and_are_near_torchs(
    name: str, options: dict[str, Any], low: torch.dtype
) -> None:
    theirs, ours = pair(name, 3, 5, **options)
    for of_input, of_state in itertools.product((torch.float32, low), (None, torch.float32, low)):
        args = input_of(name, dtype=of_input), state_of(theirs, name, of_state)
        if options.get("batch_first"):
            args = args[0].transpose(0, 1), args[1]
        with torch.autocast("cpu", low):
            assert drop_in.explain(ours, *args) == "pyrnn's kernels: the call is covered."
        drop_in.stats(reset=True)
        outputs, gradients = trained(ours, args, low)
        assert drop_in.stats() == drop_in.Stats(1, {})
        try:
            expected = trained(theirs, args, low)
        except RuntimeError as error:  # oneDNN has no LSTM of float16 for this CPU; the kernels compute all the same
            if "could not create a primitive descriptor" not in str(error):
                raise
            continue
        assert_near(outputs, expected[0])
        assert_near(gradients, expected[1])


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_results_are_those_of_float32_rounded_once(name: str) -> None:
    _, ours = pair(name, 3, 5)
    x = input_of(name)
    expected = list(tensors_of(ours(x.bfloat16().float())))
    for grad in (False, True):
        with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(grad):
            found = list(tensors_of(ours(x.bfloat16())))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other.to(one.dtype), rtol=torch.finfo(torch.bfloat16).eps, atol=0)


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("of_input", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_packed_sequences_train_as_torchs(name: str, of_input: torch.dtype) -> None:
    theirs, ours = pair(name, 3, 5)
    packed = autocast.to(sequences(torch.float32, (2, 4, 1)), of_input)
    found, expected = (trained(module, (packed,), torch.bfloat16) for module in (ours, theirs))
    assert_near(found[0], expected[0])
    assert_near(found[1], expected[1])


@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_model_gives_and_trains_the_same_in_one_graph(name: str) -> None:
    torch._dynamo.reset()
    traceable, plain = twins(name)
    x = torch.randn(T, B, I)

    def call(module: nn.Module, x: Tensor) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            return module(x * 1)

    for grad in (False, True):
        found = []
        for module, function in ((traceable, compiled(call)), (plain, call)):
            with torch.set_grad_enabled(grad):
                outputs = list(tensors_of(function(module, x)))
            if grad:
                outputs += torch.autograd.grad(outputs[0].float().sum(), list(module.parameters()))
            found.append(outputs)
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5 if one.dtype is torch.float32 else 0.01)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_float64_is_not_cast(name: str) -> None:
    _, ours = pair(name, 3, 5, dtype=torch.float64)
    x = input_of(name, dtype=torch.float64)
    with torch.no_grad():
        expected = list(tensors_of(ours(x)))
        with torch.autocast("cpu"):
            assert all(map(torch.equal, tensors_of(ours(x)), expected))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_dtypes_that_autocast_does_not_cast_are_left_to_torch(name: str) -> None:
    theirs, ours = pair(name, 3, 5, dtype=torch.bfloat16)
    x = input_of(name, dtype=torch.bfloat16)
    with torch.autocast("cpu"):
        assert "the weights are of torch.bfloat16" in drop_in.explain(ours, x)
        assert all(map(torch.equal, tensors_of(ours(x)), tensors_of(theirs(x))))
    theirs, ours = pair(name, 3, 5)
    with torch.autocast("cpu"):
        assert "autocast is on" in drop_in.explain(ours, x.double())


def test_a_wrong_call_raises_torchs_error() -> None:
    theirs, ours = pair("GRU", 3, 5)
    with torch.autocast("cpu"):
        for args in ((torch.zeros(4, 2, 7),), (torch.zeros(4, 2, 3), torch.zeros(1, 3, 5)), (None,)):
            with pytest.raises((RuntimeError, AttributeError)) as expected:
                theirs(*args)
            with pytest.raises(expected.type) as found:
                ours(*args)
            assert str(found.value) == str(expected.value)


def outcome(module: Any, x: Any) -> Any:
    """The numbers of a call, or torch's error: oneDNN has no LSTM in bfloat16 for a CPU with AVX2 alone."""
    try:
        return [part.tolist() for part in tensors_of(module(x))]
    except RuntimeError as error:
        return str(error)


def test_torch_runs_an_lstm_for_which_the_cpu_has_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autocast, "onednn_is_fast", lambda low: True)
    theirs, ours = pair("LSTM", 3, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert "no LSTM for which this CPU has instructions" in drop_in.explain(ours, torch.zeros(4, 2, 3))
        x = torch.randn(4, 2, 3)
        assert outcome(ours, x) == outcome(theirs, x)
        assert "the call is covered" in drop_in.explain(ours, x, lengths=[4, 2])
        drop_in.stats(reset=True)
        ours(x, lengths=[4, 2])
        assert drop_in.stats().kernels == 1
        assert "kernels" in drop_in.explain(ours, sequences(torch.float32, (2, 4)))
        assert "kernels" in drop_in.explain(pair("GRU", 3, 5)[1], x)


def test_a_second_derivative_inside_autocast_is_near_that_of_float32() -> None:
    _, ours = pair("GRU", 3, 5)
    x = torch.randn(4, 2, 3, requires_grad=True)
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (first,) = torch.autograd.grad(ours(x)[0].sum(), x, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), x)[0])
    # torch casts the products of its own backward, whose numbers are below 0.1 here.
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0.005)


def test_keywords_of_single_steps_compute_on_the_kernels() -> None:
    _, ours = pair("LSTM", 3, 5)
    x = torch.randn(4, 2, 3)
    drop_in.stats(reset=True)
    with torch.autocast("cpu", torch.bfloat16):
        output, (h, c), states = ours(x, lengths=[4, 2], return_states=True)
    assert drop_in.stats() == drop_in.Stats(1, {})
    expected = ours(x, lengths=[4, 2], return_states=True)
    for one, other in zip((output, h, c, states), tensors_of(expected), strict=True):
        torch.testing.assert_close(one.float(), other, rtol=torch.finfo(torch.bfloat16).eps, atol=0)
