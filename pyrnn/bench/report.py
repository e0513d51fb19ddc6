"""How the rows are shown: tables of rich, or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .measure import Row


def geometric_mean(rows: Iterable[Row]) -> float:
    """Of the ratios.

    >>> from pyrnn.bench.measure import Case
    >>> case = Case("inference", "GRU", 100, 1, 64, 64)
    >>> geometric_mean([Row(case, 1.0, 2.0), Row(case, 1.0, 8.0)])
    4.0
    """
    return float(np.exp2(np.mean([np.log2(row.ratio) for row in rows])))


def print_json(rows: Iterable[Row]) -> list[Row]:
    """Prints one object a line, as soon as it is measured, and returns the rows."""
    found = []
    for row in rows:
        times = {"pyrnn_us": row.pyrnn_us, "torch_us": row.torch_us, "gflops": row.gflops, "ratio": row.ratio}
        print(json.dumps({**asdict(row.case), **times}), flush=True)
        found.append(row)
    return found


def print_tables(title: str, rows: Iterable[Row], count: int) -> list[Row]:
    """Prints all rows and then, for each task and cell, their mean and the least; returns the rows.

    Args:
        title: printed first.
        rows: measured while they are read.
        count: how many there will be.
    """
    console = Console(highlight=False)
    console.print(title)
    found: list[Row] = []
    with console.status("measuring") as status:
        for row in rows:
            found.append(row)
            status.update(f"{len(found)} of {count}: {row.case}")
    for task in dict.fromkeys(row.case.task for row in found):
        console.print(_lines(task, [row for row in found if row.case.task == task]))
    console.print(_summary(found))
    return found


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...]) -> Table:
    table = Table(*left, title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in right:
        table.add_column(heading, justify="right")
    return table


def _lines(task: str, rows: list[Row]) -> Table:
    table = _table(task, ("cell", "T,B,I,H", "dtype"), ("pyrnn µs", "GFLOP/s", "torch µs", "ratio"))
    for i, row in enumerate(rows):
        times = _time(row.pyrnn_us), f"{row.gflops:.1f}", _time(row.torch_us)
        last = rows[i : i + 2][-1].case.size != row.case.size
        table.add_row(row.case.cell, row.case.size, row.case.form, *times, _ratio(row.ratio), end_section=last)
    return table


def _summary(rows: list[Row]) -> Table:
    title = "times as fast as torch: geometric mean and least"
    table = _table(title, ("task", "cell"), ("mean", "below 1", "least"))
    table.add_column("at T,B,I,H")
    for task, cell in dict.fromkeys((row.case.task, row.case.cell) for row in rows):
        group = [row for row in rows if (row.case.task, row.case.cell) == (task, cell)]
        least = min(group, key=lambda row: row.ratio)
        below = f"{sum(row.ratio < 1 for row in group)} of {len(group)}"
        where = f"{least.case.size} {least.case.form}"
        table.add_row(task, cell, _ratio(geometric_mean(group)), below, _ratio(least.ratio), where)
    return table


def _time(microseconds: float) -> str:
    return f"{microseconds:.1f}" if microseconds < 1000 else f"{microseconds:,.0f}"


def _ratio(value: float) -> Text:
    return Text(f"{value:.2f}", "bold red" if value < 1 else "")
