"""Runs a grid for `python -m benchmarks`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from pyrnn import _core
from pyrnn.checks.picture import check_picture

from . import report
from .grids import Options
from .measure import only_threads

# Each grid has a module with `opened(options)` and a function (title, rows, path) that draws it. Both are imported on
# demand, since torch and matplotlib may not be installed.
GRIDS = {
    "infer": ("sequences", "chart.draw_peers"),
    "train": ("sequences", "chart.draw_peers"),
    "stream": ("streaming", "chart.draw_steps"),
    "quantize": ("formats", "chart.draw_formats"),
    "torch": ("drop_ins", "chart.draw_forms"),
    "load": ("cold_start", "chart.draw_starts"),
    "growth": ("growth", "chart_growth.draw_growth"),
}

# Seconds, shared evenly among the lines; three rounds of a large batch take longer than its share.
QUICK, FULL = 30.0, 240.0


def run(
    what: str = "infer",
    quick: bool = False,
    json: bool = False,
    threads: int = 1,
    plot: Path | None = None,
    cell: str | None = None,
) -> None:
    """Prints the speed of pyrnn and its peers line by line, and draws it if there is a `plot`.

    Args:
        what: a name in GRIDS.
        quick: spend less time on a line.
        json: print one JSON object a line instead of tables.
        threads: threads of pyrnn and of every peer; the process runs on so many CPUs.
        plot: the path of a picture, whose suffix is a format of matplotlib.
        cell: "LSTM", "GRU" or "RNN", to measure only these; None for all.

    Raises:
        ImportError: if there is a `plot` and matplotlib is not installed, or torch for its own grid.
        OSError: if the picture cannot be written there; like all errors of `plot` it comes before any measurement.
        RuntimeError: if pyrnn and a peer differ.
        ValueError: if `plot` has a suffix that matplotlib does not know.
    """
    if plot:
        check_picture(plot)
    with only_threads(threads):
        module = import_module(f"{__package__}.grids.{GRIDS[what][0]}")
        with module.opened(Options(what, QUICK if quick else FULL, threads, cell)) as grid:
            title = report.title(what, grid, threads)
            if json:
                common: dict[str, Any] = {
                    "grid": what,
                    "threads": threads,
                    "isa": _core.isa(),
                    "pyrnn": _core.__version__,
                }
                common |= {"versions": grid.versions, "missing": grid.missing, "limits": grid.limits}
                rows = report.print_json(common, grid)
            else:
                rows = report.print_tables(title, grid)
    if plot:
        chart, _, draw = GRIDS[what][1].partition(".")
        getattr(import_module(f"{__package__}.{chart}"), draw)(title, rows, plot)
