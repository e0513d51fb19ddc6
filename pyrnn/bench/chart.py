"""The picture of the ratios: a panel for each task and cell, a line for each shape, a mark for each dtype."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from .measure import GATES, Row

# Filled marks are padded, hollow ones packed; the dtypes differ in colour and shape.
STYLES: dict[str, dict[str, Any]] = {
    "float32": {"color": "tab:blue", "marker": "o"},
    "float32 packed": {"color": "tab:blue", "marker": "o", "markerfacecolor": "white"},
    "float64": {"color": "tab:orange", "marker": "D"},
    "float64 packed": {"color": "tab:orange", "marker": "D", "markerfacecolor": "white"},
}


def draw(title: str, rows: Sequence[Row], path: Path) -> None:
    """Writes the picture of all rows."""
    tasks = list(dict.fromkeys(row.case.task for row in rows))
    grid = {(task, cell): _panel_rows(rows, task, cell) for task in tasks for cell in GATES}
    lines = {task: len({_line(row) for row in grid[task, "LSTM"]}) for task in tasks}
    figure = Figure(figsize=(11.0, 1.8 + 0.24 * sum(lines.values())), layout="constrained")
    panels = figure.subplots(len(tasks), len(GATES), sharex=True, squeeze=False, height_ratios=list(lines.values()))
    for axes, ((task, cell), panel) in zip(panels.flat, grid.items(), strict=True):
        _draw_panel(axes, panel)
        axes.set_title(f"{cell}, {task}", loc="left", fontsize=10)
    for axes in panels[:, 0]:
        axes.set_ylabel("T,B,I,H")
    for axes in panels[:, 1:].flat:
        axes.tick_params(labelleft=False)
    for axes in panels[-1]:
        axes.set_xlabel("times as fast as torch")
    figure.suptitle(title, fontsize=11)
    handles: dict[str, Any] = {}
    for axes in panels.flat:
        found, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def _panel_rows(rows: Sequence[Row], task: str, cell: str) -> list[Row]:
    return [row for row in rows if row.case.task == task and row.case.cell in (cell, f"{cell}Cell")]


def _line(row: Row) -> str:
    return f"cell {row.case.size}" if row.case.cell.endswith("Cell") else row.case.size


def _draw_panel(axes: Any, rows: list[Row]) -> None:
    lines = list(dict.fromkeys(_line(row) for row in rows))
    forms = [form for form in STYLES if any(row.case.form == form for row in rows)]
    for i, form in enumerate(forms):
        marks = [row for row in rows if row.case.form == form]
        shift = 0.16 * (i - (len(forms) - 1) / 2)  # else equal ratios would hide each other
        places = [lines.index(_line(row)) + shift for row in marks]
        axes.plot([row.ratio for row in marks], places, linestyle="", markersize=4.5, label=form, **STYLES[form])
    axes.axvline(1, color="0.3", linewidth=1.2, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
