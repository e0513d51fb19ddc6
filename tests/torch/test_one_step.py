"""A call of one step of one sequence without gradients reads weights that are not packed and gives the same bits."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

import pyrnn.torch

KINDS = ["RNN", "LSTM", "GRU"]


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
