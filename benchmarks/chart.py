"""Draws the pictures of `python -m benchmarks --plot`: ratios by shape, steps by size, cold starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from .case import CELLS
from .grids import cold_start, formats, streaming
from .measure import Row

# Marks differ in colour and shape. For the drop-ins a filled mark is a padded case and a hollow one a packed case.
STYLES: dict[str, dict[str, Any]] = {
    "float32": {"color": "tab:blue", "marker": "o"},
    "float32 packed": {"color": "tab:blue", "marker": "o", "markerfacecolor": "white"},
    "float64": {"color": "tab:orange", "marker": "D"},
    "float64 packed": {"color": "tab:orange", "marker": "D", "markerfacecolor": "white"},
    "torch": {"color": "tab:orange", "marker": "D"},
    "onnxruntime": {"color": "tab:blue", "marker": "o"},
    "openvino": {"color": "tab:purple", "marker": "^"},
    "jax": {"color": "tab:green", "marker": "s"},
    "C++": {"color": "black", "marker": "o"},
    "Python": {"color": "0.5", "marker": "s"},
    "RTNeural scaled": {"color": "tab:red", "marker": "v", "linestyle": ":"},
}

Mark = tuple[str, str, float]  # line, style, ratio


def draw_peers(title: str, rows: Sequence[Row], path: Path) -> None:
    """Draws the ratios over every peer."""
    _draw_ratios(title, rows, "peer's time over pyrnn's", _of_peers, path)


def draw_forms(title: str, rows: Sequence[Row], path: Path) -> None:
    """Draws the ratios over torch, for each dtype, padded and packed."""
    _draw_ratios(title, rows, "times as fast as torch", lambda row: [(_line(row), row.case.form, row.ratio)], path)


def _of_peers(row: Row) -> list[Mark]:
    return [(_line(row), name, row.over(name) or 0.0) for name in row.peers]


def _line(row: Row) -> str:
    return f"cell {row.case.size}" if row.case.cell.endswith("Cell") else row.case.size


def _draw_ratios(
    title: str, rows: Sequence[Row], label: str, marks_of: Callable[[Row], list[Any]], path: Path
) -> None:
    """Draws a panel for each task and cell, with a line for each shape."""
    tasks = list(dict.fromkeys(row.case.task for row in rows))
    cells = [cell for cell in CELLS if any(row.case.cell.startswith(cell) for row in rows)]
    grid = {
        (task, cell): [mark for row in rows if _is_of(row, task, cell) for mark in marks_of(row)]
        for task in tasks
        for cell in cells
    }
    lines = {task: len({line for line, _, _ in grid[task, cells[0]]}) or 1 for task in tasks}
    figure = Figure(figsize=(2.6 + 2.8 * len(cells), 1.8 + 0.26 * sum(lines.values())), layout="constrained")
    panels = figure.subplots(len(tasks), len(cells), sharex=True, squeeze=False, height_ratios=list(lines.values()))
    for axes, ((task, cell), marks) in zip(panels.flat, grid.items(), strict=True):
        _draw_panel(axes, marks)
        axes.set_title(f"{cell}, {task}", loc="left", fontsize=10)
    for axes in panels[:, 0]:
        axes.set_ylabel("T,B,I,H")
    for axes in panels[:, 1:].flat:
        axes.tick_params(labelleft=False)
    for axes in panels[-1]:
        axes.set_xlabel(label)
    _finish(figure, title, path)


def _is_of(row: Row, task: str, cell: str) -> bool:
    return row.case.task == task and row.case.cell in (cell, f"{cell}Cell")


def _draw_panel(axes: Any, marks: list[Mark]) -> None:
    lines = list(dict.fromkeys(line for line, _, _ in marks))
    forms = [form for form in STYLES if any(mark[1] == form for mark in marks)]
    for i, form in enumerate(forms):
        shift = 0.16 * (i - (len(forms) - 1) / 2)  # so that equal ratios do not hide each other
        found = [(ratio, lines.index(line) + shift) for line, name, ratio in marks if name == form]
        axes.plot(*zip(*found, strict=True), linestyle="", markersize=4.5, label=form, **STYLES[form])
    axes.axvline(1, color="0.3", linewidth=1.2, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    _tidy(axes)


def draw_steps(title: str, rows: Sequence[streaming.Row], path: Path) -> None:
    """Draws microseconds a step by size, with a panel for each cell and a line for each contestant."""
    cells = list(dict.fromkeys(row.case.cell for row in rows))
    figure = Figure(figsize=(1.6 + 3.2 * len(cells), 4.6), layout="constrained")
    for axes, cell in zip(figure.subplots(1, len(cells), sharey=True, squeeze=False)[0], cells, strict=True):
        for name in STYLES:
            times = [
                (row.case.hidden, us)
                for row in rows
                if row.case.cell == cell and (us := _step_us(row, name)) is not None
            ]
            if times:
                axes.plot(*zip(*times, strict=True), label=name, markersize=4.5, linewidth=1.2, **STYLES[name])
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(FixedLocator(streaming.SIZES))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.set_title(cell, loc="left", fontsize=10)
        axes.set_xlabel("I = H")
        _tidy(axes)
    figure.axes[0].set_ylabel("µs a step")
    _finish(figure, title, path)


def _step_us(row: streaming.Row, name: str) -> float | None:
    return row.scaled_us if name == "RTNeural scaled" else row.us.get(name)


def draw_formats(title: str, rows: Sequence[formats.Row], path: Path) -> None:
    """Draws speed-ups over float32, with a panel for each format of weights and a bar for each line."""
    names = [f"{row.case.cell} {row.case.hidden}, T = {row.case.steps}" for row in rows]
    figure = Figure(figsize=(10.0, 1.4 + 0.28 * len(rows)), layout="constrained")
    small = list(rows[0].snr_db)
    for axes, name in zip(figure.subplots(1, len(small), sharey=True), small, strict=True):
        bars = axes.barh(names, [row.ratio(name) for row in rows], color="tab:blue")
        labels = [f"{row.ratio(name):.1f}, {row.snr_db[name]:.0f} dB" for row in rows]
        axes.bar_label(bars, labels, padding=3, fontsize=8)
        axes.axvline(1, color="0.4", linewidth=0.8)
        axes.set_title(f"{name}: times as fast as float32; signal to noise", loc="left", fontsize=10)
        axes.margins(x=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    figure.suptitle(title, fontsize=10, wrap=True)
    figure.savefig(path, dpi=150)


def draw_starts(title: str, rows: Sequence[cold_start.Row], path: Path) -> None:
    """Draws time and memory of a cold start, with a bar for each contestant."""
    figure = Figure(figsize=(9.0, 1.4 + 0.4 * len(rows)), layout="constrained")
    panels: dict[str, list[float]] = {
        "import, load and first output, ms": [row.ms for row in rows],
        "peak memory, MB": [row.peak_mb for row in rows],
    }
    for axes, (heading, values) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
        colours = ["tab:blue" if row.name == "pyrnn" else "0.7" for row in rows]
        bars = axes.barh([row.name for row in rows], values, color=colours)
        axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=9)
        axes.set_title(heading, loc="left", fontsize=10)
        axes.margins(x=0.12)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    figure.suptitle(title, fontsize=10, wrap=True)
    figure.savefig(path, dpi=150)


def _tidy(axes: Any) -> None:
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _finish(figure: Figure, title: str, path: Path) -> None:
    """Adds the title and one legend of all panels, and writes the file."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        found, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, found, strict=True))
    figure.suptitle(title, fontsize=10, wrap=True)
    columns = int(figure.get_figwidth() / 1.9)  # the longest name takes 1.9 inches
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(path, dpi=150)
