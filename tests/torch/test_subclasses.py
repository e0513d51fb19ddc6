"""`accelerate` swaps subclasses of torch's layers and cells, and `restore` gives back exactly what was there."""

from __future__ import annotations

import copy
import functools
import io
import multiprocessing
import pickle
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import GRADIENT, OUTPUT
from drop_ins import CELLS, LAYERS, input_of, tensors_of
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.rnn import pack_sequence

import pyrnn.torch as drop_in


class Plain(nn.LSTM):
    """A class that adds nothing."""


class Scaled(nn.GRU):
    made: ClassVar[list[type]] = []

    def __init_subclass__(cls) -> None:
        Scaled.made.append(cls)

    def __init__(self, size: int, *, scale: float = 2.0) -> None:
        super().__init__(size, size + 1)
        self.scale = scale

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        y, h = super().forward(x, hx)
        return y * self.scale, h


class Deeper(Scaled):
    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return super().forward(x + 1, hx)


class Abstract(ABC, nn.RNNBase):
    @abstractmethod
    def empty(self) -> Tensor: ...

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return super().forward(x, hx=hx)


class Concrete(Abstract, nn.LSTM):
    def empty(self) -> Tensor:
        return torch.zeros(0)


class Cell(nn.LSTMCell):
    def forward(self, x: Tensor, hx: Any = None) -> Any:
        h, c = super().forward(x, hx)
        return h.relu(), c


class Decorated(nn.RNN):
    @functools.wraps(nn.RNN.forward)
    def forward(self, *args: Any) -> Any:
        return super().forward(*args)


MAKERS = {
    "Plain": lambda: Plain(3, 5, 2, bidirectional=True),
    "Scaled": lambda: Scaled(3),
    "Deeper": lambda: Deeper(3),
    "Concrete": lambda: Concrete(3, 5, proj_size=2),
    "Cell": lambda: Cell(3, 5),
    "Decorated": lambda: Decorated(3, 5),
}


def made(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MAKERS[name]()  # type: ignore[no-any-return]


def input_for(module: nn.Module) -> Tensor:
    return input_of("Cell" if isinstance(module, nn.RNNCellBase) else "")


def trained(module: nn.Module) -> list[Tensor]:
    """The outputs of a call and the gradients of its weights."""
    torch.manual_seed(1)
    outputs = list(tensors_of(module(input_for(module))))
    module.zero_grad()
    sum(output.square().sum() for output in outputs).backward()  # type: ignore[union-attr]
    return [*outputs, *(parameter.grad for parameter in module.parameters() if parameter.grad is not None)]


def assert_close(found: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=max(OUTPUT[np.float32], GRADIENT[np.float32]))


def kernels_ran(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a call of the module never reaches torch's forward."""
    calls: list[int] = []
    original = next(base for base in type(module).__mro__ if base.__module__ == "torch.nn.modules.rnn")
    forward = original.forward
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(original, "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs))
        module(input_for(module))
    return not calls


@pytest.mark.parametrize("name", MAKERS)
def test_a_subclass_computes_and_trains_on_the_kernels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = made(name)
    expected = trained(module)
    assert not kernels_ran(module, monkeypatch)
    assert drop_in.accelerate(module).swapped == {"": name}
    assert kernels_ran(module, monkeypatch)
    assert_close(trained(module), expected)


@pytest.mark.parametrize("name", MAKERS)
def test_an_accelerated_subclass_looks_as_before_and_restore_gives_it_back(name: str) -> None:
    module = made(name)
    kind, shown, weights = type(module), repr(module), module.state_dict()
    module.extra = ["kept"]
    calls: list[str] = []
    module.register_forward_hook(lambda *_: calls.append("hook"))
    before = dict(vars(module))
    registered = list(Scaled.made)
    drop_in.accelerate(module)
    module(input_for(module))
    now = type(module)
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(now, attribute) == getattr(kind, attribute)
    assert isinstance(module, kind)
    assert issubclass(now, (nn.RNNBase, nn.RNNCellBase))
    assert (repr(module), module.extra, calls) == (shown, ["kept"], ["hook"])
    assert list(module.state_dict()) == list(weights)
    assert Scaled.made == registered
    assert drop_in.accelerate(made(name)).model.__class__ is now
    assert drop_in.restore(module) == [""]
    assert type(module) is kind
    assert vars(module).keys() == before.keys()
    assert all(vars(module)[key] is before[key] for key in before)
    assert drop_in.restore(module) == []


@pytest.mark.parametrize("name", [*LAYERS, *CELLS, *MAKERS])
def test_copies_stay_accelerated_and_pickles_hold_the_class_from_before(name: str) -> None:
    module = made(name) if name in MAKERS else getattr(nn, name)(3, 5)
    kind = type(module)
    drop_in.accelerate(module)
    expected = trained(module)
    now = type(module)
    for copied in (copy.deepcopy(module), copy.copy(module)):
        assert type(copied) is now
        assert_close(trained(copied), expected)
        assert drop_in.restore(copied) == [""]
        assert type(copied) is kind
    module.zero_grad()
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    for loaded in (torch.load(file, weights_only=False), pickle.loads(pickle.dumps(module))):
        assert type(loaded) is kind
        assert vars(loaded).keys() == vars(copied).keys()
        assert_close(trained(loaded), expected)
    assert type(module) is now


def test_a_saved_model_opens_without_pyrnn(tmp_path: Any) -> None:
    layer = nn.GRU(3, 5)
    model = nn.ModuleList([layer, layer])
    expected = layer(torch.ones(4, 2, 3))[0].detach()
    drop_in.accelerate(model)
    layer(torch.ones(4, 2, 3))
    torch.save(model, tmp_path / "model.pt")
    program = f"""
import sys
sys.modules["pyrnn"] = None
import torch
model = torch.load({str(tmp_path / "model.pt")!r}, weights_only=False)
assert type(model[0]) is torch.nn.GRU and model[1] is model[0]
torch.save(model[0](torch.ones(4, 2, 3))[0].detach(), {str(tmp_path / "y.pt")!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    torch.testing.assert_close(torch.load(tmp_path / "y.pt"), expected, rtol=0, atol=OUTPUT[np.float32])


@pytest.mark.parametrize("name", ["GRU", "Scaled"])
def test_a_model_stays_accelerated_on_its_way_to_another_process(name: str) -> None:
    module = made(name) if name in MAKERS else nn.GRU(3, 5)
    drop_in.accelerate(module)
    module(input_for(module))
    sent = bytes(multiprocessing.reduction.ForkingPickler.dumps(module))
    received = pickle.loads(sent)
    assert type(received) is type(module)
    assert drop_in.restore(received) == [""]
    by_hand = drop_in.GRU(3, 5)
    assert type(pickle.loads(bytes(multiprocessing.reduction.ForkingPickler.dumps(by_hand)))) is drop_in.GRU
    assert type(pickle.loads(pickle.dumps(by_hand))) is drop_in.GRU


@pytest.mark.parametrize("kind", [nn.GRU, Plain, nn.LSTMCell])
def test_a_module_with_computed_weights_is_swapped_and_restored(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = kind(3, 5)
    name = "weight_hh" if kind is nn.LSTMCell else "weight_hh_l0"
    weight_norm(module, name)
    normed, expected = type(module), trained(module)
    assert list(drop_in.accelerate(module).swapped) == [""]
    assert kernels_ran(module, monkeypatch)
    assert_close(trained(module), expected)
    if kind is nn.LSTMCell:  # torch cannot copy a layer that keeps computed weights with gradients in a list
        copied = copy.deepcopy(module)
        assert_close(trained(copied), expected)
        assert drop_in.restore(copied) == [""]
    assert drop_in.restore(module) == [""]
    assert type(module) is normed
    assert_close(trained(module), expected)
    drop_in.accelerate(module)
    parametrize.remove_parametrizations(module, name)
    assert kernels_ran(module, monkeypatch)
    weight_norm(module, name)
    assert drop_in.restore(module) == [""]
    assert type(module).__name__ == normed.__name__
    assert_close(trained(module), expected)
    parametrize.remove_parametrizations(module, name)
    assert type(module) is kind


def test_packed_sequences_reach_a_subclass() -> None:
    module = made("Plain")
    packed = pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    expected = list(tensors_of(module(packed)))
    drop_in.accelerate(module)
    assert_close(list(tensors_of(module(packed))), expected)


def test_explain_says_that_the_kernels_run_a_subclass() -> None:
    module = drop_in.accelerate(made("Scaled")).model
    assert drop_in.explain(module, torch.zeros(4, 2, 3)) == "pyrnn's kernels: the call is covered."
