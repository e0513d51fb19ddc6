"""torch.compile, and drop-ins that are instances of torch's classes."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from compiled import B, H, I, T, assert_equal, compiled
from drop_ins import CELLS, LAYERS, results
from torch import Tensor, nn
from torch._dynamo import config

import pyrnn.torch as drop_in

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")


@pytest.fixture(autouse=True)
def _without_graphs_of_other_tests() -> None:
    torch._dynamo.reset()
    torch.manual_seed(1)


def assert_near(found: Any, expected: Any) -> None:
    for one, other in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)  # gradients sum over 24 outputs


class Doubled(nn.GRU):
    def forward(self, x: Tensor, hx: Any = None) -> Any:
        y, h = super().forward(x, hx)
        return 2 * y, h


class Asking(nn.Module):
    """A model that computes something else if its layer is no instance of torch's class."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)[0]
        return y if isinstance(self.layer, (nn.RNN, nn.LSTM, nn.GRU)) else y * 7


@pytest.mark.parametrize("name", LAYERS)
def test_with_allow_rnn_a_traceable_layer_is_an_instance_of_torchs_class(name: str) -> None:
    x = torch.randn(T, B, I)
    layer = getattr(nn, name)(I, H)
    expected = results(Asking(drop_in.accelerate(layer, inplace=False).model), (x,))
    with config.patch(allow_rnn=True):
        model = Asking(layer)
        assert drop_in.accelerate(model, traceable=True).swapped == {"layer": name}
        assert isinstance(layer, getattr(nn, name))
        assert_equal(results(model, (x,)), expected)
        assert_equal(results(compiled(model), (x,)), expected)
    assert drop_in.restore(model) == ["layer"]
    assert type(layer) is getattr(nn, name)


def test_with_allow_rnn_a_subclass_is_traced_too() -> None:
    x, layer = torch.randn(T, B, I), Doubled(I, H)
    expected = results(drop_in.accelerate(layer, inplace=False).model, (x,))
    with config.patch(allow_rnn=True):
        drop_in.accelerate(layer, traceable=True)
        assert_equal(results(compiled(layer), (x,)), expected)
    assert drop_in.restore(layer) == [""]
    assert type(layer) is Doubled


@pytest.mark.parametrize("traceable", [False, True])
def test_without_allow_rnn_a_compiled_model_breaks_its_graph_at_a_subclass(traceable: bool) -> None:
    x, layer = torch.randn(T, B, I), Doubled(I, H)
    model = Asking(layer)
    expected = results(model, (x,))
    assert drop_in.accelerate(model, traceable=traceable).swapped == {"layer": "Doubled"}
    assert isinstance(layer, nn.GRU)
    assert_near(results(torch.compile(model, backend="aot_eager"), (x,)), expected)


@pytest.mark.parametrize("name", CELLS)
def test_a_subclass_of_a_cell_compiles_without_a_flag(name: str) -> None:
    class Cell(getattr(nn, name)):  # type: ignore[misc]
        def forward(self, x: Tensor, hx: Any = None) -> Any:
            return super().forward(x + 1, hx)

    x, cell = torch.randn(B, I), Cell(I, H)
    drop_in.accelerate(cell)
    assert_near(results(compiled(cell), (x,)), results(cell, (x,)))  # torch's own runs cells in a graph
