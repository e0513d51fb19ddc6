"""Forecasts of two real series: Google's price the next day, and the traffic on a motorway the next 24 hours.

The price: 1047 days, 2004 to 2008, from matplotlib's sample data; a GRU sees the last 2, 4 or 8 closing prices,
beside open, high, low and volume. The traffic: vehicles an hour on the I-94 in Minneapolis, October 2016 to
September 2018, with the temperature, from the package autots; it sees the last 48 hours. The first 70 % of the rows
train, all scales come from them, the last 15 % test. Measured (RMSE; 0.3 s a model of the price, 9 s the traffic):

    price, dollars         windows of 2, 4, 8: 15.07, 15.09, 15.02; untrained 15.2; last value 15.00
    traffic, vehicles/h    482; untrained 537; one week before 522; last value 2685

No window beats the last value, and the direction is right on 47 to 49 % of the days: past prices do not tell
tomorrow's. Past traffic does tell the next day's: the RMSE is 8 % below that of the week before (2605 forecasts),
though the mean absolute error, 257, is above its 252.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.forecast import Outcome, Series, draw, score_table, train

from ._prices import load_prices

try:
    import pandas
    from rich.console import Console
except ImportError as error:
    raise ImportError(f'this example needs {error.name}: pip install "pyrnn-cpu[examples]"') from error

WINDOWS = (2, 4, 8)  # days
DAY, WEEK = 24, 168  # hours


def price_series(window: int) -> Series:
    """A series to forecast Google's next closing price from a window of days: close, open, high, low and volume."""
    days = load_prices()
    others = np.column_stack([days[name] for name in ("open", "high", "low", "volume")])
    return Series(days["adj_close"], others, lookback=window, horizon=1, period=1)


def traffic() -> tuple[Array, Array]:
    """Vehicles an hour, [N], and temperature, sine and cosine of the hour of the day and of the week, [N,5]."""
    spec = find_spec("autots")  # locates a file of the package without an import
    if spec is None or not spec.submodule_search_locations:
        raise ImportError('this example needs autots: pip install "pyrnn-cpu[examples]"')
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "traffic_hourly.zip"
    table = pandas.read_csv(path, parse_dates=["datetime"])
    known = table[["traffic_volume", "temp"]].interpolate()  # 104 hours are missing
    hours = (table["datetime"] - pandas.Timestamp("2016-10-03")) / pandas.Timedelta(hours=1)
    angles = 2 * np.pi * hours.to_numpy()[:, np.newaxis] / (DAY, WEEK)
    return known["traffic_volume"].to_numpy(), np.column_stack([known["temp"], np.sin(angles), np.cos(angles)])


def traffic_series(rows: int | None = None) -> Series:
    """A series to forecast the next 24 hours of traffic from 48, as corrections to the hours one week before."""
    volume, others = traffic()
    return Series(volume[:rows], others[:rows], lookback=2 * DAY, horizon=DAY, period=WEEK)


def main(
    folder: Path | None = None, price_epochs: int = 30, traffic_epochs: int = 10, rows: int | None = None
) -> dict[str, Outcome]:
    """Trains all models, prints their scores on the test, and writes a picture of each into `folder`, if there is one.

    Args:
        folder: where the pictures are written.
        price_epochs: epochs of each of the three models of the price.
        traffic_epochs: epochs of the model of the traffic.
        rows: the number of hours of traffic to use; None for all.
    """
    console = Console(soft_wrap=True)
    outcomes = {}
    works = {f"price-{days}": (price_series(days), price_epochs) for days in WINDOWS}
    for name, (series, epochs) in {**works, "traffic": (traffic_series(rows), traffic_epochs)}.items():
        outcome = outcomes[name] = train(series, epochs=epochs, progress=False)
        seconds = sum(outcome.history.seconds)
        title = f"\n{name}: {len(series.test.start)} forecasts, model trained in {seconds:.1f} s"
        console.print(score_table(title, {**outcome.scores, "untrained": outcome.untrained}))
        if folder is not None:
            draw(name, series.test, outcome.forecasts, outcome.latest, folder / f"{name}.png")
    return outcomes


if __name__ == "__main__":
    main(Path())
