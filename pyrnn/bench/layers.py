"""The layers on NumPy arrays beside torch.nn's, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from .. import layers
from . import shapes
from .drop_ins import module_call
from .measure import GATES, Case, Contestant


def cases() -> Iterator[Case]:
    """Every shape and cell."""
    for task, sequences in shapes.SEQUENCES.items():
        for shape in sequences:
            for cell in GATES:
                yield Case(task, cell, *shape)


def contestants(case: Case) -> tuple[Contestant, Contestant]:
    """The layer's call and torch's, with the same weights."""
    theirs = getattr(nn, case.cell)(case.input, case.hidden)
    ours = getattr(layers, case.cell)(case.input, case.hidden)
    ours.load_state_dict(theirs.state_dict())
    x, dy = case.draw()
    names = [name for name, _ in theirs.named_parameters()]

    def step() -> Any:
        y, state, pullback = ours.vjp(x)
        gradients = pullback(dy)
        return (y, state), [gradients.input, *(gradients.parameters[name] for name in names)]

    return (lambda: ours(x)) if case.task == "inference" else step, module_call(theirs, case)
