"""Runs `pyrnn demo`: it trains, checks, saves and reloads a forecaster with pyrnn alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import safetensors.numpy  # noqa: F401  (This import shows a missing package before the training, not after it.)
from rich.console import Console

from pyrnn.train import AdamW, CosineAnnealingLR, History, fit
from pyrnn.weights.files import load_state_dict, save_state_dict

from .data import DAY, PAST, SERIES, DemoPart, load_series, split
from .model import Forecaster
from .report import DemoScores, comparison, draw, score_table, scores
from .versus_torch import torch_lines

BATCH, LEARNING_RATE, CLIP = 64, 1e-3, 1.0
WEIGHTS = ("model.pt", "model.safetensors")


def run(output: Path, epochs: int, seed: int) -> dict[str, DemoScores]:
    """Runs the demo, prints what it finds, and writes pictures and weights.

    Args:
        output: the folder to write to, which is made if it does not exist.
        epochs: the number of passes over the training part.
        seed: the seed of the initial weights and of the order of the batches.

    Returns:
        The scores on the test by the name of the forecast; "GRU" is the trained one.

    Raises:
        OSError: if the folder cannot be written to.
        ValueError: if `epochs` is less than 1.
    """
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    _make_folder(output)
    train, validation, test = split(*load_series())
    _introduce(console, train, validation, test)
    model, history = _train(train, validation, epochs, seed)
    _say_how_it_ended(console, history)

    forecasts = {**test.naive(), "GRU": test.forecast(model(test.inputs))}
    results = {name: scores(test, forecast) for name, forecast in forecasts.items()}
    console.print(score_table(_span("\nTest", test), results))
    console.print("drift: how much warmer yesterday was than the day before, on average")
    console.print(f"{comparison(results, 'GRU')}\n")

    draw(test, forecasts, output / "forecast.png")
    history.plot(output / "loss.png")
    for name in WEIGHTS:
        save_state_dict(model.state_dict(), output / name)
        console.print(_reloaded(model, test, output / name))
    for line in torch_lines(model, output / WEIGHTS[0], train, test):
        console.print(line)
    _say_what_next(console, output)
    return results


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        writable = os.access(output, os.W_OK)
    except OSError as error:
        raise OSError(f"{output} cannot be made a folder to write to: {error.strerror}.") from error
    if not writable:
        raise OSError(f"{output} cannot be written to; choose another folder with --output.")


def _train(train: DemoPart, validation: DemoPart, epochs: int, seed: int) -> tuple[Forecaster, History]:
    model = Forecaster(seed)
    optimizer = AdamW(model, lr=LEARNING_RATE)
    history = fit(
        model,
        (train.inputs, train.targets),
        validation=(validation.inputs, validation.targets),
        optimizer=optimizer,
        scheduler=CosineAnnealingLR(optimizer, T_max=epochs),
        epochs=epochs,
        batch_size=BATCH,
        clip_norm=CLIP,
        seed=seed,
    )
    return model.eval(), history


def _span(name: str, part: DemoPart) -> str:
    first, last = np.datetime_as_string(part.start[[0, -1]], unit="D")
    return f"{name}: {len(part.start)} forecasts, {first} to {last}"


def _introduce(console: Console, train: DemoPart, validation: DemoPart, test: DemoPart) -> None:
    console.print(f"Series: {SERIES}.")
    console.print(
        f"Task: the next {DAY} hours at once from the past {PAST}, said as the change since the same hour "
        "yesterday. The year is split by time, the scales come from the training part:"
    )
    for name, part in {"training": train, "validation": validation, "test": test}.items():
        console.print(f"  {_span(name, part)}")
    console.print()


def _say_how_it_ended(console: Console, history: History) -> None:
    done = len(history.train_loss)
    if history.stopped == "interrupted":
        console.print(f"\nInterrupted after {done} whole epochs; going on with the best weights so far.")
    if done:
        console.print(
            f"Trained {done} epochs in {sum(history.seconds):.1f} s; the weights are those of epoch "
            f"{history.best_epoch}, which has the lowest validation loss, {history.best_loss:.4g}."
        )


def _reloaded(model: Forecaster, test: DemoPart, path: Path) -> str:
    """Loads a file into a new model, and says whether its forecasts are the same."""
    new = Forecaster(seed=1)
    new.load_state_dict(load_state_dict(path))
    same = np.array_equal(new(test.inputs), model(test.inputs))
    verdict = "are equal to the last bit" if same else "DIFFER"
    return f"{path.name}, loaded into a new model: its outputs {verdict}."


def _say_what_next(console: Console, output: Path) -> None:
    load = f"pyrnn.load_state_dict({str(output / WEIGHTS[0])!r})"
    console.print(f"\nWritten to {output}: forecast.png, loss.png, {', '.join(WEIGHTS)}.")
    console.print("Try next:")
    console.print(f'  python -c "import pyrnn; print(list({load}))"')
    console.print("  pyrnn demo --seed 1 --epochs 60     another start, a longer training")
    console.print("  pyrnn forecast data.csv --target x  the same for a column of your own")
