"""Every edit of a number of a weight is seen at the next call, also one that torch does not notice."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_torch import CELLS, LAYERS
from test_torch_chosen import X, equal, outputs
from torch import Tensor, nn

import pyrnn.torch as drop_in


def by_data(weight: Tensor, index: int, number: float) -> None:
    weight.data.view(-1)[index] = number


def by_numpy(weight: Tensor, index: int, number: float) -> None:
    weight.detach().numpy().reshape(-1)[index] = number


def by_thread(weight: Tensor, index: int, number: float) -> None:
    thread = threading.Thread(target=by_data, args=(weight, index, number))
    thread.start()
    thread.join()


def by_new_data(weight: Tensor, index: int, number: float) -> None:
    weight.data = weight.data.clone()
    by_data(weight, index, number)


MODULES: dict[str, Callable[..., Any]] = {name: getattr(drop_in, name) for name in LAYERS + CELLS} | {
    "large": lambda i, h, **options: drop_in.GRU(i, 67, 2, bidirectional=True, **options),
    "peephole": lambda i, h, **options: drop_in.LSTM(i, h, 2, peephole=True, proj_size=2, **options),
}


def arguments(name: str) -> tuple[Any, ...]:
    """Of a call in which every weight counts: a cell is given a state."""
    h = torch.linspace(-1, 1, 10).reshape(2, 5)
    return (X, None) if "Cell" not in name else (X[0], (h, h) if name == "LSTMCell" else h)


@pytest.mark.parametrize("edit", [by_data, by_numpy, by_thread, by_new_data], ids=lambda edit: str(edit.__name__))
@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=15, deadline=None)
@given(st.data())
def test_an_edit_of_any_number_is_seen(name: str, edit: Any, data: st.DataObject) -> None:
    module, call = MODULES[name](3, 5), arguments(name)
    weight = data.draw(st.sampled_from(list(module.parameters())))
    index = data.draw(st.integers(0, weight.numel() - 1))
    before, number = outputs(module, *call), weight.detach().view(-1)[index].item()
    edit(weight, index, number + 1)
    after = outputs(module, *call)
    assert not equal(after, before)
    assert equal(after, outputs(copy.deepcopy(module), *call))  # which packs its own
    edit(weight, index, number)
    assert equal(outputs(module, *call), before)


@pytest.mark.parametrize("name", MODULES)
def test_new_memory_with_the_same_numbers(name: str) -> None:
    module, call = MODULES[name](3, 5), arguments(name)
    before, old = outputs(module, *call), [weight.data for weight in module.parameters()]
    for weight in module.parameters():
        weight.data = weight.data.clone()
    assert equal(outputs(module, *call), before)
    for memory in old:
        memory.fill_(float("nan"))
    assert equal(outputs(module, *call), before)


def test_an_edit_of_an_attribute_is_seen() -> None:
    cells = [room.RNNCell(3, 5) for room in (nn, drop_in)]
    cells[1].load_state_dict(cells[0].state_dict())
    for nonlinearity in ("tanh", "relu"):
        for cell in cells:
            cell.nonlinearity = nonlinearity
        torch.testing.assert_close(cells[1](X[0]), cells[0](X[0]))
    module = drop_in.GRU(3, 5)
    before = outputs(module, X)
    module.activation = "relu"
    assert not equal(outputs(module, X), before)
    assert equal(outputs(module, X), outputs(copy.deepcopy(module), X))
