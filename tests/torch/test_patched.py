"""Networks that are built inside `patched()` get the drop-ins, whoever wrote the code that builds them."""

from __future__ import annotations

import gc
import inspect
import threading
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from drop_ins import CELLS, LAYERS
from torch import nn
from torch.nn import LSTM as IMPORTED_BEFORE
from torch.nn.modules.rnn import RNNBase, RNNCellBase

import pyrnn.torch as drop_in
from pyrnn.torch import patched


class Forecaster(nn.Module):
    """A network that builds its layers where the user does not reach them."""

    def fit(self) -> None:
        self.encoder = IMPORTED_BEFORE(3, 5)
        self.decoder = nn.GRUCell(3, 5)


class Scaled(nn.GRU):
    def __init__(self, activation: Any = None) -> None:
        super().__init__(3, 5)
        if activation is not None:
            self.activation = activation

    def forward(self, x: Any, hx: Any = None) -> Any:
        y, h = super().forward(x, hx)
        return (self.activation(y) if hasattr(self, "activation") else 2 * y), h


class Own(nn.GRU):
    def forward(self, x: Any, hx: Any = None) -> Any:
        return x, hx


CLASSES = [getattr(nn, name) for name in (*LAYERS, *CELLS)]


def state_of_torch() -> list[Any]:
    return [dict(vars(kind)) for kind in (*CLASSES, RNNBase, RNNCellBase, nn.Module)]


@pytest.fixture(autouse=True)
def torch_is_as_before() -> Any:
    before = state_of_torch()
    yield
    assert state_of_torch() == before


@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
def test_what_is_built_inside_is_a_drop_in_with_torchs_weights(name: str) -> None:
    torch.manual_seed(0)
    expected = getattr(nn, name)(3, 5)
    torch.manual_seed(0)
    with patched() as built:
        module = getattr(nn, name)(3, 5)
        made = getattr(drop_in, name)(3, 5)
    assert type(module) is type(made) is getattr(drop_in, name)
    assert built.swapped == {name: 1}  # the drop-in by its own name is one already
    assert all(map(torch.equal, module.parameters(), expected.parameters()))
    assert type(getattr(nn, name)(3, 5)) is getattr(nn, name)
    assert drop_in.restore(module) == [""]


def test_code_of_others_that_imported_the_class_before_is_reached() -> None:
    model = Forecaster()
    with patched() as built:
        model.fit()
    assert built.swapped == {"LSTM": 1, "GRUCell": 1}
    assert drop_in.restore(model) == ["encoder", "decoder"]


def test_subclasses_are_swapped_or_left_as_accelerate_does() -> None:
    with patched() as built:
        scaled, own = Scaled(), Own(3, 5)
    x = torch.ones(4, 2, 3)
    assert drop_in.explain(scaled, x) == "pyrnn's kernels: the call is covered."
    assert type(own) is Own
    assert (built.swapped, built.left) == ({"Scaled": 1}, {"Own": "the forward of Own does not call super().forward"})


def test_a_subclass_that_sets_a_name_of_pyrnns_later_is_torchs_again() -> None:
    with patched() as built:
        module = Scaled(nn.ReLU())
    assert type(module) is Scaled
    assert isinstance(module.activation, nn.ReLU)
    left = {"Scaled": "it has an attribute activation, a name that pyrnn's modules use"}
    assert (built.swapped, built.left) == ({}, left)
    assert "_accelerated" not in vars(module)


def test_counts_stay_when_the_networks_are_gone() -> None:
    with patched() as built:
        for _ in range(3):
            nn.GRU(3, 5)
            gc.collect()
    assert built.swapped == {"GRU": 3}


def test_blocks_may_be_nested_and_used_again() -> None:
    outer = patched()
    with outer:
        with patched() as inner, inner:
            nn.GRU(3, 5)
        layer = nn.GRU(3, 5)
    with outer:
        nn.LSTM(3, 5)
    assert isinstance(layer, drop_in.GRU)
    assert (inner.swapped, outer.swapped) == ({"GRU": 1}, {"GRU": 2, "LSTM": 1})


def test_an_exception_ends_the_block() -> None:
    with pytest.raises(ValueError, match="hidden_size must be greater than zero"), patched():
        nn.GRU(3, 0)
    assert type(nn.GRU(3, 5)) is nn.GRU


def test_patched_decorates_functions() -> None:
    @patched()
    def build(depth: int) -> list[nn.Module]:
        """Builds."""
        return [nn.GRU(3, 5), *(build(depth - 1) if depth else ())]

    assert [type(layer) for layer in build(2)] == [drop_in.GRU] * 3
    assert build.__doc__ == "Builds."


def test_patched_refuses_functions_that_run_after_their_call() -> None:
    async def later() -> None: ...

    def steps() -> Any:
        yield 1

    async def later_steps() -> Any:
        yield 1

    for function in (later, steps, later_steps):
        with pytest.raises(TypeError, match="patched\\(\\) decorates plain functions"):
            patched()(function)
    with pytest.raises(TypeError, match="patched\\(\\) decorates functions, got the class Forecaster: decorate its"):
        patched()(Forecaster)


def test_start_reaches_all_threads_until_stop() -> None:
    started = patched().start()
    found: list[type] = []
    thread = threading.Thread(target=lambda: found.append(type(nn.GRU(3, 5))))
    thread.start()
    thread.join()
    patched().stop()
    assert found == [drop_in.GRU]
    assert started.swapped == {"GRU": 1}
    with pytest.raises(RuntimeError, match="undoes a start\\(\\), and there was none"):
        patched().stop()


def test_a_block_reaches_its_own_thread_alone() -> None:
    inside, done = threading.Event(), threading.Event()
    found: list[type] = []

    def build() -> None:
        inside.wait(60)
        found.append(type(nn.GRU(3, 5)))
        with patched():
            found.append(type(nn.GRU(3, 5)))
        done.set()

    thread = threading.Thread(target=build)
    thread.start()
    with patched():
        inside.set()
        assert done.wait(60)
        assert type(nn.GRU(3, 5)) is drop_in.GRU
    thread.join()
    assert found == [nn.GRU, drop_in.GRU]


def test_another_patch_of_the_same_function_survives() -> None:
    original = nn.GRU.__init__
    block = patched().start()
    ours = nn.GRU.__init__
    nn.GRU.__init__ = lambda self, *args: ours(self, *args)  # type: ignore[method-assign]
    try:
        block.stop()
        assert type(nn.GRU(3, 5)) is nn.GRU
    finally:
        nn.GRU.__init__ = ours  # type: ignore[method-assign]
    with patched():
        assert type(nn.GRU(3, 5)) is drop_in.GRU
    assert nn.GRU.__init__ is original


def test_signatures_stay_while_it_is_on() -> None:
    expected = [inspect.signature(kind) for kind in CLASSES]
    with patched():
        assert [inspect.signature(kind) for kind in CLASSES] == expected
        nn.utils.skip_init(nn.GRUCell, 3, 5)
