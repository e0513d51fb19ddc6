"""A table of numbers, row after row in time, cut into what a model is given and what it has to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pyrnn.checks.arguments import check_size
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.train.scaling import Scale

try:
    import pandas
except ImportError as error:
    raise ImportError(f'forecasting needs {error.name}: pip install "pyrnn-cpu[forecast]"', name=error.name) from error

TRAINING, VALIDATION = 0.70, 0.15  # of the rows, in this order; the rest is the test
LONGEST_PERIOD = 400  # rows; a week of half hours is 336


@dataclass(frozen=True)
class Part:
    """Every forecast that can be checked within one stretch of rows.

    Attributes:
        start: the row each forecast begins at, [B].
        inputs: what the model is given of the rows before, [B,T,F] float32.
        past: the target in these rows, [B,T].
        reference: the naive forecast that the model corrects, [B,K]: the value one period before.
        truth: what came, [B,K].
    """

    start: Array
    inputs: Array
    past: Array
    reference: Array
    truth: Array

    @property
    def last(self) -> Array:
        """The last known value, [B,1]."""
        return self.past[:, -1:]


class Series:
    """Windows of a target and other columns, scaled by what the training part holds.

    Of the rows, 70 % are for training, the next 15 % for validation, the rest for the test; no row that is forecast
    in one part is forecast in another. The model is given the target, its change since one period before, and the
    features, each scaled to mean 0 and variance 1; it learns to correct the naive forecast "as one period before".
    A column that is constant in the training part is 0 in every window. Where the naive forecast misses all of the
    training part by one number (0 for a periodic series, the slope for a line), that number is the whole correction.

    Args:
        target: [N], what is forecast, one value a row, oldest first.
        features: [N,F-2], other columns known in each row; None for none.
        lookback: T, the rows a forecast is made from.
        horizon: K, the rows it goes ahead.
        period: rows after which the target comes back, 1 for "as the last value"; None for the one whose naive
            forecast errs least in the training part.

    Raises:
        ValueError: if a number is not finite, or the rows are too few.

    Example:
        >>> series = Series(np.sin(np.arange(400) * 2 * np.pi / 24), None, lookback=48, horizon=24)
        >>> series.period, series.train.inputs.shape, series.test.truth.shape
        (24, (185, 48, 2), (37, 24))
    """

    def __init__(
        self, target: Array, features: Array | None, lookback: int, horizon: int, period: int | None = None
    ) -> None:
        for name, rows in {
            "lookback": lookback,
            "horizon": horizon,
            "period": 1 if period is None else period,
        }.items():
            check_size(name, rows)
        table = target[:, np.newaxis] if features is None else np.column_stack([target, features])
        if not np.isfinite(table).all():
            raise ValueError("the table should hold finite numbers alone; fill or drop the rows that have others")
        count = len(target)
        known, test = int(TRAINING * count), int((TRAINING + VALIDATION) * count)
        self.target, self.lookback, self.horizon = target, lookback, horizon
        self.period = best_period(target[:known], horizon) if period is None else period
        first = lookback + self.period
        if known < first + horizon or min(test - known, count - test) <= horizon:
            raise ValueError(
                f"{count} rows are too few for a lookback of {lookback}, a period of {self.period} and a horizon of "
                f"{horizon}: the first 70 % have to hold more than the three together, each of the next two 15 % "
                "more than a horizon"
            )
        change = np.zeros(count)
        change[self.period :] = target[self.period :] - target[: -self.period]
        columns = np.column_stack([table[:, 0], change, table[:, 1:]])
        size = np.abs(columns[:known]).max(axis=0)
        size[1] = size[0]  # a change is rounded as the values are
        self._columns = Scale(columns[self.period : known], size).apply(columns).astype(np.float32)
        self.train = self._part(first, known)
        self.validation, self.test = self._part(known, test), self._part(test, count)
        self._correction = Scale((self.train.truth - self.train.reference).ravel(), size[0])

    @property
    def is_learnable(self) -> bool:
        """Whether the naive forecast leaves something to learn in the training part."""
        return bool(self._correction.deviation > 0)

    def targets(self, part: Part) -> Array:
        """What the model learns to say: how far the naive forecast is off, scaled, [B,K] float32."""
        return self._correction.apply(part.truth - part.reference).astype(np.float32)

    def forecast(self, part: Part, output: Array) -> Array:
        """The values that an output of the model, [B,K], stands for."""
        values: Array = part.reference + self._correction.undo(output.astype(np.float64))
        return values

    def naive(self, part: Part) -> dict[str, Array]:
        """Forecasts that need no model, [B,K] each."""
        shape = part.truth.shape
        found = {
            "last value": np.broadcast_to(part.last, shape),
            f"mean of the last {self.lookback}": np.broadcast_to(part.past.mean(axis=1, keepdims=True), shape),
        }
        return found if self.period == 1 else {**found, f"{self.period} rows before": part.reference}

    def latest(self) -> Part:
        """The one forecast that goes beyond the table; its truth is not known, and nan."""
        end = len(self.target)
        return self._windows(end, end + 1, np.full((1, self.horizon), np.nan))

    def _part(self, first: int, end: int) -> Part:
        """Every forecast of rows from `first` to before `end`."""
        last = end - self.horizon + 1
        return self._windows(first, last, sliding_window_view(self.target, self.horizon)[first:last])

    def _windows(self, first: int, end: int, truth: Array) -> Part:
        rows = slice(first - self.lookback, end - self.lookback)  # views: copies would take lookback times the table
        inputs = sliding_window_view(self._columns, self.lookback, axis=0)[rows].swapaxes(1, 2)
        past = sliding_window_view(self.target, self.lookback)[rows]
        start, ahead = np.arange(first, end), np.arange(self.horizon)
        reference = start[:, np.newaxis] + ahead - self.period * (ahead // self.period + 1)
        return Part(start, inputs, past, self.target[reference], truth)


def best_period(values: Array, horizon: int) -> int:
    """The shortest period whose naive forecast of `horizon` rows is nearly the best; 1 is "as the last value".

    Nearly: its mean squared error is at most a tenth above the least. Else chance, or rounding, would say two days
    where one is meant.

    >>> best_period(np.sin(np.arange(200) * 2 * np.pi / 24), horizon=24), best_period(np.arange(200.0), horizon=3)
    (24, 1)
    """
    values = values / (np.abs(values).max(initial=0) or 1.0)  # squares of tiny or huge values would not be numbers
    longest = min(LONGEST_PERIOD, len(values) // 4, len(values) - horizon)
    lags = range(1, longest + horizon)
    squares = np.array([np.inf, *(np.mean((values[lag:] - values[:-lag]) ** 2) for lag in lags)])
    ahead = np.arange(horizon)
    errors = [squares[period * (ahead // period + 1)].mean() for period in range(1, longest + 1)]
    return 1 + int(np.argmax(errors <= 1.1 * np.min(errors) + 1e-9 * values.var())) if errors else 1


def read_columns(path: Path, names: Sequence[str]) -> Array:
    """The named columns of a CSV file with a heading, [N,len(names)].

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no table, has no such column, or a cell is not a finite number.
    """
    try:
        table = pandas.read_csv(path)
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; give the CSV file in it") from None
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a CSV file: {error}") from error
    for name in names:
        if name not in table.columns:
            raise ValueError(f"{path} has no column {brief(name)}; it has {', '.join(map(repr, table.columns))}")
    numbers: Array = table[list(names)].apply(pandas.to_numeric, errors="coerce").to_numpy(float)
    wrong = np.argwhere(~np.isfinite(numbers))
    if len(wrong):
        row, column = wrong[0]
        cell = table[names[column]].iloc[row]
        raise ValueError(
            f"{path} has {len(wrong)} cells that are not finite numbers, the first in row {row + 1} of column "
            f"{brief(names[column])}: {brief(cell)}; fill them, or drop their rows"
        )
    return numbers
