"""Scores the demo's forecast beside the naive ones, and draws a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from rich.table import Table
from rich.text import Text

from pyrnn.checks.arrays import Array

from .data import DAY, DemoPart

STYLES: dict[str, dict[str, Any]] = {
    "GRU": {"color": "tab:red", "linewidth": 1.8},
    "last value": {"color": "tab:gray", "linestyle": ":", "linewidth": 1.4},
    "same hour yesterday": {"color": "tab:blue", "linestyle": "--", "linewidth": 1.4},
    "yesterday + its drift": {"color": "tab:green", "linestyle": "-.", "linewidth": 1.4},
}


class DemoScores(NamedTuple):
    """Holds the errors of a forecast over all starts and all 24 hours.

    Attributes:
        rmse: the root of the mean squared error, in °C.
        mae: the mean absolute error, in °C.
        r2: the share of the variance of the truth that is explained.
        direction: the share of the hours that the forecast rightly calls warmer or colder than the last known one;
            None if it always equals that one.
    """

    rmse: float
    mae: float
    r2: float
    direction: float | None


def scores(part: DemoPart, forecast: Array) -> DemoScores:
    """Scores a forecast in °C, [B,24]; hours exactly as warm as the last known one have no direction."""
    error = forecast - part.truth
    moved = part.truth != part.last
    said = np.sign(forecast - part.last)[moved]
    return DemoScores(
        rmse=float(np.sqrt(np.mean(error**2))),
        mae=float(np.mean(np.abs(error))),
        r2=float(1 - np.mean(error**2) / part.truth.var()),
        direction=float(np.mean(said == np.sign(part.truth - part.last)[moved])) if said.any() else None,
    )


def score_table(title: str, results: Mapping[str, DemoScores]) -> Table:
    """Makes a table with a row for each forecast; the best number of each column is bold."""
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("forecast")
    for heading in ("RMSE °C", "MAE °C", "R²", "direction"):
        table.add_column(heading, justify="right")
    columns = list(zip(*results.values(), strict=True))
    best = [min(columns[0]), min(columns[1]), max(columns[2]), max(x for x in columns[3] if x is not None)]
    for name, row in results.items():
        cells = [f"{row.rmse:.3f}", f"{row.mae:.3f}", f"{row.r2:.4f}"]
        cells.append("–" if row.direction is None else f"{row.direction:.1%}")
        marked = [Text(c, "bold" if x == b else "") for c, x, b in zip(cells, row, best, strict=True)]
        table.add_row(name, *marked)
    return table


def comparison(results: Mapping[str, DemoScores], name: str) -> str:
    """Compares the RMSE of one forecast with each of the others in a sentence."""
    mine = results[name].rmse
    ratios = {other: mine / row.rmse - 1 for other, row in results.items() if other != name}
    words = [f"{abs(r):.0%} {'below' if r < 0 else 'above'} that of {other!r}" for other, r in ratios.items()]
    return f"RMSE of {name}: {', '.join(words)}."


def draw(part: DemoPart, forecasts: Mapping[str, Array], path: Path) -> None:
    """Draws four days from the middle of `part`, their errors, and the error by horizon."""
    figure = Figure(figsize=(8.0, 9.0), layout="constrained")
    days, errors, horizons = figure.subplots(3, 1, height_ratios=(3, 2, 2))
    _draw_days(days, errors, part, forecasts)
    _draw_horizons(horizons, part, forecasts)
    for axes in (days, errors, horizons):
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*days.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)


def _draw_days(days: Any, errors: Any, part: DemoPart, forecasts: Mapping[str, Array]) -> None:
    midnights = np.flatnonzero(part.start == part.start.astype("datetime64[D]"))
    shown = midnights[len(midnights) // 2 :][:4]
    hours = np.arange(DAY * len(shown))
    truth = part.truth[shown].ravel()
    days.plot(hours, truth, color="black", linewidth=3, label="truth")
    for name, forecast in forecasts.items():
        value = forecast[shown].ravel()
        days.plot(hours, value, label=name, **STYLES[name])
        if name != "last value":  # Its errors would squeeze all others into a line.
            errors.plot(hours, value - truth, **STYLES[name])
    errors.axhline(0, color="black", linewidth=0.8)
    for axes in (days, errors):
        axes.set_xticks(hours[::DAY], [f"{start:%d %b, %H:%M}" for start in part.start[shown].tolist()])
        axes.set_xticks(hours[:: DAY // 4], minor=True)
    days.set_title("Four days in the middle of the test, forecast at midnight for 24 hours each", loc="left")
    days.set_ylabel("temperature (°C)")
    errors.set_title("Errors in these days, without the last value's", loc="left")
    errors.set_ylabel("forecast − truth (°C)")


def _draw_horizons(axes: Any, part: DemoPart, forecasts: Mapping[str, Array]) -> None:
    errors = {n: np.sqrt(np.mean((f - part.truth) ** 2, axis=0)) for n, f in forecasts.items()}
    for name, rmse in errors.items():
        axes.plot(range(1, DAY + 1), rmse, **STYLES[name])
    if max(map(np.max, errors.values())) > 10 * min(map(np.min, errors.values())):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.set_title("Error over the whole test, by how far ahead", loc="left")
    axes.set_xlabel("hours ahead")
    axes.set_xticks(range(3, DAY + 1, 3))
    axes.set_ylabel("RMSE (°C)")
