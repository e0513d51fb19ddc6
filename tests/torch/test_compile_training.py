"""Training, checkpoints, compiled autograd and transforms under torch.compile give the plain drop-ins' numbers."""

from __future__ import annotations

import copy
import gc
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import GRADIENT
from compiled import B, Calling, H, I, T, assert_equal, compiled, twins
from drop_ins import CELLS, LAYERS, pair, results, tensors_of
from torch import Tensor, nn
from torch._dynamo import compiled_autograd
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.checkpoint import checkpoint

from pyrnn.torch import operators

# Dynamo reads .grad of every input of a graph, also where another graph has made the input.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture(autouse=True)
def _without_graphs_of_other_tests() -> None:
    torch._dynamo.reset()
    torch.manual_seed(1)


def steps_of(module: nn.Module, call: Any, x: Tensor) -> list[float]:
    """The losses of 20 steps of Adam."""
    optimizer, losses = torch.optim.Adam(module.parameters(), lr=0.02), []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (call(x)[0] - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_compiled_training_has_the_losses_and_weights_of_the_plain_drop_in() -> None:
    before = set(operators._handles)  # other tests of this process may have left some
    traceable, plain = twins("GRU", num_layers=2)
    x = torch.randn(T, B, I)
    losses = steps_of(traceable, compiled(traceable), x)
    assert losses == steps_of(plain, plain, x)
    assert losses[-1] < losses[0]
    assert_equal(list(traceable.parameters()), list(plain.parameters()))
    gc.collect()
    assert not set(operators._handles) - before
    own = set(map(id, traceable.parameters()))
    assert len([weight for weight in operators._packed if id(weight) in own]) == 1


@pytest.mark.parametrize("edit", ["in place", "data", "data in place", "replaced"])
def test_a_compiled_model_sees_changed_weights(edit: str) -> None:
    traceable, plain = twins("GRU")
    model, x = compiled(traceable), torch.randn(T, B, I)
    model(x)
    for layer in (traceable, plain):
        with torch.no_grad():
            if edit == "in place":
                layer.weight_hh_l0.mul_(2)
            elif edit == "data":
                layer.weight_hh_l0.data = layer.weight_hh_l0.data * 2
            elif edit == "data in place":
                layer.weight_hh_l0.data[1] += 1
            else:
                layer.weight_hh_l0 = nn.Parameter(layer.weight_hh_l0 * 2)
    assert_equal(results(model, (x,)), results(plain, (x,)))


def test_a_weight_modified_before_backward_is_noticed() -> None:
    traceable = twins("LSTM")[0]
    loss = compiled(traceable)(torch.randn(T, B, I))[0].sum()
    with torch.no_grad():
        traceable.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


class Checkpointed(Calling):
    def forward(self, x: Tensor, *states: Tensor) -> Any:
        return checkpoint(self.inner, x, use_reentrant=False)


def test_torchs_checkpoint_in_a_graph_gives_the_bits_of_the_plain_drop_in() -> None:
    traceable, plain = map(Checkpointed, twins("LSTM", num_layers=2, dropout=0.5))
    args = (torch.randn(T, B, I),)
    assert_equal(results(compiled(traceable), args), results(plain, args))


def compiled_backward(loss: Tensor) -> None:
    with compiled_autograd._enable(compiled_backend):
        loss.backward()


def compiled_backend(graph: Any) -> Any:
    return torch.compile(graph, fullgraph=True, backend="aot_eager")


def assert_backward_compiles(forward: nn.Module, plain: nn.Module, x: Tensor) -> None:
    compiled_backward(next(tensors_of(forward(x))).square().sum())
    expected = torch.autograd.grad(next(tensors_of(plain(x))).square().sum(), list(plain.parameters()))
    assert_equal([parameter.grad for parameter in forward.parameters()], expected)


def test_compiled_autograd_of_a_compiled_model_gives_the_plain_gradients() -> None:
    traceable, plain = twins("LSTM")
    assert_backward_compiles(compiled(traceable), plain, torch.randn(T, B, I))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_compiled_autograd_of_calls_outside_of_a_graph_gives_the_plain_gradients(name: str) -> None:
    plain = pair(name, I, H)[1]
    x = torch.randn(*(() if name in CELLS else (T,)), B, I)
    assert_backward_compiles(copy.deepcopy(plain), plain, x)


# torch itself causes this warning at the first forward-mode derivative.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", ["jvp", "grad", "vmap"])
def test_transforms_in_a_graph_give_the_plain_numbers(kind: str) -> None:
    x = torch.randn(T, B, I)

    def transformed(layer: nn.Module, x: Tensor) -> Any:
        def loss(x: Tensor) -> Tensor:
            return layer(x)[0].square().sum()  # type: ignore[no-any-return]

        if kind == "jvp":
            return torch.func.jvp(loss, (x,), (x,))
        return torch.func.grad(loss)(x) if kind == "grad" else torch.func.vmap(loss, in_dims=1)(x)

    traceable, plain = twins("GRU")
    for one, other in zip(
        tensors_of(compiled(transformed)(traceable, x)), tensors_of(transformed(plain, x)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=GRADIENT[np.float32] * other.abs().max().item())


@pytest.mark.parametrize("name", CELLS)
def test_a_compiled_cell_is_one_operator_of_torchs(name: str) -> None:
    _, ours = pair(name, I, H)
    counter = CompileCounterWithBackend("eager")
    compiled(ours, counter)(torch.randn(B, I))
    called = " ".join(str(node.target) for node in counter.graphs[-1].graph.nodes)
    assert {"RNNCell": "rnn_tanh_cell", "LSTMCell": "lstm_cell", "GRUCell": "gru_cell"}[name] in called
