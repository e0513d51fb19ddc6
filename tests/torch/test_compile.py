"""torch.compile: the same bits as the drop-ins give outside of a graph."""

from __future__ import annotations

import copy
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import GRADIENT
from compiled import KEYWORDS, TWO, B, Calling, H, I, T, assert_equal, compiled, twins
from drop_ins import CELLS, DTYPES, LAYERS, pair, results, sequences
from torch import Tensor, nn
from torch._dynamo import config
from torch._dynamo.testing import CompileCounterWithBackend
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FORWARD = torch.ops.pyrnn.recurrence.default
# Dynamo reads .grad of every input of a graph, also where another graph has made the input.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture(autouse=True)
def _without_graphs_of_other_tests() -> None:
    torch._dynamo.reset()
    torch.manual_seed(1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [{}, TWO, {"num_layers": 3, "dropout": 0.4, "bias": False}], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_compiled_layers_give_the_bits_of_plain_ones(name: str, options: Any, dtype: torch.dtype) -> None:
    traceable, plain = twins(name, **options, dtype=dtype)
    x = torch.randn(T, B, I, dtype=dtype)
    runs = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    h = torch.randn(runs, T if "batch_first" in options else B, H, dtype=dtype)
    for args in ((x,), (x, (h, h * 2) if name == "LSTM" else h), (x[:, 0],)):
        assert_equal(results(compiled(traceable), args), results(plain, args))


@pytest.mark.parametrize(
    "options", [{"proj_size": 2}, {"peephole": True}, {"activation": "relu", "recurrent_activation": "relu"}], ids=str
)
def test_compiled_forms_of_the_lstm_give_the_bits_of_plain_ones(options: Any) -> None:
    traceable, plain = twins("LSTM", **options)
    args = (torch.randn(T, B, I),)
    assert_equal(results(compiled(traceable), args), results(plain, args))


@pytest.mark.parametrize("kind", KEYWORDS)
def test_compiled_calls_with_keywords_give_the_bits_of_plain_ones(kind: str) -> None:
    traceable, plain = (Calling(layer, **KEYWORDS[kind]) for layer in twins("LSTM"))
    states = (torch.randn(1, B, H), torch.randn(1, B, H)) if kind == "reset" else ()
    args = (torch.randn(T, B, I), *states)
    assert_equal(results(compiled(traceable), args), results(plain, args))


# torch itself causes this warning when it imports inductor.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_layers_compiled_by_inductor_give_the_bits_of_plain_ones(name: str) -> None:
    traceable, plain = twins(name, **TWO, dropout=0.5)
    args = (torch.randn(B, T, I),)
    with torch._inductor.config.patch(fallback_random=True):  # without it inductor draws from a generator of its own
        assert_equal(results(compiled(traceable, "inductor"), args), results(plain, args))


@pytest.mark.parametrize("how", ["dynamic", "mark"])
@pytest.mark.parametrize("options", [{}, {**TWO, "dropout": 0.5}], ids=str)
def test_one_graph_serves_all_lengths_and_batches(options: Any, how: str) -> None:
    traceable, plain = twins("LSTM", **options)
    counter = CompileCounterWithBackend("aot_eager")
    model = compiled(traceable, counter, dynamic=True if how == "dynamic" else None)
    counts = []
    for extent in ((7, 9), (4, 6), (9, 2), (2, 11)):
        x, y = (torch.ones(*extent, I).requires_grad_() for _ in range(2))
        steps, batch = extent[::-1] if options else extent
        given = {"lengths": torch.arange(batch) % steps, "return_states": True}
        if how == "mark":
            torch._dynamo.mark_dynamic(x, (0, 1))
            torch._dynamo.mark_dynamic(given["lengths"], 0)
        found = []
        for module, leaf in ((model, x), (plain, y)):
            torch.manual_seed(3)
            output, *rest = module(leaf, **given)
            found.append((output, rest, torch.autograd.grad(output.square().sum(), leaf)))
        assert_equal(*found)
        counts.append(counter.frame_count)
    assert counts[0] == counts[-1]


class Mixed(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x * 2)[0])


def test_other_modules_compile_as_before() -> None:
    model = Mixed(nn.LSTM(I, H), nn.Sequential(nn.Linear(H, I), twins("GRU")[0])).requires_grad_(False)
    x = torch.randn(T, B, I)
    assert config.allow_rnn is False
    with pytest.raises(torch._dynamo.exc.Unsupported, match="Attempted to wrap RNN, GRU, or LSTM"):
        compiled(model)(x)
    torch._dynamo.reset()
    assert_equal(torch.compile(model, backend="aot_eager")(x), model(x))


@pytest.mark.parametrize("name", LAYERS)
def test_plain_drop_ins_run_in_a_compiled_model(name: str) -> None:
    model = Mixed(pair(name, I, H)[1], nn.Linear(H, 2))
    args = (torch.randn(T, B, I),)
    expected = results(model, args)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="Attempted to wrap RNN, GRU, or LSTM"):
        compiled(model)(*args)
    torch._dynamo.reset()
    assert_equal(results(torch.compile(model, backend="aot_eager"), args), expected)
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    with config.patch(allow_rnn=True):
        assert_equal(results(compiled(model, counter), args), expected)
    assert FORWARD in [node.target for node in counter.graphs[-1].graph.nodes]


@pytest.mark.parametrize("unbatched", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_compiled_cells_give_the_numbers_of_plain_ones(name: str, unbatched: bool) -> None:
    cell = pair(name, I, H)[1]
    args = (torch.randn(*(() if unbatched else (B,)), I),)
    for one, other in zip(results(compiled(cell), args), results(cell, args), strict=True):
        # torch's operators compute these, not the kernels; the tolerance is that of gradients.
        torch.testing.assert_close(one, other, rtol=0, atol=10 * GRADIENT[np.float32])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_graph_without_gradients_records_no_tape(mode: Any) -> None:
    traceable, plain = twins("LSTM")
    x, counter = torch.randn(T, B, I), CompileCounterWithBackend("aot_eager")
    model = compiled(traceable, counter)
    with mode():
        output = model(x)[0]
    assert_equal(output, plain(x)[0].detach())
    assert output.is_inference() == (mode is torch.inference_mode)
    (node,) = [node for node in counter.graphs[-1].graph.nodes if node.target is FORWARD]
    assert node.args[-1] is False
    assert_equal(results(model, (x,)), results(plain, (x,)))


class Packing(nn.Module):
    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor) -> Any:
        output, state = self.rnn(pack_padded_sequence(x, torch.tensor([2, 6, 1, 4]), enforce_sorted=False))
        return pad_packed_sequence(output)[0], state


@pytest.mark.parametrize("name", LAYERS)
def test_compiled_packed_sequences_give_the_bits_of_plain_ones(name: str) -> None:
    traceable, plain = twins(name, num_layers=2, bidirectional=True, dropout=0.5)
    for layer in (traceable, copy.deepcopy(plain)):
        args = (torch.randn(T, B, I),)
        assert_equal(results(torch.compile(Packing(layer), backend="aot_eager"), args), results(Packing(plain), args))
    packed = sequences(torch.float32, (5, 3, 2))
    assert_equal(torch.compile(traceable.eval(), backend="aot_eager")(packed), plain.eval()(packed))
