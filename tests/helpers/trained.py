"""A few steps of training of a drop-in or of torch's own module."""

from __future__ import annotations

from typing import Any

import drop_ins
import numpy as np
import torch
from cases import GRADIENT
from drop_ins import tensors_of
from torch import Tensor, nn

F64 = {"dtype": torch.float64}


def input_of(name: str, seed: int = 1, **options: Any) -> Tensor:
    torch.manual_seed(seed)
    return drop_ins.input_of(name, **(F64 | options))


def call(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The outputs of a call, or of two steps of a cell, so that its recurrent weights matter."""
    if not isinstance(module, nn.RNNCellBase):
        return list(tensors_of(module(x)))
    return list(tensors_of(module(x, module(x))))


def train(module: nn.Module, name: str, steps: int = 3) -> list[Tensor]:
    """Trains by some steps of SGD, and returns outputs, weights and gradients."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        torch.stack([out.square().sum() for out in call(module, input_of(name, step))]).sum().backward()
        optimizer.step()
    gradients = [parameter.grad for parameter in module.parameters()]
    assert all(gradient is not None for gradient in gradients)
    return [*call(module, input_of(name)), *module.parameters(), *gradients]


def assert_near(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Asserts equality within the tolerance of gradients, which trained weights consist of."""
    assert [t.dtype for t in ours] == [t.dtype for t in theirs]
    tolerance = GRADIENT[np.float64 if theirs[0].dtype is torch.float64 else np.float32]
    scale = max([1.0, *(t.abs().max().item() for t in theirs)])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)
