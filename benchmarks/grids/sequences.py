"""`python -m benchmarks infer` and `train`: the layers on NumPy arrays beside every peer, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyrnn.checks.arrays import Array
from pyrnn.core import layers

from .. import report, roofline, shapes
from ..case import CELLS, Case
from ..measure import Contestant, Row, best_in_turn, compared, on_one_thread
from ..peers import Peers, started
from . import Grid, Options

TASKS = {"infer": "inference", "train": "training"}


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Starts the peers of a task, and opens its grid."""
    task = TASKS[options.what]
    cells = [cell for cell in CELLS if options.cell in (None, cell)]
    cases = [Case(task, cell, *shape) for shape in shapes.SEQUENCES[task] for cell in cells]
    with started(task, options.threads) as peers:
        machine = roofline.measured(options.threads)
        yield Grid(
            versions=peers.versions,
            missing=peers.missing,
            limits=machine.limits(),
            count=len(cases),
            rows=(measure(case, peers, machine, options.seconds / len(cases)) for case in cases),
            tables=report.tables,
        )


def measure(case: Case, peers: Peers, machine: roofline.Machine, seconds: float) -> Row:
    """Compares the contestants of a case and times them.

    Raises:
        RuntimeError: if the results of one differ.
    """
    layer = getattr(layers, case.cell)(case.input, case.hidden, seed=0)
    contestants = {"pyrnn": contestant(case, layer)}
    contestants |= {name: make(case, layer.state_dict()) for name, make in peers.makers.items()}
    turns = compared(case, contestants)
    if machine.threads > 1:
        turns["one thread"] = on_one_thread(turns["pyrnn"])
    us = best_in_turn(turns, seconds)
    one_thread_us = us.pop("one thread", None)
    return Row(case, us, machine.bound_us(case), one_thread_us)


def contestant(case: Case, layer: Any) -> Contestant:
    """The call, or the training step, of a layer of any number of layers."""
    x, dy = case.draw()
    if case.task == "inference":
        return Contestant(lambda: layer(x), flat)
    parts = [part.repeat(layer.num_layers, axis=0) for part in case.state()]
    state = tuple(parts) if len(parts) > 1 else parts[0]

    def step() -> Any:
        y, last, pullback = layer.vjp(x, state)
        return y, last, pullback(dy)

    def results(result: Any) -> Iterator[Array]:
        y, last, gradients = result
        return flat([y, last, gradients.input, gradients.state, list(gradients.parameters.values())])

    return Contestant(step, results)


def flat(value: Any) -> Iterator[Array]:
    """The arrays in nested tuples and lists."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from flat(part)
    else:
        yield value
