"""The modules of pyrnn.torch beside torch.nn's: layers, padded and packed, and cells, in float32 and float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from .. import torch as drop_in
from . import shapes
from .measure import GATES, TOLERANCE, Case, Contestant


def cases() -> Iterator[Case]:
    """Every shape, cell and dtype; packed where there is more than one sequence."""
    for task, sequences in shapes.SEQUENCES.items():
        for shape in sequences:
            for cell in GATES:
                for dtype in TOLERANCE:
                    yield Case(task, cell, *shape, dtype)
                    if shape[1] > 1:
                        yield Case(task, cell, *shape, dtype, packed=True)
        for shape in shapes.STEPS:
            for cell in GATES:
                for dtype in TOLERANCE:
                    yield Case(task, f"{cell}Cell", *shape, dtype)


def contestants(case: Case) -> tuple[Contestant, Contestant]:
    """The drop-in's call and torch's, with the same weights."""
    theirs, ours = (
        getattr(room, case.cell)(case.input, case.hidden, dtype=getattr(torch, case.dtype)) for room in (nn, drop_in)
    )
    ours.load_state_dict(theirs.state_dict())
    return module_call(ours, case), module_call(theirs, case)


def module_call(module: nn.Module, case: Case) -> Contestant:
    """A call of a module of torch.nn or of its drop-in.

    It returns what the module does; in training that, and the gradients of the input, of the states of a cell, and of
    the weights, from a gradient of the output, or of the h of a cell.
    """
    args, dy = _arguments(module, case)
    if case.task == "inference":
        return lambda: module(*args)
    leaves = [*_floats(args), *module.parameters()]
    for leaf in leaves:
        leaf.requires_grad_()

    def step() -> Any:
        for leaf in leaves:
            leaf.grad = None
        result = module(*args)
        y = result
        while not isinstance(y, Tensor):
            y = y[0]
        torch.autograd.backward(y, dy)
        return result, [leaf.grad for leaf in leaves]

    return step


def _arguments(module: nn.Module, case: Case) -> tuple[tuple[Any, ...], Tensor]:
    """What the module is called with, and the gradient of its output."""
    x, dy = map(torch.from_numpy, case.draw())
    if isinstance(module, nn.RNNCellBase):
        h, c = torch.tanh(dy[0]), dy[0].clone()
        return (x[0], (h, c) if isinstance(module, nn.LSTMCell) else h), dy[0]
    if not case.packed:
        return (x,), dy
    lengths = torch.from_numpy(case.lengths())
    packed = [pack_padded_sequence(tensor, lengths, enforce_sorted=False) for tensor in (x, dy)]
    return (packed[0],), packed[1].data


def _floats(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    else:
        for part in value:
            yield from _floats(part)
