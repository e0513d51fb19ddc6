"""Do published packages train faster inside `pyrnn.torch.patched()`, with the same losses?

python benchmarks/packages.py
python benchmarks/packages.py --package darts --threads 1

A package trains a recurrent model of its own for some steps, as its users do: without `patched()` and with it, in
turn, from the same seeds. Packages that are not installed are skipped. A time is the median of those from one step of
the optimizer to the next, which include the package's loop and its data loading. "torch ms" and "pyrnn ms" are the
least of the rounds, "ratio" is the median over the rounds of torch / pyrnn. "difference" is the largest difference
between two losses of the same step, over the first 20, relative to the loss where that is above 1.

Packages run on torch's default number of threads and on one, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib import metadata, util
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.optim.optimizer import register_optimizer_step_post_hook

import pyrnn.torch

STEPS = 25
COMPARED = 20
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "logger": False,
    "enable_checkpointing": False,
}


@dataclass(frozen=True)
class Row:
    """One package: milliseconds of a training step, and the layers that were swapped."""

    package: str
    version: str
    model: str
    threads: int
    swapped: str
    difference: float
    torch_ms: float
    pyrnn_ms: float
    ratio: float


def waves(count: int, length: int) -> np.ndarray:
    """Some noisy sine waves, [count, length]."""
    time = np.arange(length)[None] / 12 + np.arange(count)[:, None]
    noise = np.random.default_rng(0).normal(size=(count, length))
    return (np.sin(time) + 0.1 * noise).astype(np.float32)


def darts() -> None:
    from darts import TimeSeries
    from darts.models import RNNModel

    series = [TimeSeries.from_values(wave) for wave in waves(8, 500)]
    sizes: dict[str, Any] = {"input_chunk_length": 48, "training_length": 60, "hidden_dim": 64, "n_rnn_layers": 2}
    model = RNNModel(model="LSTM", **sizes, random_state=0, pl_trainer_kwargs=QUIET | {"max_steps": STEPS})
    model.fit(series, epochs=100)


def gluonts() -> None:
    import pandas as pd
    from gluonts.dataset.common import ListDataset
    from gluonts.torch import DeepAREstimator

    start = pd.Period("2020-01-01", freq="h")
    data = ListDataset([{"start": start, "target": wave} for wave in waves(20, 500)], freq="h")
    estimator = DeepAREstimator(
        freq="h",
        prediction_length=24,
        context_length=72,
        hidden_size=64,
        num_batches_per_epoch=STEPS,
        trainer_kwargs={**QUIET, "max_epochs": 1, "enable_checkpointing": True},
    )
    estimator.train(data)


def pytorch_forecasting() -> None:
    import lightning
    import pandas as pd
    from pytorch_forecasting import DeepAR, TimeSeriesDataSet

    found = waves(20, 200)
    data = pd.DataFrame(
        {
            "value": found.ravel() + 3,
            "series": np.repeat(np.arange(20), 200).astype(str),
            "time": np.tile(np.arange(200), 20),
        }
    )
    lengths = {"max_encoder_length": 60, "max_prediction_length": 20}
    dataset = TimeSeriesDataSet(
        data,
        "time",
        "value",
        ["series"],
        **lengths,
        time_varying_unknown_reals=["value"],
        static_categoricals=["series"],
    )
    network = DeepAR.from_dataset(dataset, hidden_size=64, rnn_layers=2, dropout=0.1, log_interval=-1)
    trainer = lightning.Trainer(max_steps=STEPS, **QUIET)
    trainer.fit(network, dataset.to_dataloader(train=True, batch_size=64, num_workers=0))


def neuralforecast() -> None:
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.models import GRU

    found = waves(20, 300)
    times = pd.date_range("2020-01-01", periods=300, freq="h")
    data = pd.DataFrame({"unique_id": np.repeat(np.arange(20), 300), "ds": np.tile(times, 20), "y": found.ravel()})
    model = GRU(h=12, input_size=72, encoder_hidden_size=64, max_steps=STEPS, random_seed=0, **QUIET)
    NeuralForecast([model], freq="h").fit(data)


def deepecho() -> None:
    import pandas as pd
    from deepecho import PARModel

    found = waves(30, 100)
    data = pd.DataFrame({"entity": np.repeat(np.arange(30), 100), "value": found.ravel().astype(float)})
    PARModel(epochs=STEPS, cuda=False, verbose=False).fit(
        data=data, entity_columns=["entity"], data_types={"value": "continuous"}
    )


def flair() -> None:
    from flair.data import Corpus, Dictionary, Sentence
    from flair.embeddings import OneHotEmbeddings
    from flair.models import SequenceTagger
    from flair.trainers import ModelTrainer

    words, draw = [f"word{i}" for i in range(200)], random.Random(0)
    sentences = []
    for _ in range(STEPS * 32):
        sentence = Sentence([draw.choice(words) for _ in range(draw.randint(5, 40))])
        for token in sentence:
            token.add_label("tag", f"T{int(token.text[4:]) % 7}")
        sentences.append(sentence)
    vocabulary, tags = Dictionary(), Dictionary(add_unk=False)
    for word in words:
        vocabulary.add_item(word)
    for tag in range(7):
        tags.add_item(f"T{tag}")
    corpus = Corpus(sentences, sentences[:8], sentences[:8], sample_missing_splits=False)
    embeddings = OneHotEmbeddings(vocabulary, embedding_length=64)
    tagger = SequenceTagger(embeddings, tags, "tag", hidden_size=128, use_crf=False)
    with tempfile.TemporaryDirectory() as folder:
        ModelTrainer(tagger, corpus).train(folder, max_epochs=1, mini_batch_size=32, save_final_model=False)


PROGRAMS: dict[str, tuple[Callable[[], None], str]] = {
    "darts": (darts, "RNNModel"),
    "gluonts": (gluonts, "DeepAR"),
    "pytorch_forecasting": (pytorch_forecasting, "DeepAR"),
    "neuralforecast": (neuralforecast, "GRU"),
    "deepecho": (deepecho, "PARModel"),
    "flair": (flair, "SequenceTagger"),
}


def run(program: Callable[[], None], change: Any) -> tuple[list[float], list[float]]:
    """Runs a program in the context `change`; returns the loss of each step, and the times between two steps."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    losses: list[float] = []
    ends: list[float] = []
    backward = torch.autograd.backward

    def recorded(tensors: Any, *args: Any, **kwargs: Any) -> None:
        losses.append(float(tensors[0] if isinstance(tensors, (tuple, list)) else tensors))
        backward(tensors, *args, **kwargs)

    hook = register_optimizer_step_post_hook(lambda *_: ends.append(time.perf_counter()))
    torch.autograd.backward = recorded
    try:
        with change:
            program()
    finally:
        torch.autograd.backward = backward
        hook.remove()
    return losses, [1e3 * (end - start) for start, end in pairwise(ends)]


def measure(package: str, rounds: int) -> Row:
    program, model = PROGRAMS[package]
    built = pyrnn.torch.patched()
    theirs: list[tuple[list[float], list[float]]] = []
    ours: list[tuple[list[float], list[float]]] = []
    for _ in range(rounds):
        theirs.append(run(program, nullcontext()))
        ours.append(run(program, built))
    pairs = zip(theirs[0][0][:COMPARED], ours[0][0][:COMPARED], strict=True)
    before = [sorted(times)[len(times) // 2] for _, times in theirs]
    after = [sorted(times)[len(times) // 2] for _, times in ours]
    swapped = ", ".join(f"{count // rounds} {name}" for name, count in built.swapped.items())
    return Row(
        package,
        metadata.version(package.replace("_", "-")),
        model,
        torch.get_num_threads(),
        swapped + "".join(f"; {name} left" for name in built.left),
        max(abs(one - other) / max(1, abs(one)) for one, other in pairs),
        min(before),
        min(after),
        statistics.median(b / a for b, a in zip(before, after, strict=True)),
    )


def work(arguments: argparse.Namespace) -> None:
    """Measures the rows in a process that `main` starts."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if arguments.worker:
        torch.set_num_threads(arguments.worker)
    os.chdir(tempfile.mkdtemp())  # some packages write their logs into the present folder
    for package in arguments.package or PROGRAMS:
        row = asdict(measure(package, arguments.rounds)) if util.find_spec(package) else package
        print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", action="append", choices=PROGRAMS, help="may be given more than once")
    parser.add_argument("--threads", action="append", type=int, help="a number; 0 is torch's default")
    parser.add_argument("--rounds", type=int, default=3, help="how often a package trains in each way")
    parser.add_argument("--json", type=Path, help="a file to write the rows to")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        return work(arguments)
    rows, skipped = [], set()
    for threads in [0, 1] if arguments.threads is None else arguments.threads:
        command = [sys.executable, __file__, "--worker", str(threads), *sys.argv[1:]]
        output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in output.splitlines():
            if line.startswith("{"):
                rows.append(Row(**json.loads(line)))
            elif line.startswith('"'):
                skipped.add(json.loads(line))
    table = Table(title="A training step of published packages without and with patched()")
    for name in ("package", "model", "threads", "swapped", "difference", "torch ms", "pyrnn ms", "ratio"):
        table.add_column(name)
    for r in rows:
        numbers = f"{r.difference:.1e}", f"{r.torch_ms:.2f}", f"{r.pyrnn_ms:.2f}", f"{r.ratio:.2f}"
        table.add_row(f"{r.package} {r.version}", r.model, str(r.threads), r.swapped, *numbers)
    console = Console(width=140)
    console.print(table)
    if skipped:
        console.print(f"Not installed, and skipped: {', '.join(sorted(skipped))}.")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
