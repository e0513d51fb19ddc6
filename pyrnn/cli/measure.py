"""`pyrnn bench`, `pyrnn accuracy` and `pyrnn config`: what pyrnn is on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .missing import naming_the_extra


class What(StrEnum):
    """What `pyrnn bench` measures beside torch.nn."""

    numpy = "numpy"
    torch = "torch"


def bench(
    what: Annotated[
        What, typer.Argument(help="The layers on NumPy arrays, or the modules of pyrnn.torch.")
    ] = What.numpy,
    quick: Annotated[bool, typer.Option("--quick", help="Less time a line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line, instead of tables.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of pyrnn and of torch.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw the ratios into this file, such as ratios.png.")] = None,
) -> None:
    """Time pyrnn beside torch on this machine.

    Outputs and gradients are compared first; then the two are called in turn, and the best time of each counts.

    \b
    Examples:
      pyrnn bench --quick                           layers on NumPy arrays: half a minute
      pyrnn bench torch --quick --plot ratios.png   the drop-ins for torch.nn: two minutes
      pyrnn bench --json > times.json
    """
    with naming_the_extra("bench"):
        from ..bench.run import run

        run(what.value, quick, json, threads, plot)


def accuracy() -> None:
    """Print how far pyrnn and torch are from float64."""
    with naming_the_extra("accuracy", "bench"):
        from ..accuracy import run

        run()


def config() -> None:
    """Print what was built, for bug reports."""
    from ..config import show_config

    show_config()
