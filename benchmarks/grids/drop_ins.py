"""The grid `torch`: layers, padded and packed, and cells of pyrnn.torch beside torch.nn, in float32 and float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pyrnn import torch as drop_in

from .. import report, shapes
from ..case import CELLS, Case
from ..measure import TOLERANCE, Contestant, Row, best_in_turn, compared
from ..peers import torch as peer
from . import Grid, Options


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Sets torch's threads, and opens the grid."""
    every = [case for case in cases() if options.cell in (None, case.cell.removesuffix("Cell"))]
    with peer.started("training", options.threads):  # each case says when gradients are not wanted
        yield Grid(
            versions={"torch": torch.__version__},
            count=len(every),
            rows=(measure(case, options.seconds / len(every)) for case in every),
            tables=report.tables,
        )


def cases() -> Iterator[Case]:
    """Yields every shape, cell and dtype, and packed cases where there is more than one sequence."""
    for task, sequences in shapes.SEQUENCES.items():
        for shape in sequences:
            for cell in CELLS:
                for dtype in TOLERANCE:
                    yield Case(task, cell, *shape, dtype)
                    if shape[1] > 1:
                        yield Case(task, cell, *shape, dtype, packed=True)
        for shape in shapes.STEPS:
            for cell in CELLS:
                for dtype in TOLERANCE:
                    yield Case(task, f"{cell}Cell", *shape, dtype)


def measure(case: Case, seconds: float) -> Row:
    """Compares the drop-in with torch and times both.

    Raises:
        RuntimeError: if their results differ.
    """
    with torch.inference_mode(case.task == "inference"):
        return Row(case, best_in_turn(compared(case, contestants(case)), seconds))


def contestants(case: Case) -> dict[str, Contestant]:
    """The drop-in's call and torch's, with the same weights."""
    theirs, ours = (
        getattr(namespace, case.cell)(case.input, case.hidden, dtype=getattr(torch, case.dtype))
        for namespace in (nn, drop_in)
    )
    ours.load_state_dict(theirs.state_dict())
    state = case.state() if case.cell.endswith("Cell") else []
    return {"pyrnn": peer.module_call(ours, case, state), "torch": peer.module_call(theirs, case, state)}
