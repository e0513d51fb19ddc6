"""The grid `quantize`: bf16 and int8 weights beside float32 at batch 1, a step at a time and as a sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from pyrnn.core import layers
from pyrnn.core.quantized import FORMATS

from .. import report
from ..case import CELLS, Case
from ..measure import best_in_turn, turn
from . import Grid, Options

SIZES = [512, 1024]  # I and H
STEPS = [1, 50]  # T; one step is a stream's


@dataclass(frozen=True)
class Row:
    """The measurements of a case.

    Attributes:
        case: the case.
        us: microseconds a call, by format.
        snr_db: signal-to-noise ratio of the outputs against float32, by small format.
    """

    case: Case
    us: dict[str, float]
    snr_db: dict[str, float]

    def ratio(self, format: str) -> float:
        """The speed-up over float32.

        >>> Row(Case("quantize", "LSTM", 1, 1, 8, 8), {"float32": 4.0, "int8": 1.0}, {}).ratio("int8")
        4.0
        """
        return self.us["float32"] / self.us[format]

    def record(self) -> dict[str, Any]:
        """Everything in the row, for JSON."""
        times = {f"{name}_us": us for name, us in self.us.items()}
        ratios = {f"ratio_{name}": self.ratio(name) for name in self.snr_db}
        return {**asdict(self.case), **times, **ratios, **{f"snr_db_{n}": db for n, db in self.snr_db.items()}}

    def __str__(self) -> str:
        return str(self.case)


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Opens the grid."""
    cases = [
        Case("quantize", cell, steps, 1, size, size)
        for cell in CELLS
        if options.cell in (None, cell)
        for size in SIZES
        for steps in STEPS
    ]
    yield Grid((measure(case, options.seconds / len(cases)) for case in cases), len(cases), tables)


def measure(case: Case, seconds: float) -> Row:
    """Times float32 and the small formats in turn."""
    layer = getattr(layers, case.cell)(case.input, case.hidden, seed=0)
    x = case.draw()[0]
    small = {name: layer.quantize(name, x) for name in FORMATS}
    calls = {name: _call(each, x) for name, each in {"float32": layer, **small}.items()}
    us = best_in_turn({name: turn(call) for name, call in calls.items()}, seconds)
    return Row(case, us, {name: each.report.snr_db for name, each in small.items()})


def _call(layer: Any, x: Any) -> Any:
    if len(x) > 1:
        return lambda: layer(x)
    stream = layer.stream()
    out = stream.step(x[0])
    return lambda: stream.step(x[0], out=out)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """All rows in one table."""
    named = ["float32 µs"]
    for name in FORMATS:
        named += [f"{name} µs", "ratio", "SNR dB"]
    table = report.new_table("small weights at batch 1: times as fast as float32", ["cell", "I=H", "call"], named)
    for i, row in enumerate(rows):
        cells = [report.time(row.us["float32"])]
        for name in FORMATS:
            cells += [report.time(row.us[name]), f"{row.ratio(name):.2f}", f"{row.snr_db[name]:.1f}"]
        last = rows[i : i + 2][-1].case.cell != row.case.cell
        call = "stream.step" if row.case.steps == 1 else f"T = {row.case.steps}"
        table.add_row(row.case.cell, str(row.case.hidden), call, *cells, end_section=last)
    yield table
