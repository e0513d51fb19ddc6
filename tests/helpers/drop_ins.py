"""Pairs of a drop-in and torch's own module from one seed, and the results and gradients of their calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from cases import GRADIENT, OUTPUT
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import pyrnn.torch as drop_in

LAYERS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")
DTYPES = {torch.float32: np.float32, torch.float64: np.float64}
FORMS: tuple[dict[str, Any], ...] = ({}, {"num_layers": 2, "bidirectional": True, "batch_first": True})


def pair(name: str, *args: Any, **options: Any) -> tuple[nn.Module, nn.Module]:
    """torch's module and the drop-in, with the same weights from one seed."""
    made = []
    for namespace in (nn, drop_in):
        torch.manual_seed(0)
        made.append(getattr(namespace, name)(*args, **options))
    return made[0], made[1]


def tensors_of(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, packed sequences included."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from tensors_of(part)


def input_of(name: str, **options: Any) -> Tensor:
    return torch.randn((2, 3) if "Cell" in name else (4, 2, 3), **options)


def leaves(value: Any) -> Any:
    """A copy whose floating-point tensors require gradients."""
    if isinstance(value, PackedSequence):
        return PackedSequence(leaves(value.data), *value[1:])
    if isinstance(value, (tuple, list)):
        return tuple(leaves(part) for part in value)
    return value.detach().clone().requires_grad_() if isinstance(value, Tensor) else value


def results(module: nn.Module, args: Any, kwargs: Any = None) -> tuple[list[Tensor], list[Tensor]]:
    """The outputs, with a number drawn after the call, and the gradients of inputs and weights."""
    args, kwargs = leaves(args), {name: leaves(value) for name, value in (kwargs or {}).items()}
    torch.manual_seed(5)
    outputs = list(tensors_of(module(*args, **kwargs)))
    drawn = torch.rand(1)
    floats = [out for out in outputs if out.is_floating_point()]
    inputs = [t for t in tensors_of((args, list(kwargs.values()))) if t.is_floating_point()] + list(
        module.parameters()
    )
    loss = sum(((i + 1) * out.sin()).sum() for i, out in enumerate(floats))
    assert isinstance(loss, Tensor)
    return [*outputs, drawn], list(torch.autograd.grad(loss, inputs, materialize_grads=True, allow_unused=True))


Results = tuple[list[Tensor], list[Tensor]]


def assert_same(ours: Results, theirs: Results, dtype: Any) -> None:
    """Takes the tolerances of helpers/cases.py; that of gradients is a fraction of the largest of the same pass."""
    for mine, other, tolerance in zip(ours, theirs, (OUTPUT[dtype], GRADIENT[dtype]), strict=True):
        assert [(t.dtype, t.shape) for t in mine] == [(t.dtype, t.shape) for t in other]
        scale = max([1.0, *(t.abs().max().item() for t in other if t.numel())])
        for one, two in zip(mine, other, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=tolerance * scale)
    assert [t.stride() for t in ours[0] if t.numel()] == [t.stride() for t in theirs[0] if t.numel()]


def sequences(dtype: torch.dtype, lengths: tuple[int, ...]) -> PackedSequence:
    torch.manual_seed(1)
    rows = [torch.randn(n, 3, dtype=dtype) for n in lengths]
    return pack_sequence(rows, enforce_sorted=list(lengths) == sorted(lengths, reverse=True))
