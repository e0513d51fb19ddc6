"""Calls of other dtypes and on meta give torch's own bits, or torch's own error.

torch computes an LSTM of bfloat16 or float16 by oneDNN, which cannot do so on every CPU: without AVX-512 some of these
calls raise. With oneDNN off they compute on every CPU.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from compiled import B, I, T, assert_equal, compiled, twins
from drop_ins import CELLS, LAYERS, input_of, pair, tensors_of
from torch import Tensor, nn
from torch._dynamo import config

import pyrnn.torch as drop_in

HALVES = [torch.bfloat16, torch.float16]


@pytest.fixture(autouse=True)
def _without_graphs_of_other_tests() -> None:
    torch._dynamo.reset()
    torch.manual_seed(1)


def outcome(call: Callable[[], Any]) -> Any:
    """Returns the result of a call, or torch's message that oneDNN has no such LSTM for this CPU."""
    try:
        return call()
    except RuntimeError as error:
        if not torch._C._get_mkldnn_enabled() or "could not create a primitive descriptor" not in str(error):
            raise
        return str(error)


def assert_same_outcome(ours: Callable[[], Any], theirs: Callable[[], Any]) -> Any:
    """Asserts that both calls have the same outcome, and returns it."""
    found, expected = outcome(ours), outcome(theirs)
    if isinstance(found, str) or isinstance(expected, str):
        assert found == expected
        return found
    assert_equal(found, expected)
    assert [(type(t), t.dtype) for t in tensors_of(found)] == [(type(t), t.dtype) for t in tensors_of(expected)]
    return found


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("dtype", [*HALVES, torch.complex64])
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_call_of_another_dtype_is_torchs(name: str, dtype: torch.dtype) -> None:
    theirs, ours = pair(name, 3, 5, dtype=dtype)
    x = input_of(name, dtype=dtype)
    assert_same_outcome(lambda: ours(x), lambda: theirs(x))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_call_on_meta_is_torchs(name: str) -> None:
    theirs, ours = pair(name, 3, 5, device="meta")
    outputs = [list(tensors_of(module(input_of(name, device="meta")))) for module in (theirs, ours)]
    assert [t.shape for t in outputs[0]] == [t.shape for t in outputs[1]]


def torchs_own(layer: nn.Module) -> nn.Module:
    """A copy of the layer as torch's own class."""
    theirs = copy.deepcopy(layer)
    assert drop_in.restore(theirs) == [""]
    return theirs


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("name", LAYERS)
def test_a_compiled_call_of_half_the_bits_is_torchs(name: str) -> None:
    traceable, plain = (layer.bfloat16() for layer in twins(name))
    x = torch.randn(T, B, I).bfloat16()
    theirs = torchs_own(plain)

    def call(module: nn.Module, x: Tensor) -> Tensor:
        return module(x * 1)[0]  # type: ignore[no-any-return]

    with torch.no_grad(), config.patch(allow_rnn=True):
        found = assert_same_outcome(lambda: compiled(call)(traceable, x), lambda: compiled(call)(theirs, x))
        outside = assert_same_outcome(lambda: call(plain, x), lambda: call(theirs, x))
    if not isinstance(found, str):  # in a graph torch calls oneDNN also where it avoids it outside of one
        assert_equal(found, outside)


@pytest.mark.usefixtures("onednn")
def test_a_compiled_lstm_trains_in_half_the_bits_as_torchs() -> None:
    traceable, plain = (layer.bfloat16() for layer in twins("LSTM"))
    x = torch.ones(T, B, I, dtype=torch.bfloat16)

    def trained(layer: nn.Module, call: Any) -> Any:
        output = call(x)[0]
        return output, torch.autograd.grad(output.sum(), list(layer.parameters()))

    theirs = torchs_own(plain)
    expected = functools.partial(trained, theirs, theirs)
    assert_same_outcome(lambda: trained(traceable, torch.compile(traceable, backend="aot_eager")), expected)
    assert_same_outcome(lambda: trained(plain, plain), expected)
