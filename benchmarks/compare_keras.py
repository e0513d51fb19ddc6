"""Does `pyrnn.keras.accelerate` make Keras' fit and predict faster, and are the losses the same?

KERAS_BACKEND=torch python benchmarks/compare_keras.py
KERAS_BACKEND=torch python benchmarks/compare_keras.py --threads 1 --json it.json

Each row makes two models with the same weights: a layer that returns all steps, a Bidirectional and a Dense. One of
them is accelerated. The two train and predict in turn, in one process: a training step is `train_on_batch`, which is
what fit does with a batch. "keras" and "pyrnn" are the medians of a step in milliseconds, "ratio" is the median over
the turns of keras / pyrnn, and "difference" is the largest difference of a loss in the first 20 steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import pyrnn.keras

KINDS = ("GRU", "LSTM", "SimpleRNN")
SIZES = ((32, 50, 16, 64), (128, 20, 16, 32), (16, 100, 20, 128))  # B, T, I, H
COUNTED = 20
COLUMNS = ("kind", "B, T, I, H", "mask", "phase", "keras", "pyrnn", "ratio", "difference")


def make(kind: str, size: tuple[int, ...], masked: bool) -> Any:
    keras.utils.set_random_seed(0)
    _, steps, inputs, hidden = size
    layer = getattr(keras.layers, kind)
    layers = [layer(hidden, return_sequences=True), keras.layers.Bidirectional(layer(hidden)), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((steps, inputs)), *[keras.layers.Masking()] * masked, *layers])
    model.compile("adam", "mse")
    return model


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def rows(kind: str, size: tuple[int, ...], masked: bool, turns: int) -> list[tuple[Any, ...]]:
    """Measures training and inference of one model."""
    models = [make(kind, size, masked) for _ in range(2)]
    pyrnn.keras.accelerate(models[1])
    draw, found, batch = np.random.default_rng(0), [], size[0]
    x = draw.normal(size=size[:3]).astype(np.float32)
    if masked:
        x *= (np.arange(size[1]) < draw.integers(size[1] // 4, size[1] + 1, batch)[:, None])[..., None]
    y = x.sum((1, 2))[:, None] / size[1]
    for phase in ("train", "predict"):
        given = (x, y) if phase == "train" else (x,)
        calls = [partial(getattr(model, f"{phase}_on_batch"), *given) for model in models]
        times: list[tuple[float, float]] = []
        results: list[float] = []
        for _ in range(max(turns, COUNTED)):
            (one, theirs), (two, ours) = (seconds(call) for call in calls)
            times.append((one, two))
            results.append(float(np.abs(np.subtract(ours, theirs)).max()))
        times = times[2:]
        medians = [1e3 * statistics.median(side) for side in zip(*times, strict=True)]
        ratio = statistics.median(one / two for one, two in times)
        found.append((kind, str(size), masked, phase, *medians, ratio, max(results[:COUNTED])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    found = []
    for kind in given.kind or KINDS:
        for size, masked in ((SIZES[0], False), (SIZES[0], True), (SIZES[1], False), (SIZES[2], False)):
            found += rows(kind, size, masked, given.turns)
    table = Table(*COLUMNS, title=f"{torch.get_num_threads()} threads, Keras {keras.__version__}")
    for row in found:
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=120).print(table)
    if given.json:
        given.json.write_text(json.dumps([dict(zip(COLUMNS, row, strict=True)) for row in found]))


if __name__ == "__main__":
    main()
