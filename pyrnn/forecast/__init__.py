"""Forecasts a column of a CSV file from its own past and that of other columns, for `pyrnn forecast`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pyrnn import GRU, LSTM, RNN, nn
from pyrnn.checks.arguments import check_seed, check_size
from pyrnn.checks.arrays import Array
from pyrnn.checks.picture import check_picture
from pyrnn.checks.quoting import brief
from pyrnn.train import AdamW, CosineAnnealingLR, History, fit

from .report import Scores, draw, score_table, scores
from .series import Part, Series, read_columns

__all__ = ["CELLS", "Outcome", "Part", "Scores", "Series", "draw", "run", "score_table", "scores", "train"]

CELLS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
BATCH, LEARNING_RATE, CLIP = 64, 2e-3, 1.0


@dataclass(frozen=True)
class Outcome:
    """Holds a trained model and its forecasts.

    Attributes:
        model: the network, which takes [B,T,F] and returns [B,K].
        history: the record of its training.
        forecasts: the forecasts of the test by name, [B,K] each: "model", then the naive ones.
        scores: the scores of these forecasts, by the same names.
        untrained: the scores of the model before its training.
        latest: the forecast beyond the table, [K].
    """

    model: nn.Sequential
    history: History
    forecasts: dict[str, Array]
    scores: dict[str, Scores]
    untrained: Scores
    latest: Array


def train(
    series: Series, cell: str = "gru", hidden: int = 32, epochs: int = 20, seed: int = 0, progress: bool = True
) -> Outcome:
    """Trains a recurrent layer with a Linear on its last step, and scores it on the test beside naive forecasts.

    Args:
        series: the windows of the table.
        cell: "rnn", "lstm" or "gru".
        hidden: the number of units of the recurrent layer.
        epochs: the number of passes over the training part; the weights with the lowest validation loss are kept.
        seed: the seed of the initial weights and of the order of the batches.
        progress: whether to show a progress bar.

    Returns:
        The trained model, its forecasts and their scores.

    Raises:
        TypeError: if a size or the seed is not an int.
        ValueError: if the cell is unknown, or a size or the seed is out of range.

    >>> series = Series(np.sin(np.arange(300) / 3), None, lookback=8, horizon=2, period=1)
    >>> outcome = train(series, hidden=8, epochs=3, progress=False)
    >>> list(outcome.scores), outcome.scores["model"].rmse < outcome.untrained.rmse
    (['model', 'last value', 'mean of the last 8'], True)
    """
    if cell not in CELLS:
        raise ValueError(f"cell should be one of {', '.join(CELLS)}, got {brief(cell)}")
    check_size("hidden", hidden)
    check_size("epochs", epochs)
    check_seed(seed)
    features = series.train.inputs.shape[-1]
    model = nn.Sequential(
        CELLS[cell](features, hidden, batch_first=True, seed=seed),
        nn.LastStep(batch_first=True),
        nn.Linear(hidden, series.horizon, seed=None if seed is None else seed + 1),
    )
    untrained = scores(series.test, series.forecast(series.test, model.predict(series.test.inputs)))
    optimizer = AdamW(model, lr=LEARNING_RATE)
    history = fit(
        model,
        (series.train.inputs, series.targets(series.train)),
        validation=(series.validation.inputs, series.targets(series.validation)),
        optimizer=optimizer,
        scheduler=CosineAnnealingLR(optimizer, T_max=epochs),
        epochs=epochs,
        batch_size=BATCH,
        clip_norm=CLIP,
        seed=seed,
        progress=progress,
    )
    said = {
        "model": series.forecast(series.test, model.predict(series.test.inputs)),
        **series.naive(series.test),
    }
    latest = series.latest()
    return Outcome(
        model=model,
        history=history,
        forecasts=said,
        scores={name: scores(series.test, forecast) for name, forecast in said.items()},
        untrained=untrained,
        latest=series.forecast(latest, model.predict(latest.inputs))[0],
    )


def run(
    path: Path,
    target: str,
    features: Sequence[str] = (),
    *,
    lookback: int = 48,
    horizon: int = 24,
    cell: str = "gru",
    hidden: int = 32,
    epochs: int = 20,
    period: int | None = None,
    seed: int = 0,
    as_json: bool = False,
    plot: Path | None = None,
) -> None:
    """Forecasts a column of a CSV file, and prints scores and the forecast, or one JSON object.

    Args:
        path: the path of the file, which has a heading, then a row for each time, oldest first.
        target: the name of the column to forecast.
        features: the names of other columns to forecast it from.
        lookback: the number of rows that a forecast is made from.
        horizon: the number of rows that it covers.
        cell: "rnn", "lstm" or "gru".
        hidden: the number of units of the recurrent layer.
        epochs: the number of passes over the training part.
        period: the number of rows after which the target repeats; None to find it, as in `Series`.
        seed: the seed of the initial weights and of the order of the batches.
        as_json: whether to print JSON.
        plot: the path of a picture to write, or None.

    Raises:
        OSError: if the file cannot be read, or the picture cannot be written.
        ValueError: if the file is not a table with these columns, or has too few rows.
    """
    if plot is not None:
        check_picture(plot)
    columns = read_columns(path, [target, *features])
    series = Series(columns[:, 0], columns[:, 1:], lookback, horizon, period)
    outcome = train(series, cell, hidden, epochs, seed)
    if plot is not None:
        draw(f"{target}, {horizon} rows ahead", series.test, outcome.forecasts, outcome.latest, plot)
    if as_json:
        json.dump(_as_json(target, series, outcome), sys.stdout, indent=1)
        print()
    else:
        _print(target, cell, series, outcome)


def _as_json(target: str, series: Series, outcome: Outcome) -> dict[str, Any]:
    return {
        "target": target,
        "rows": len(series.target),
        "period": series.period,
        "windows": {name: len(getattr(series, name).start) for name in ("train", "validation", "test")},
        "seconds": sum(outcome.history.seconds),
        "best_epoch": outcome.history.best_epoch,
        "untrained": outcome.untrained._asdict(),
        "scores": {name: row._asdict() for name, row in outcome.scores.items()},
        "forecast": outcome.latest.tolist(),
    }


def _print(target: str, cell: str, series: Series, outcome: Outcome) -> None:
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    sizes = [len(part.start) for part in (series.train, series.validation, series.test)]
    naive = "the last value" if series.period == 1 else f"the value {series.period} rows before"
    console.print(
        f"{len(series.target)} rows, cut by time into {sizes[0]} forecasts to train on, {sizes[1]} to choose the "
        f"epoch, {sizes[2]} to test. The model ({cell.upper()}) corrects {naive}; scales and period come from the "
        "training part."
    )
    history = outcome.history
    if history.stopped == "interrupted":
        console.print(f"Interrupted after {len(history.seconds)} whole epochs; going on with the best weights so far.")
    else:
        console.print(
            f"Trained {len(history.seconds)} epochs in {sum(history.seconds):.1f} s; the weights are those of epoch "
            f"{history.best_epoch}."
        )
    console.print(
        f"RMSE of the model on the test: {outcome.untrained.rmse:.4g} untrained, "
        f"{outcome.scores['model'].rmse:.4g} trained."
    )
    console.print(score_table(f"\nTest: {target}, {series.horizon} rows ahead", outcome.scores))
    if not series.is_learnable:
        console.print("The training part leaves nothing to learn: the forecast goes on exactly as that part did.")
    console.print(_compared({name: row.rmse for name, row in outcome.scores.items()}))
    with np.printoptions(precision=5, suppress=True, linewidth=100):
        console.print(f"The next {series.horizon} rows: {outcome.latest}")


def _compared(rmse: Mapping[str, float]) -> str:
    """Compares the model with the best naive forecast in a sentence.

    >>> _compared({"model": 0.5, "last value": 1.0, "mean": 2.0})
    "The model's RMSE is 50.0% below that of the best naive forecast, 'last value'."
    """
    best = min((name for name in rmse if name != "model"), key=rmse.__getitem__)
    if not rmse[best]:
        return f"The naive forecast {brief(best)} is exact on the test; the model's RMSE is {rmse['model']:.4g}."
    ratio = rmse["model"] / rmse[best] - 1
    word = "below" if ratio < 0 else "above"
    return f"The model's RMSE is {abs(ratio):.1%} {word} that of the best naive forecast, {brief(best)}."
