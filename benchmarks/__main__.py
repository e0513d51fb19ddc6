"""The command line of the benchmarks."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pyrnn.cli.app import answered
from pyrnn.cli.missing import naming_the_extra

NAME = "python -m benchmarks"


class What(StrEnum):
    """The grids."""

    infer = "infer"
    train = "train"
    stream = "stream"
    quantize = "quantize"
    torch = "torch"
    load = "load"
    growth = "growth"


class Cell(StrEnum):
    """The cells it measures."""

    LSTM = "LSTM"
    GRU = "GRU"
    RNN = "RNN"


def bench(
    what: Annotated[What, typer.Argument(help="What to measure.")] = What.infer,
    quick: Annotated[bool, typer.Option("--quick", help="Less time a line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line, instead of tables.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of pyrnn and of every peer.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw what was measured into this file, e.g. ratios.png.")] = None,
    cell: Annotated[Cell | None, typer.Option(help="Measure this one only.")] = None,
) -> None:
    """Time pyrnn beside its peers on this machine.

    Results are compared first; then the contestants are called in turn, and the best time of each counts. A peer that
    is not installed is left out and named.

    \b
    infer    layers on NumPy arrays beside torch, onnxruntime and openvino
    train    forward and all gradients beside torch and JAX
    stream   one step at batch 1, from C++ and Python, beside onnxruntime, torch and RTNeural's figures
    quantize bf16 and int8 weights beside float32, at batch 1
    torch    the modules of pyrnn.torch beside torch.nn
    load     import, load a file, first output: time and memory of fresh processes
    growth   time against T, B, H and layers: is there a cliff?

    \b
    Examples:
      python -m benchmarks --quick                           inference, in about a minute
      python -m benchmarks train --cell GRU --threads 2
      python -m benchmarks torch --quick --plot ratios.png   the drop-ins for torch.nn: two minutes
      python -m benchmarks --json > times.json
    """
    with naming_the_extra("benchmarks", "bench", "python -m"):
        from .run import run

        run(what.value, quick, json, threads, plot, cell.value if cell else None)


def main() -> None:
    """Runs the command line of this process."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(bench)
    answered(app, NAME)


if __name__ == "__main__":
    main()
