"""`accelerate` leaves a module alone, with the reason, if the kernels might compute something else."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

import pyrnn.torch as drop_in


class OwnForward(nn.LSTM):
    def forward(self, x: Tensor, hx: Any = None) -> Any:
        return nn.LSTM.forward(self, x, hx)


class Flat(nn.LSTM):
    def drop(self) -> None:
        self._flat_weights = [weight * 0.5 for weight in self._flat_weights]


class Permuted(nn.GRU):
    def permute_hidden(self, hx: Tensor, permutation: Any) -> Tensor:
        return hx


class Checked(nn.GRU):
    def check_forward_args(self, *_: Any) -> None:
        pass


class Named(nn.GRU):
    def stream(self) -> None: ...


class Slotted(nn.GRU):
    __slots__ = ("more",)


class Strict(type(nn.Module)):  # type: ignore[misc]
    def __new__(cls, name: str, bases: Any, fields: Any) -> Any:
        if any(isinstance(base, cls) for base in bases):
            raise ValueError("final")
        return super().__new__(cls, name, bases, fields)


class Final(nn.GRU, metaclass=Strict):
    pass


class Base(nn.RNNBase):
    def __init__(self) -> None:
        super().__init__("LSTM", 3, 5)


LEFT: dict[Any, str] = {
    OwnForward: "the forward of OwnForward does not call super().forward",
    Flat: "Flat uses _flat_weights, which the kernels replace",
    Permuted: "Permuted overrides permute_hidden, which the kernels replace",
    Checked: "Checked overrides check_forward_args, which the kernels replace",
    Named: "Named defines stream, a name that pyrnn's modules use",
    Final: "Final cannot be extended: final",
    Base: "Base is a recurrence of its own, none of torch's six",
}


@pytest.mark.parametrize("kind", LEFT, ids=lambda kind: kind.__name__)
def test_a_subclass_that_may_compute_something_else_is_left_with_the_reason(kind: Any) -> None:
    module = kind() if kind is Base else kind(3, 5)
    assert drop_in.accelerate(module).left == {"": LEFT[kind]}
    assert type(module) is kind


def test_a_class_with_slots_is_swapped_or_left_but_never_broken() -> None:
    module = Slotted(3, 5)
    report = drop_in.accelerate(module)
    assert len(report.swapped) + len(report.left) == 1
    module(torch.zeros(4, 2, 3))
    drop_in.restore(module)
    assert type(module) is Slotted


@pytest.mark.parametrize("first", [True, False])
def test_an_attribute_with_a_name_of_pyrnns_keeps_its_meaning(first: bool) -> None:
    module = nn.GRU(3, 5)
    if first:
        module.activation = nn.ReLU()
        left = {"": "it has an attribute activation, a name that pyrnn's modules use"}
        assert drop_in.accelerate(module).left == left
    else:
        drop_in.accelerate(module)
        module.activation = nn.ReLU()
    assert type(module) is nn.GRU
    assert isinstance(module.activation, nn.ReLU)
    assert drop_in.restore(module) == []
