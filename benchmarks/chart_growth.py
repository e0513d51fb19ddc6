"""Draws the picture of the grid `growth`: measured times and fitted laws, with a panel for each axis that grows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from .grids.growth import CLIFF, Series

COLOURS = {"LSTM": "tab:blue", "GRU": "tab:orange", "RNN": "tab:green"}
MARKS = {"inference": "o", "training": "s"}


def draw_growth(title: str, rows: Sequence[Series], path: Path) -> None:
    """Draws a row of panels for each base, a column for each task; lines are laws, marks are measurements."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    plans = list(dict.fromkeys((row.axis, row.fixed) for row in rows))
    figure = Figure(figsize=(3.4 * len(plans) / 2 + 1.5, 3.0 * 2 * len(tasks)), layout="constrained")
    columns = (len(plans) + 1) // 2
    panels = figure.subplots(2 * len(tasks), columns, squeeze=False)
    for axes in panels.flat:
        axes.set_visible(False)
    for i, task in enumerate(tasks):
        for j, (axis, fixed) in enumerate(plans):
            axes = panels[2 * i + j // columns, j % columns]
            axes.set_visible(True)
            _draw_panel(axes, [row for row in rows if (row.task, row.axis, row.fixed) == (task, axis, fixed)])
            axes.set_title(f"{task}: {fixed}", loc="left", fontsize=8)
            axes.set_xlabel("H = I" if axis == "H" else axis)
        for k in (2 * i, 2 * i + 1):
            panels[k, 0].set_ylabel("µs a call")
    found = [axes.get_legend_handles_labels() for axes in panels.flat]
    handles = {label: handle for pair in found for handle, label in zip(*pair, strict=True)}
    figure.suptitle(f"{title}\nmarks: measured; lines: fitted law", fontsize=10)
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def _draw_panel(axes: Any, rows: Sequence[Series]) -> None:
    for row in rows:
        colour = COLOURS[row.cell]
        axes.plot(row.sizes, row.us, MARKS[row.task], color=colour, markersize=3.5, label=row.cell)
        axes.plot(row.sizes, row.law_us, color=colour, linewidth=1)
        step, at = row.step
        if step > CLIFF:
            where = [at], [row.us[row.sizes.index(at)]]
            axes.plot(*where, "o", color="red", markersize=10, markerfacecolor="none", label="cliff")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    times = [us for row in rows for us in row.us]
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(times) < 50 * min(times) else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
