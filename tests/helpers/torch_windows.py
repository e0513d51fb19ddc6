"""Convolutions and poolings of torch on arrays of whole numbers: outputs, gradients and padding."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's custom)
from whole_numbers import Array, whole


def torch_gradients(function: Any, x: Array, weights: dict[str, Array], seed: int) -> tuple[Any, ...]:
    """Output and gradients of `function(x, **weights)` in float64, since some float32 kernels (Winograd) round."""
    tensors = {
        n: torch.tensor(value, dtype=torch.float64, requires_grad=True) for n, value in {"x": x, **weights}.items()
    }
    y = function(*tensors.values())
    y.backward(torch.from_numpy(whole(seed, tuple(y.shape))))
    grads = {name: tensor.grad.numpy().astype(x.dtype) for name, tensor in tensors.items()}
    return y.detach().numpy().astype(x.dtype), grads.pop("x"), grads


def torch_padded(x: torch.Tensor, pads: list[tuple[int, int]], value: float = 0) -> torch.Tensor:
    return F.pad(x, [n for pair in reversed(pads) for n in pair], value=value)
