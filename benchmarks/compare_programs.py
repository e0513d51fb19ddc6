"""Does one line make whole programs faster? Five programs as people write them, before and after `accelerate`.

python benchmarks/compare_programs.py
python benchmarks/compare_programs.py --program forecaster --kind LSTM --threads 1
python benchmarks/compare_programs.py --program cells --program cells_forward --program steps --program steps_cells
python benchmarks/compare_programs.py --all --json it.json      every program at every size

The third line measures cells in a loop of 20 steps, in training and without gradients, and layers and cells that are
called 100 times with one step of one sequence.

The programs lie in benchmarks/programs. A row makes two models with the same weights, swaps the layers of one, and
lets the two make training steps in turn, in one process: a step is zero_grad, forward, loss, backward, Adam. "torch"
and "pyrnn" are the medians of a step; "ratio" is the median over the turns of torch / pyrnn: above 1 the accelerated
program is faster. "recurrence" is the share of torch's step that disappears if a stand-in, whose outputs have only the
right shape, replaces the recurrent layer.

Programs run on torch's default number of threads and on one, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.utils.rnn import PackedSequence

import pyrnn.torch

PROGRAMS = ("forecaster", "tagger", "policy", "seq2seq", "characters")
KINDS = ("LSTM", "GRU", "RNN")
SIZES = ((64, 24, 48, 256), (32, 50, 32, 64), (16, 100, 20, 128), (128, 20, 16, 32), (8, 60, 64, 200))  # B, T, I, H
OF_OTHERS = SIZES[1:2]  # the sizes of all programs except the first
OF_CELLS = ((1, 20, 16, 16), (4, 20, 32, 64), (32, 20, 64, 128), (64, 20, 128, 256), (128, 20, 128, 256),
            (256, 20, 128, 512))  # fmt: skip
OF_STEPS = tuple((1, 100, hidden, hidden) for hidden in (16, 64, 128, 256))
SMALL = {"cells": OF_CELLS, "cells_forward": OF_CELLS, "steps": OF_STEPS, "steps_cells": OF_STEPS}
Step = Callable[[], None]


@dataclass(frozen=True)
class Row:
    """One program at one size: milliseconds of a training step, and the share of the recurrence in torch's."""

    program: str
    kind: str
    batch: int
    steps: int
    features: int
    hidden: int
    threads: int
    torch_ms: float
    pyrnn_ms: float
    ratio: float
    recurrence: float


class StandIn(nn.Module):
    """Returns outputs of the shapes of a recurrent layer or cell, at the cost of one small product."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer_kind = type(layer).__name__
        self.width = layer.hidden_size * (1 + getattr(layer, "bidirectional", False))
        self.batch_first = getattr(layer, "batch_first", False)
        self.weight = nn.Parameter(torch.zeros(1, self.width))

    def forward(self, x: Any, hx: Any = None) -> Any:
        # The gradient must flow on to the layers before; `data` of a tensor would cut it off.
        y = (x.data if isinstance(x, PackedSequence) else x)[..., :1] * self.weight
        if self.layer_kind.endswith("Cell"):
            return (y, y) if self.layer_kind == "LSTMCell" else y
        final = y.detach()[:1] if isinstance(x, PackedSequence) else y.detach().select(int(self.batch_first), 0)[None]
        output = x._replace(data=y) if isinstance(x, PackedSequence) else y
        return output, (final, final) if self.layer_kind == "LSTM" else final


def stand_in(model: nn.Module) -> None:
    """Replaces the recurrent layers by stand-ins."""
    for name, module in model.named_children():
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
            setattr(model, name, StandIn(module))


def prepared(program: str, kind: str, size: tuple[int, ...], change: Callable[[nn.Module], Any] | None) -> Step:
    """A training step of a model that `change` has changed; the optimizer keeps the model's first weights."""
    torch.manual_seed(0)
    file, _, variant = program.partition("_")
    made = runpy.run_path(str(Path(__file__).parent / "programs" / f"{file}.py"))
    model, step = made[f"make_{variant}" if variant else "make"](kind, *size)
    if change:
        change(model)
    return step


def in_turn(steps: list[Step], seconds: float) -> list[list[float]]:
    """Calls the steps in turn, and returns the milliseconds of each call of each step."""
    for step in steps * 3:
        step()
    times: list[list[float]] = [[] for _ in steps]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for step, of_step in zip(steps, times, strict=True):
            start = time.perf_counter()
            step()
            of_step.append(1e3 * (time.perf_counter() - start))
    return times


def measure(program: str, kind: str, size: tuple[int, ...], seconds: float) -> Row:
    steps = [prepared(program, kind, size, change) for change in (None, pyrnn.torch.accelerate, stand_in)]
    before, after, rest = in_turn(steps, seconds)
    ratio = statistics.median(b / a for b, a in zip(before, after, strict=True))
    plain, fast, without = (statistics.median(times) for times in (before, after, rest))
    return Row(program, kind, *size, torch.get_num_threads(), plain, fast, ratio, 1 - without / plain)


def rows_of(threads: int) -> Iterator[Row]:
    """Yields the rows of one number of threads (0: the default) as a process of its own measures them."""
    command = [sys.executable, __file__, "--worker", str(threads), *sys.argv[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            yield Row(**json.loads(line))
    if process.returncode:
        raise SystemExit(process.returncode)


def work(arguments: argparse.Namespace) -> None:
    """Measures the rows in the process that rows_of starts."""
    if arguments.worker:
        torch.set_num_threads(arguments.worker)
    for program in arguments.program or PROGRAMS:
        every_size = arguments.all or program == PROGRAMS[0]
        for kind in arguments.kind or KINDS:
            for size in SMALL.get(program) or (SIZES if every_size else OF_OTHERS):
                row = measure(program, kind, size, arguments.seconds)
                print(json.dumps(asdict(row)), flush=True)


def table_of(rows: list[Row]) -> Table:
    table = Table(title="A training step before and after accelerate")
    for name in ("program", "kind", "B,T,I,H", "threads", "torch ms", "pyrnn ms", "ratio", "recurrence"):
        table.add_column(name, justify="left" if name in ("program", "kind") else "right")
    for r in rows:
        size = f"{r.batch},{r.steps},{r.features},{r.hidden}"
        times = f"{r.torch_ms:.2f}", f"{r.pyrnn_ms:.2f}", f"{r.ratio:.2f}", f"{r.recurrence:.0%}"
        table.add_row(r.program, r.kind, size, str(r.threads), *times)
    return table


def means_of(rows: list[Row]) -> Iterator[str]:
    """Yields a sentence for each kind and number of threads."""
    for threads in sorted({r.threads for r in rows}):
        for kind in KINDS:
            ratios = [r.ratio for r in rows if (r.kind, r.threads) == (kind, threads)]
            if ratios:
                mean = statistics.geometric_mean(ratios)
                yield f"{kind}, {threads} threads: {mean:.2f} in the geometric mean, {min(ratios):.2f} at least."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", action="append", choices=(*PROGRAMS, *SMALL), help="may be given more than once")
    parser.add_argument("--kind", action="append", choices=KINDS, help="may be given more than once")
    parser.add_argument("--threads", action="append", type=int, help="a number; 0 is torch's default")
    parser.add_argument("--all", action="store_true", help="every program at every size, not the first alone")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a row")
    parser.add_argument("--json", type=Path, help="a file to write the rows to")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        return work(arguments)
    rows = []
    console = Console()
    for threads in [0, 1] if arguments.threads is None else arguments.threads:
        with console.status("") as status:
            for row in rows_of(threads):
                rows.append(row)
                status.update(f"{row.program} {row.kind}, {row.threads} threads: {row.ratio:.2f}")
    console.print(table_of(rows))
    for sentence in means_of(rows):
        console.print(sentence)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
