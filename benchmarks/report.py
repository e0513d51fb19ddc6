"""Prints rows as JSON or as tables of rich, and makes the tables of cases beside their peers."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pyrnn import _core

from .grids import Grid
from .measure import Row

PIPED = 160  # columns of the output if it is no terminal


def title(what: str, grid: Grid, threads: int) -> str:
    """A title with the grid, the versions and the threads."""
    peers = ", ".join(f"{name} {number}" for name, number in grid.versions.items())
    beside = f" beside {peers}" if peers else ""
    absent = f"; not installed: {', '.join(grid.missing)}" if grid.missing else ""
    return f"{what}: pyrnn {_core.__version__} ({_core.isa()}){beside}, threads: {threads}{absent}"


def busy() -> list[str]:
    """A warning if the machine is busy, since peers whose threads wait for each other may then take seconds."""
    load, cpus = os.getloadavg()[0], os.cpu_count() or 1
    return [f"warning: {load:.1f} processes ran on the {cpus} CPUs in the last minute"] if load > cpus / 2 else []


def limits(grid: Grid) -> list[str]:
    """A line with the machine's limits, if they were measured."""
    if not grid.limits:
        return []
    levels = ", ".join(f"{name} {rate:.0f}" for name, rate in grid.limits.items() if name != "GFLOP/s")
    return [f"this machine at best: {grid.limits['GFLOP/s']:.0f} GFLOP/s; reads in GB/s: {levels}"]


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    """The geometric mean of the ratios that are not None.

    >>> geometric_mean([2.0, None, 8.0])
    4.0
    """
    known = [ratio for ratio in ratios if ratio is not None]
    return float(np.exp2(np.mean(np.log2(known)))) if known else None


def print_json(common: dict[str, Any], grid: Grid) -> list[Any]:
    """Prints an object a line as soon as it is measured, with the fields of `common`, and returns the rows."""
    found = []
    for row in grid.rows:
        print(json.dumps({**common, **row.record()}), flush=True)
        found.append(row)
    return found


def print_tables(heading: str, grid: Grid) -> list[Any]:
    """Prints the grid's tables once all rows are measured; returns the rows."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED)
    for line in (heading, *busy(), *limits(grid)):
        console.print(line, soft_wrap=True)
    found: list[Any] = []
    with console.status("measuring") as status:
        for row in grid.rows:
            found.append(row)
            status.update(f"{len(found)} of {grid.count}: {row}")
    for table in grid.tables(found):
        console.print(Text(str(table.title), "bold"), soft_wrap=True)  # the table itself would wrap its title
        table.title = None
        console.print(table)
    return found


def new_table(heading: str, left: Sequence[str], right: Sequence[str]) -> Table:
    """A table with these columns, texts and numbers."""
    table = Table(*left, title=heading, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in right:
        table.add_column(name, justify="right")
    return table


def time(microseconds: float | None) -> str:
    """The time with three digits or so."""
    if microseconds is None:
        return "-"
    return f"{microseconds:.{2 if microseconds < 10 else 1}f}" if microseconds < 1000 else f"{microseconds:,.0f}"


def ratio(value: float | None) -> Text:
    """The ratio, in red if pyrnn is slower."""
    return Text("-") if value is None else Text(f"{value:.2f}", "bold red" if value < 1 else "")


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yields a table of all rows for each task, then one of the means of every cell."""
    for task in dict.fromkeys(row.case.task for row in rows):
        yield _lines(task, [row for row in rows if row.case.task == task])
    yield _summary(rows)


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.peers))


def _lines(task: str, rows: Sequence[Row]) -> Table:
    names = _names(rows)
    bounded = ["roofline"] if any(row.bound_us for row in rows) else []
    scaled = ["over 1 thread"] if any(row.scaling for row in rows) else []
    forms = ["dtype"] if len({row.case.form for row in rows}) > 1 else []
    columns = ["pyrnn µs", "GFLOP/s", *(f"{name} µs" for name in names), "ratio", *bounded, *scaled]
    table = new_table(task, ["cell", "T,B,I,H", *forms], columns)
    for i, row in enumerate(rows):
        shown = [row.case.cell, row.case.size, *([row.case.form] if forms else [])]
        times = [time(row.us.get(name)) for name in names]
        share = [_share(row.roofline)] if bounded else []
        scaling = [ratio(row.scaling)] if scaled else []
        last = rows[i : i + 2][-1].case.size != row.case.size
        table.add_row(
            *shown,
            time(row.us["pyrnn"]),
            f"{row.gflops:.1f}",
            *times,
            ratio(row.ratio),
            *share,
            *scaling,
            end_section=last,
        )
    return table


def _summary(rows: Sequence[Row]) -> Table:
    """A table of the mean and least ratio over the best peer, and of the mean over torch if there are other peers."""
    names = _names(rows)
    heading = f"times as fast as {names[0] if len(names) == 1 else 'the best peer'}: geometric mean and least"
    over = [name for name in names if len(names) > 1]
    table = new_table(heading, ["task", "cell"], ["mean", "below 1", "least"])
    table.add_column("at T,B,I,H")
    for name in over:
        table.add_column(f"mean over {name}", justify="right")
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.case.task, row.case.cell), []).append(row)
    groups["all", ""] = list(rows)
    for (task, cell), group in groups.items():
        known = [row for row in group if row.ratio is not None]
        least = min(known, key=lambda row: row.ratio or 0, default=None)
        below = f"{sum((row.ratio or 0) < 1 for row in known)} of {len(group)}"
        where = "-" if least is None else f"{least.case.cell} {least.case.size} {least.case.form}"
        means = [ratio(geometric_mean(row.over(name) for row in group)) for name in over]
        mean = geometric_mean(row.ratio for row in group)
        table.add_row(task, cell, ratio(mean), below, ratio(least.ratio if least else None), where, *means)
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
