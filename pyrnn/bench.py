"""Measures pyrnn beside torch in one process: `python -m pyrnn.bench [--quick] [--json]` or `pyrnn bench`.

The two are called in turn, one thread each, and the best time of each counts: shared machines drift, the ratio of
neighbours does not. The outputs are compared first: a fast wrong answer is a failure.
"""

from __future__ import annotations

import json as jsonlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import _core, layers

# T, B, I, H as in the tables of the README.
Shape = tuple[int, int, int, int]
INFERENCE: list[Shape] = [
    (1, 1, 32, 40), (1, 1, 1, 128), (100, 1, 64, 64), (100, 1, 128, 128), (100, 1, 256, 256), (50, 1, 512, 512),
    (25, 1, 1024, 1024), (100, 8, 128, 128), (100, 32, 128, 128), (100, 32, 256, 256), (50, 64, 512, 512),
    (100, 128, 64, 64), (25, 256, 512, 512),
]  # fmt: skip
TRAINING: list[Shape] = [
    (100, 1, 64, 64), (100, 1, 128, 128), (100, 1, 256, 256), (100, 8, 128, 128), (100, 32, 128, 128),
    (100, 32, 256, 256), (50, 64, 512, 512), (100, 128, 64, 64),
]  # fmt: skip
CELLS = {"LSTM": 4, "GRU": 3, "RNN": 1}  # gates

# Of outputs and gradients against torch, float32, as a fraction of the largest: T <= 100 steps of rounding.
TOLERANCE = 1e-4


@dataclass
class Row:
    """One measured line; times in microseconds a call."""

    task: str
    cell: str
    steps: int
    batch: int
    input: int
    hidden: int
    pyrnn_us: float
    torch_us: float
    gflops: float

    @property
    def ratio(self) -> float:
        """How many times faster than torch."""
        return self.torch_us / self.pyrnn_us


def rows(quick: bool) -> Iterator[Row]:
    """Measures line by line; quick spends about 0.3 s a line, otherwise 2 s."""
    import torch

    threads = torch.get_num_threads(), _core.num_threads()
    torch.set_num_threads(1)
    _core.set_num_threads(1)
    seconds = 0.3 if quick else 2.0
    try:
        for task, shapes in (("inference", INFERENCE), ("training", TRAINING)):
            for shape in shapes:
                for cell, gates in CELLS.items():
                    T, B, I, H = shape  # noqa: N806, E741
                    ours, theirs = _contestants(task, cell, shape)
                    _compare(ours(), theirs(), f"{cell} {shape}")
                    pyrnn_us, torch_us = _best_in_turn(ours, theirs, seconds)
                    work = 2 * gates * H * (I + H) * T * B * (1 if task == "inference" else 3)
                    yield Row(task, cell, T, B, I, H, pyrnn_us, torch_us, work / pyrnn_us / 1e3)
    finally:
        torch.set_num_threads(threads[0])
        _core.set_num_threads(threads[1])


def _contestants(task: str, cell: str, shape: Shape) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Two functions that do the same work and return the same arrays."""
    import torch

    T, B, I, H = shape  # noqa: N806, E741
    theirs = getattr(torch.nn, cell)(I, H)
    ours = getattr(layers, cell)(I, H)
    ours.load_state_dict(theirs.state_dict())
    x = np.random.default_rng(0).standard_normal((T, B, I), np.float32)
    tensor = torch.from_numpy(x)
    if task == "inference":

        def infer() -> list[Any]:
            with torch.inference_mode():
                return [theirs(tensor)[0].numpy()]

        return lambda: [ours(x)[0]], infer

    dy = np.ones((T, B, H), np.float32)
    dy_tensor = torch.from_numpy(dy)
    names = [name for name, _ in theirs.named_parameters()]

    def step_ours() -> list[Any]:
        y, _, pullback = ours.vjp(x)
        gradients = pullback(dy)
        return [y, gradients.input, *(gradients.parameters[name] for name in names)]

    def step_theirs() -> list[Any]:
        leaf = tensor.detach().requires_grad_()
        theirs.zero_grad(set_to_none=True)
        y = theirs(leaf)[0]
        y.backward(dy_tensor)
        return [tensor.detach().numpy() for tensor in (y, leaf.grad, *(p.grad for p in theirs.parameters()))]

    return step_ours, step_theirs


def _compare(ours: list[Any], theirs: list[Any], what: str) -> None:
    for one, other in zip(ours, theirs, strict=True):
        error = float(np.abs(one - other).max()) / max(1.0, float(np.abs(other).max()))
        if not error <= TOLERANCE:
            raise RuntimeError(f"{what}: pyrnn and torch differ by {error:.1e}, more than {TOLERANCE:.0e}")


def _best_in_turn(ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for i, run in enumerate((ours, theirs)):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
        rounds += 1
    return best[0] * 1e6, best[1] * 1e6


def run(quick: bool = False, json: bool = False) -> None:
    """Prints the table, or one JSON object a line."""
    try:
        import torch
    except ImportError as error:
        raise RuntimeError('torch is not installed: pip install "pyrnn-cpu[bench]"') from error
    if json:
        for row in rows(quick):
            print(jsonlib.dumps({**asdict(row), "ratio": row.ratio}), flush=True)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"pyrnn {_core.__version__} ({_core.isa()}) beside torch {torch.__version__}, float32, one thread")
    found: list[Row] = []
    table = Table("task", "cell", "T,B,I,H", "pyrnn µs", "GFLOP/s", "torch µs", "torch / pyrnn")
    for column in table.columns[3:]:
        column.justify = "right"
    with console.status("measuring") as status:
        for row in rows(quick):
            found.append(row)
            size = f"{row.steps},{row.batch},{row.input},{row.hidden}"
            status.update(f"measured {row.task} {row.cell} {size}")
            table.add_row(
                row.task, row.cell, size, f"{row.pyrnn_us:.1f}", f"{row.gflops:.1f}", f"{row.torch_us:.1f}",
                f"{row.ratio:.2f}",
            )  # fmt: skip
    console.print(table)
    for task in ("inference", "training"):
        for cell in CELLS:
            ratios = [row.ratio for row in found if (row.task, row.cell) == (task, cell)]
            mean = float(np.exp(np.mean(np.log(ratios))))
            console.print(
                f"{task} {cell}: {mean:.2f} times as fast as torch (geometric mean; least {min(ratios):.2f})"
            )


if __name__ == "__main__":
    import typer

    typer.run(run)
