"""Defines the command `pyrnn forecast`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .missing import naming_the_extra


class CellName(StrEnum):
    """Lists the cells that `pyrnn forecast` can train."""

    rnn = "rnn"
    lstm = "lstm"
    gru = "gru"


def forecast(
    data: Annotated[Path, typer.Argument(help="A CSV file with a heading, then a row for each time, oldest first.")],
    target: Annotated[str, typer.Option(help="The column to forecast.")],
    features: Annotated[str, typer.Option(help="Other columns to forecast it from, as in wind,temperature.")] = "",
    lookback: Annotated[int, typer.Option(min=1, help="The number of rows that a forecast is made from.")] = 48,
    horizon: Annotated[int, typer.Option(min=1, help="The number of rows that a forecast covers.")] = 24,
    cell: Annotated[CellName, typer.Option(help="The recurrent layer.")] = CellName.gru,
    hidden: Annotated[int, typer.Option(min=1, help="The number of units of the recurrent layer.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="The number of passes over the training part.")] = 20,
    period: Annotated[
        int | None, typer.Option(min=1, help="The rows after which the target repeats; by default found in the data.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the weights and of the order of the batches.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the forecasts into this file, such as out.png.")] = None,
) -> None:
    """Forecast a column of a CSV file.

    The rows are split by time: 70 % to train on, 15 % to choose the epoch, 15 % to test beside naive forecasts. Then
    the rows after the last are forecast. The model corrects the value one period before; with a period of 1 that is
    the last value.

    \b
    Examples:
      pyrnn forecast data.csv --target load
      pyrnn forecast data.csv --target load --features wind,temperature --horizon 12 --plot load.png
      pyrnn forecast data.csv --target price --lookback 8 --horizon 1 --cell lstm --json
    """
    with naming_the_extra("forecast"):
        from pyrnn.forecast import run

        run(
            data,
            target,
            [name for name in features.split(",") if name],
            lookback=lookback,
            horizon=horizon,
            cell=cell.value,
            hidden=hidden,
            epochs=epochs,
            period=period,
            seed=seed,
            as_json=json,
            plot=plot,
        )
