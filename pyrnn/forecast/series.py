"""Cuts a table of numbers, one row for each time, into a model's inputs and the values it has to forecast."""

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

TRAINING, VALIDATION = 0.70, 0.15  # These are shares of the rows, in this order; the rest is the test.
LONGEST_PERIOD = 400  # The longest period has this many rows; a week of half hours has 336.


@dataclass(frozen=True)
class Part:
    """Holds every forecast that can be checked within one range of rows.

    Attributes:
        start: the first row of each forecast, [B].
        inputs: the model's inputs from the rows before, [B,T,F] float32.
        past: the target in these rows, [B,T].
        reference: the naive forecast that the model corrects, the value one period before, [B,K].
        truth: the values that came, [B,K].
    """

    start: Array
    inputs: Array
    past: Array
    reference: Array
    truth: Array

    @property
    def last(self) -> Array:
        """Returns the last known value, [B,1]."""
        return self.past[:, -1:]


class Series:
    """Holds windows of a target and other columns, scaled by the numbers of the training part.

    The first 70 % of the rows are for training, the next 15 % for validation, the rest for the test; no row is
    forecast in two parts. The model gets the target, its change since one period before, and the features, each scaled
    to mean 0 and variance 1. It learns to correct the naive forecast, which repeats the value one period before. A
    column that is constant in the training part is 0 in every window. If the naive forecast is off by the same number
    in all of the training part (0 for a periodic series, the slope for a line), that number is the whole correction.

    Args:
        target: the values to forecast, [N], oldest first.
        features: other columns that are known in each row, [N,F-2], or None.
        lookback: the number of rows that a forecast is made from, T.
        horizon: the number of rows that it covers, K.
        period: the number of rows after which the target repeats; 1 repeats the last value. None takes the period
            whose naive forecast has the least error in the training part.

    Raises:
        TypeError: if the lookback, horizon or period is not an int.
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
        size[1] = size[0]  # A change has the rounding errors of the values.
        self._columns = Scale(columns[self.period : known], size).apply(columns).astype(np.float32)
        self.train = self._part(first, known)
        self.validation, self.test = self._part(known, test), self._part(test, count)
        self._correction = Scale((self.train.truth - self.train.reference).ravel(), size[0])

    @property
    def is_learnable(self) -> bool:
        """Tells whether the naive forecast leaves something to learn in the training part."""
        return bool(self._correction.deviation > 0)

    def targets(self, part: Part) -> Array:
        """Returns what the model learns, the scaled error of the naive forecast, [B,K] float32."""
        return self._correction.apply(part.truth - part.reference).astype(np.float32)

    def forecast(self, part: Part, output: Array) -> Array:
        """Turns the model's output, [B,K], into values of the target."""
        values: Array = part.reference + self._correction.undo(output.astype(np.float64))
        return values

    def naive(self, part: Part) -> dict[str, Array]:
        """Returns forecasts that need no model, [B,K] each, by name."""
        shape = part.truth.shape
        found = {
            "last value": np.broadcast_to(part.last, shape),
            f"mean of the last {self.lookback}": np.broadcast_to(part.past.mean(axis=1, keepdims=True), shape),
        }
        return found if self.period == 1 else {**found, f"{self.period} rows before": part.reference}

    def latest(self) -> Part:
        """Returns the one forecast that goes beyond the table; its truth is NaN."""
        end = len(self.target)
        return self._windows(end, end + 1, np.full((1, self.horizon), np.nan))

    def _part(self, first: int, end: int) -> Part:
        """Returns every forecast of rows from `first` to before `end`."""
        last = end - self.horizon + 1
        return self._windows(first, last, sliding_window_view(self.target, self.horizon)[first:last])

    def _windows(self, first: int, end: int, truth: Array) -> Part:
        # The windows are views: copies would take `lookback` times the table's memory.
        rows = slice(first - self.lookback, end - self.lookback)
        inputs = sliding_window_view(self._columns, self.lookback, axis=0)[rows].swapaxes(1, 2)
        past = sliding_window_view(self.target, self.lookback)[rows]
        start, ahead = np.arange(first, end), np.arange(self.horizon)
        reference = start[:, np.newaxis] + ahead - self.period * (ahead // self.period + 1)
        return Part(start, inputs, past, self.target[reference], truth)


def best_period(values: Array, horizon: int) -> int:
    """Finds the shortest period whose naive forecast of `horizon` rows is nearly the best; 1 repeats the last value.

    A forecast is nearly the best if its mean squared error exceeds the least by at most a tenth. Without this margin,
    chance or rounding would choose two days where the period is one.

    Args:
        values: the target in the training part, [N].
        horizon: the number of rows that a forecast covers.

    >>> best_period(np.sin(np.arange(200) * 2 * np.pi / 24), horizon=24), best_period(np.arange(200.0), horizon=3)
    (24, 1)
    """
    # The squares of tiny or huge values would underflow or overflow.
    values = values / (np.abs(values).max(initial=0) or 1.0)
    longest = min(LONGEST_PERIOD, len(values) // 4, len(values) - horizon)
    lags = range(1, longest + horizon)
    squares = np.array([np.inf, *(np.mean((values[lag:] - values[:-lag]) ** 2) for lag in lags)])
    ahead = np.arange(horizon)
    errors = [squares[period * (ahead // period + 1)].mean() for period in range(1, longest + 1)]
    return 1 + int(np.argmax(errors <= 1.1 * np.min(errors) + 1e-9 * values.var())) if errors else 1


def read_columns(path: Path, names: Sequence[str]) -> Array:
    """Reads the named columns of a CSV file with a heading.

    Args:
        path: the path of the file.
        names: the headings of the columns.

    Returns:
        The numbers, float64 [N,len(names)], with the columns in the order of `names`.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a table, lacks a column, or a cell is not a finite number.
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
