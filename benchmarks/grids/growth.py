"""The grid `growth`: pyrnn's time against T, B, H and layers, beside the law that it should follow.

Time is a constant plus a term linear in T, B or layers, and a H^2 + b H + c in H = I. A cliff is a step from one size
to the next that is more than CLIFF times that of the law.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from pyrnn.checks.arrays import Array
from pyrnn.core import layers

from .. import report
from ..case import CELLS, Case
from ..measure import best_in_turn, turn
from . import Grid, Options, sequences

CLIFF = 1.3

AXES = {
    "T": [1, 2, 3, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512],
    "B": [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 16, 18, 19, 24, 32, 48, 49, 64, 96, 128, 192, 256],
    "H": [8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 100, 128, 160, 192, 224, 256, 320, 384, 448, 512],
    "layers": [1, 2, 3, 4, 5, 6, 8],
}
POWERS = {"H": (2, 1, 0)}  # the powers in the law, which are 1 and 0 for the other axes

# The fixed sizes while an axis grows: T, B, H = I, layers.
BASES = {"T": [(0, 1, 128, 1), (0, 8, 64, 1)], "B": [(20, 0, 64, 1)], "H": [(20, 1, 0, 1), (20, 8, 0, 1)]}
BASES["layers"] = [(20, 1, 64, 0), (20, 8, 64, 0)]


@dataclass(frozen=True)
class Series:
    """The measurements along one axis of one cell.

    Attributes:
        task: "inference" or "training".
        cell: the cell's name.
        axis: the axis that grows: "T", "B", "H" or "layers".
        fixed: the fixed sizes, as text.
        sizes: the sizes along the axis.
        us: microseconds a call at each size.
        law_us: microseconds of the fitted law at each size.
    """

    task: str
    cell: str
    axis: str
    fixed: str
    sizes: list[int]
    us: list[float]
    law_us: list[float]

    @property
    def step(self) -> tuple[float, int]:
        """The largest ratio of a step to that of the law, and the size that the step leads to.

        >>> Series("inference", "GRU", "T", "", [1, 2, 4], [1.0, 3.0, 6.0], [1.0, 2.0, 4.0]).step
        (1.5, 2)
        """
        over = np.array(self.us) / np.array(self.law_us)
        steps = over[1:] / over[:-1]
        return float(steps.max()), self.sizes[int(steps.argmax()) + 1]

    def record(self) -> dict[str, Any]:
        """Everything in the row, for JSON."""
        return {**asdict(self), "step": self.step[0], "step_at": self.step[1], "cliff": self.step[0] > CLIFF}

    def __str__(self) -> str:
        return f"{self.task} {self.cell}, {self.axis} grows, {self.fixed}"


@contextmanager
def opened(options: Options) -> Iterator[Grid]:
    """Opens the grid, which has no peers."""
    plans = [
        (task, cell, axis, base)
        for task in ("inference", "training")
        for cell in CELLS
        if options.cell in (None, cell)
        for axis, bases in BASES.items()
        for base in bases
    ]
    rows = (measure(*plan, options.seconds / len(plans)) for plan in plans)
    yield Grid(rows, len(plans), tables)


def measure(task: str, cell: str, axis: str, base: Sequence[int], seconds: float) -> Series:
    """Times all sizes of an axis, in turn."""
    sizes, empty = AXES[axis], Series(task, cell, axis, _fixed(axis, base), [], [], [])
    turns = {}
    for size in sizes:
        steps, batch, hidden, depth = (fixed or size for fixed in base)
        case, layer = (
            Case(task, cell, steps, batch, hidden, hidden),
            getattr(layers, cell)(hidden, hidden, depth, seed=0),
        )
        turns[size] = turn(sequences.contestant(case, layer).call)
    us = list(best_in_turn(turns, seconds).values())
    return replace(empty, sizes=sizes, us=us, law_us=fitted(sizes, us, POWERS.get(axis, (1, 0))))


def _fixed(axis: str, base: Sequence[int]) -> str:
    names = zip(("T", "B", "H", "layers"), base, strict=True)
    return " ".join(f"{name}={value}" for name, value in names if name != axis)


def fitted(sizes: Sequence[int], us: Sequence[float], powers: Sequence[int]) -> list[float]:
    """The law at each size: a sum of these powers of the size with factors of at least 0, the nearest in proportion.

    >>> [round(us, 3) for us in fitted([1, 2, 4], [3.0, 5.0, 9.0], (1, 0))]
    [3.0, 5.0, 9.0]
    """
    x, y = np.array(sizes, float), np.array(us)
    terms: Array = np.stack([x**power for power in powers], axis=1)
    best, least = np.full_like(y, y.mean()), float("inf")
    for count in range(1, len(powers) + 1):  # tries all subsets of the powers, and keeps factors of at least 0
        for chosen in map(list, combinations(range(len(powers)), count)):
            factors = np.linalg.lstsq(terms[:, chosen] / y[:, None], np.ones_like(y), rcond=None)[0]
            law = terms[:, chosen] @ factors
            error = float(((law / y - 1) ** 2).sum())
            if (factors >= 0).all() and error < least:
                best, least = law, error
    return [float(value) for value in best]


def tables(rows: Sequence[Series]) -> Iterator[Table]:
    """All series in one table."""
    heading = f"time against size, µs, and the largest step over the fitted law (a cliff is more than {CLIFF})"
    table = report.new_table(heading, ["task", "cell", "grows", "fixed"], ["from", "µs", "to", "µs", "step", "to"])
    for i, row in enumerate(rows):
        step, at = row.step
        shown = Text(f"{step:.2f}", "bold red" if step > CLIFF else "")
        ends = [part for j in (0, -1) for part in (str(row.sizes[j]), report.time(row.us[j]))]
        last = rows[i : i + 2][-1].cell != row.cell
        table.add_row(row.task, row.cell, row.axis, row.fixed, *ends, shown, str(at), end_section=last)
    yield table
