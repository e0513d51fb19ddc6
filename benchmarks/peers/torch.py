"""torch.nn runs on oneDNN where torch has such a kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from pyrnn.checks.arrays import Array

from ..case import Case
from ..measure import Contestant


@contextmanager
def started(task: str, threads: int) -> Iterator[Any]:
    """The maker of contestants, in torch's inference mode unless they train."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode(task != "training"):
            yield contestant
    finally:
        torch.set_num_threads(before)


def contestant(case: Case, weights: Mapping[str, Array]) -> Contestant:
    """The module of torch.nn with these weights."""
    module = getattr(nn, case.cell)(case.input, case.hidden)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return module_call(module, case, case.state() if case.has_state else [])


def module_call(module: nn.Module, case: Case, state: Sequence[Array]) -> Contestant:
    """A call of a module of torch.nn, or of its drop-in, from a state if there is one.

    It returns the module's results, and in training also the gradients of the input, the states and the weights, for a
    gradient of the output, or of the h of a cell.
    """
    args, dy = _arguments(module, case, state)
    if case.task != "training":
        return Contestant(lambda: module(*args), _arrays)
    leaves = [*_tensors(args), *module.parameters()]
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

    return Contestant(step, _arrays)


def _arguments(module: nn.Module, case: Case, given: Sequence[Array]) -> tuple[tuple[Any, ...], Tensor]:
    """The module's arguments, and the gradient of its output."""
    x, dy = map(torch.from_numpy, case.draw())
    parts = [torch.from_numpy(part) for part in given]
    if isinstance(module, nn.RNNCellBase):
        x, dy, parts = x[0], dy[0], [part[0] for part in parts]
    state = [tuple(parts) if len(parts) > 1 else part for part in parts[:1]]
    if not case.packed:
        return (x, *state), dy
    lengths = torch.from_numpy(case.lengths())
    packed = [pack_padded_sequence(tensor, lengths, enforce_sorted=False) for tensor in (x, dy)]
    return (packed[0], *state), packed[1].data


def _arrays(result: Any) -> Iterator[Array]:
    for tensor in _tensors(result):
        yield tensor.detach().numpy()


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, PackedSequence):
        yield value.data
    else:
        for part in value:
            yield from _tensors(part)
