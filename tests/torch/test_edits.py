"""The next call sees every edit of a weight, also one that torch's version counters miss."""

from __future__ import annotations

import copy
import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from chosen_outputs import X, equal, outputs
from drop_ins import CELLS, LAYERS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from torch.utils._pytree import tree_map_only

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
    """Arguments of a call whose outputs depend on every weight: a cell gets a state."""
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
    assert equal(after, outputs(copy.deepcopy(module), *call))  # the copy packs its weights anew
    edit(weight, index, number)
    assert equal(outputs(module, *call), before)


@pytest.mark.parametrize("name", MODULES)
def test_new_memory_with_the_same_numbers_gives_the_same_outputs(name: str) -> None:
    module, call = MODULES[name](3, 5), arguments(name)
    before, old = outputs(module, *call), [weight.data for weight in module.parameters()]
    for weight in module.parameters():
        weight.data = weight.data.clone()
    assert equal(outputs(module, *call), before)
    for memory in old:
        memory.fill_(float("nan"))
    assert equal(outputs(module, *call), before)


def test_an_edit_of_an_attribute_is_seen() -> None:
    cells = [namespace.RNNCell(3, 5) for namespace in (nn, drop_in)]
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


# -- one step of one sequence without gradients ----------------------------------------------------------------


def by_optimizer(kind: type[torch.optim.Optimizer], **options: Any) -> Callable[[nn.Module], None]:
    def step(module: nn.Module) -> None:
        for weight in module.parameters():
            weight.grad = torch.ones_like(weight)
        kind(module.parameters(), lr=0.5, **options).step()  # type: ignore[call-arg]

    return step


def to_each(edit: Callable[[Tensor], Any]) -> Callable[[nn.Module], None]:
    def change(module: nn.Module) -> None:
        with torch.no_grad():
            for weight in module.parameters():
                edit(weight)

    return change


def by_another_process(module: nn.Module) -> None:
    weight = next(module.parameters())
    number = weight.detach().view(-1)[1].item() + 1
    process = multiprocessing.get_context("fork").Process(target=by_data, args=(weight, 1, number))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def doubled(module: nn.Module) -> dict[str, Tensor]:
    return {name: 2 * weight for name, weight in module.state_dict().items()}


def set_data(weight: Tensor) -> None:
    weight.data = 2 * weight.data


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "SGD": by_optimizer(torch.optim.SGD, foreach=False),
    "SGD, foreach": by_optimizer(torch.optim.SGD, foreach=True),
    "SGD, fused": by_optimizer(torch.optim.SGD, fused=True),
    "Adam": by_optimizer(torch.optim.Adam, foreach=False),
    "Adam, foreach": by_optimizer(torch.optim.Adam, foreach=True),
    "Adam, fused": by_optimizer(torch.optim.Adam, fused=True),
    "in place": to_each(lambda weight: weight.mul_(2)),
    "copy_": to_each(lambda weight: weight.copy_(2 * weight)),
    "new data": to_each(set_data),
    "data in place": to_each(lambda weight: weight.data.mul_(2)),
    "a NumPy view": to_each(lambda weight: np.multiply(weight.detach().numpy(), 2, out=weight.detach().numpy())),
    "load_state_dict": lambda module: module.load_state_dict(doubled(module)),
    "load_state_dict, assign": lambda module: module.load_state_dict(doubled(module), assign=True),
    "vector_to_parameters": lambda module: vector_to_parameters(
        2 * parameters_to_vector(module.parameters()), module.parameters()
    ),
    "another process": by_another_process,
}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # Python 3.12 warns at fork
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", MODULES)
def test_a_single_step_sees_weights_changed_in_any_way(name: str, way: str) -> None:
    torch.manual_seed(4)
    module = MODULES[name](3, 5)
    call = tree_map_only(Tensor, lambda t: t[:1] if "Cell" in name else t[:1, :1], arguments(name))
    if way == "another process":
        module.share_memory()
    seen = []
    for _ in range(3):
        fresh = MODULES[name](3, 5)
        fresh.load_state_dict(module.state_dict())
        with torch.no_grad():
            first, second, expected = (outputs(each, *call) for each in (module, module, fresh))
        assert equal(first, expected)
        assert equal(second, expected)  # on the packed weights of the first
        seen.append(expected)
        WAYS[way](module)
    assert not equal(seen[0], seen[1])
    assert not equal(seen[1], seen[2])
