"""Traceable drop-ins for torch.compile, and plain twins to compare them with."""

from __future__ import annotations

import copy
from typing import Any

import torch
from drop_ins import tensors_of
from torch import Tensor, nn

import pyrnn.torch as drop_in

T, B, I, H = 6, 4, 3, 5  # noqa: E741  (all different: torch.compile takes equal sizes for one)
TWO: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}


def twins(name: str, **options: Any) -> tuple[nn.Module, nn.Module]:
    """A traceable drop-in and a plain one with the same weights."""
    torch.manual_seed(0)
    plain = getattr(drop_in, name)(I, H, **options)
    traceable = copy.deepcopy(plain)
    drop_in.accelerate(traceable, traceable=True)
    return traceable, plain


def compiled(module: Any, backend: Any = "aot_eager", **options: Any) -> Any:
    return torch.compile(module, fullgraph=True, backend=backend, **options)


def assert_equal(ones: Any, others: Any) -> None:
    """Asserts equal bits and equal strides."""
    for one, other in zip(tensors_of(ones), tensors_of(others), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()


FLAGS = torch.tensor([True, False, True, True, False, True] * B).view(B, T).T


class Calling(nn.Module):
    """A module that calls another with fixed keywords; the reset state is an argument of the call."""

    def __init__(self, inner: nn.Module, **keywords: Any) -> None:
        super().__init__()
        self.inner, self.keywords = inner, keywords

    def forward(self, x: Tensor, *states: Tensor) -> Any:
        return self.inner(x, **self.keywords, **({"reset_state": states} if states else {}))


KEYWORDS: dict[str, dict[str, Any]] = {
    "lengths": {"lengths": torch.tensor([6, 0, 4, 2]), "checkpoint": 4},
    "list": {"lengths": [6, 0, 4, 2], "return_states": True},
    "mask": {"mask": FLAGS, "masked_output": "hold"},
    "reset": {"reset": FLAGS, "return_states": True},
}
