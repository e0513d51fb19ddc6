"""What `pyrnn bench` does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from .. import _core
from ..picture import check_picture
from . import drop_ins, layers, report
from .measure import measure, only_threads

# Seconds, shared evenly among the lines; three rounds of a large batch take longer than its share.
QUICK, FULL = 30.0, 240.0


def run(
    what: Literal["numpy", "torch"] = "numpy",
    quick: bool = False,
    json: bool = False,
    threads: int = 1,
    plot: Path | None = None,
) -> None:
    """Prints how fast pyrnn and torch.nn are, line by line, and draws it if asked to.

    Args:
        what: "numpy", the layers on NumPy arrays, or "torch", the modules of pyrnn.torch.
        quick: spend less time on a line.
        json: print one JSON object a line instead of tables.
        threads: of pyrnn and of torch.
        plot: a picture to write, in a format that matplotlib knows by its ending.

    Raises:
        ImportError: if a picture is asked for and matplotlib is not installed.
        OSError: if the picture cannot be written there; said before anything is measured, as is the rest about `plot`.
        RuntimeError: if pyrnn and torch differ.
        ValueError: if `plot` has an ending that matplotlib does not know.
    """
    if plot:
        check_picture(plot)
    room = layers if what == "numpy" else drop_ins
    title = f"pyrnn {_core.__version__} ({_core.isa()}) beside torch {torch.__version__}, threads: {threads}"
    cases = list(room.cases())
    with only_threads(threads):
        rows = measure(cases, room.contestants, (QUICK if quick else FULL) / len(cases))
        found = report.print_json(rows) if json else report.print_tables(title, rows, len(cases))
    if plot:
        from . import chart

        chart.draw(title, found, plot)
