"""A call of one step of one sequence without gradients, which reads the weights as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import pyrnn.torch

KINDS = ["RNN", "LSTM", "GRU"]
CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "a NumPy view": lambda weight: weight.detach().numpy().__imul__(0.5),
    "data": lambda weight: setattr(weight, "data", weight.data * 0.5),
    "copy_": lambda weight: weight.copy_(weight * 0.5),
    "shared memory": lambda weight: torch.from_dlpack(weight.detach()).share_memory_().mul_(0.5),
}


def flat(state: Any) -> list[Tensor]:
    return list(state) if isinstance(state, tuple) else [state]


def all_of(result: Any) -> list[Tensor]:
    return [result[0], *flat(result[1])]


def state_of(kind: str, *shape: int, dtype: torch.dtype = torch.float32) -> Any:
    h = torch.randn(*shape, dtype=dtype)
    return (h, torch.randn(*shape, dtype=dtype)) if kind.startswith("LSTM") else h


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("hidden", [1, 3, 10, 33, 64, 70])  # whole vectors of units and what is left of one
@pytest.mark.parametrize("kind", KINDS)
def test_one_step_has_the_bits_of_a_recorded_call(kind: str, hidden: int, bias: bool, dtype: torch.dtype) -> None:
    for inputs in (1, 5, 40):
        for layers, bidirectional in ((1, False), (3, False), (2, True)):
            torch.manual_seed(0)
            options: dict[str, Any] = {"bias": bias, "bidirectional": bidirectional, "dtype": dtype}
            layer = getattr(pyrnn.torch, kind)(inputs, hidden, layers, **options)
            x = torch.randn(1, 1, inputs, dtype=dtype)
            for state in (None, state_of(kind, layers * (1 + bidirectional), 1, hidden, dtype=dtype)):
                expected = all_of(layer(x, state))
                with torch.no_grad():
                    found = all_of(layer(x, state))
                assert all(map(torch.equal, found, expected)), (inputs, layers, bidirectional)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [*KINDS, *(kind + "Cell" for kind in KINDS)])
@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_hh"])
def test_one_step_sees_any_change_of_a_weight(kind: str, change: str, name: str) -> None:
    torch.manual_seed(0)
    is_cell = kind.endswith("Cell")
    layer, reference = (getattr(module, kind)(5, 33) for module in (pyrnn.torch, torch.nn))
    x, state = torch.randn(*([1, 5] if is_cell else [1, 1, 5])), state_of(kind, *([1, 33] if is_cell else [1, 1, 33]))
    with torch.no_grad():
        for _ in range(3):
            layer(x, state)
            CHANGES[change](getattr(layer, name if is_cell else name + "_l0"))
            reference.load_state_dict(layer.state_dict())
            found, expected = layer(x, state), reference(x, state)
            pairs = (flat(found), flat(expected)) if is_cell else (all_of(found), all_of(expected))
            torch.testing.assert_close(*pairs)
