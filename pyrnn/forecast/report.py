"""Shows how good forecasts are, in a table and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text
from sklearn import metrics

from pyrnn.checks.arrays import Array

from .series import Part

HEADINGS = ("RMSE", "MAE", "MAPE", "R²", "direction")
FORMS = ("{:.4g}", "{:.4g}", "{:.2%}", "{:.4f}", "{:.1%}")
LOOKS = ("-", ":", "-.", "--")


class Scores(NamedTuple):
    """Holds the errors of a forecast over all starts and all rows ahead.

    Attributes:
        rmse: the root of the mean squared error, in the target's unit.
        mae: the mean absolute error, in the target's unit.
        mape: the mean absolute error as a share of the truth; None if a truth is 0.
        r2: the share of the variance of the truth that is explained.
        direction: the share of the rows that the forecast rightly puts above or below the last known value; None if it
            always equals that value. Rows whose truth equals that value do not count.
    """

    rmse: float
    mae: float
    mape: float | None
    r2: float
    direction: float | None


def scores(part: Part, forecast: Array) -> Scores:
    """Scores a forecast.

    Args:
        part: the rows that were forecast.
        forecast: the values, [B,K], in the target's unit.

    >>> truth, past = np.array([[2.0, 4.0]]), np.array([[1.0, 3.0]])
    >>> scores(Part(np.array([2]), past, past, truth, truth), np.array([[2.0, 5.0]])).direction
    1.0
    """
    truth, said = part.truth.ravel(), np.ravel(forecast)
    moved = (part.truth != part.last).ravel()
    way = np.sign(forecast - part.last).ravel()[moved]
    came = np.sign(part.truth - part.last).ravel()[moved]
    return Scores(
        rmse=float(metrics.root_mean_squared_error(truth, said)),
        mae=float(metrics.mean_absolute_error(truth, said)),
        mape=float(metrics.mean_absolute_percentage_error(truth, said)) if truth.all() else None,
        r2=float(metrics.r2_score(truth, said)),
        direction=float(metrics.accuracy_score(came, way)) if way.any() else None,
    )


def score_table(title: str, results: Mapping[str, Scores]) -> Table:
    """Makes a table with a row for each forecast; the best number of each column is bold.

    Args:
        title: the title of the table.
        results: the scores by the name of the forecast.
    """
    table = Table(title=title, title_justify="left", title_style="")
    table.add_column("forecast")
    best = []
    for column, (heading, values) in enumerate(zip(HEADINGS, zip(*results.values(), strict=True), strict=True)):
        table.add_column(heading, justify="right")
        known = [value for value in values if value is not None]
        best.append((min if column < 3 else max)(known, default=None))
    for name, row in results.items():
        cells = ["–" if value is None else form.format(value) for form, value in zip(FORMS, row, strict=True)]
        marked = [Text(c, "bold" if v == b else "") for c, v, b in zip(cells, row, best, strict=True)]
        table.add_row(name, *marked)
    return table


def draw(title: str, part: Part, forecasts: Mapping[str, Array], latest: Array | None, path: Path) -> None:
    """Draws the end of the test, forecast again and again, and the error by the number of rows ahead.

    Args:
        title: the title of the picture.
        part: the test.
        forecasts: the forecasts by name, [B,K] each; the model's comes first.
        latest: the forecast beyond the table, [K], or None.
        path: the path of the picture.

    Raises:
        ValueError: if matplotlib does not know the suffix.
        OSError: if the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    horizon = part.truth.shape[1]
    figure = Figure(figsize=(9.0, 6.5 if horizon > 1 else 4.0), layout="constrained")
    panels = figure.subplots(2 if horizon > 1 else 1, 1, squeeze=False, height_ratios=(3, 2)[: 1 + (horizon > 1)])[
        :, 0
    ]
    figure.suptitle(title, fontsize=11)
    _draw_rows(panels[0], part, forecasts, latest)
    if horizon > 1:
        for look, (name, forecast) in zip(_looks(forecasts), forecasts.items(), strict=True):
            rmse = np.sqrt(np.mean((forecast - part.truth) ** 2, axis=0))
            panels[1].plot(range(1, horizon + 1), rmse, label=name, **look)
        panels[1].set(xlabel="rows ahead", ylabel="RMSE")
        if any((forecast != part.truth).any() for forecast in forecasts.values()):
            panels[1].set_yscale("log")  # Naive errors may be many times the best.
            panels[1].yaxis.set_major_formatter(ScalarFormatter())
            panels[1].yaxis.set_minor_formatter(NullFormatter())
            panels[1].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panels[1].set_title("Error over the whole test, by how far ahead", loc="left", fontsize=10)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=150)


def _looks(forecasts: Mapping[str, Array]) -> list[dict[str, Any]]:
    return [
        {"color": f"C{3 if i == 0 else i - 1}", "linestyle": LOOKS[i % len(LOOKS)], "linewidth": 2.0 - 0.3 * (i > 0)}
        for i in range(len(forecasts))
    ]


def _draw_rows(axes: Any, part: Part, forecasts: Mapping[str, Array], latest: Array | None) -> None:
    """Draws at least the last hundred rows, each forecast once: a forecast starts every `horizon` rows."""
    horizon = part.truth.shape[1]
    shown = np.arange(len(part.start) - 1, -1, -horizon)[: max(3, -(-100 // horizon))][::-1]
    rows = (part.start[shown][:, np.newaxis] + np.arange(horizon)).ravel()
    axes.plot(rows, part.truth[shown].ravel(), color="black", linewidth=2.5, label="truth")
    for look, (name, forecast) in zip(_looks(forecasts), forecasts.items(), strict=True):
        axes.plot(rows, forecast[shown].ravel(), label=name, **look)
    if latest is not None:
        axes.axvline(rows[-1] + 0.5, color="0.6", linewidth=0.8)
        axes.plot(rows[-1] + 1 + np.arange(horizon), latest, color="C3", marker=".", label="beyond the table")
    axes.set(xlabel="row", ylabel="target")
    every = "every row" if horizon == 1 else f"every {horizon} rows"
    axes.set_title(f"The end of the test; a new forecast {every}", loc="left", fontsize=10)
