"""`pyrnn bench`, the whole command on tiny shapes: what it measures, what it prints and draws, what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch

import pyrnn
import pyrnn.torch
from pyrnn import _core, cli
from pyrnn.bench import drop_ins, layers, run, shapes
from pyrnn.bench.measure import Case, Row, compare, measure

CELLS = ("LSTM", "GRU", "RNN")
CASE = Case("training", "GRU", 4, 2, 3, 5)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shapes, of one sequence and of three, and one for the cells; three rounds a line."""
    monkeypatch.setattr(shapes, "SEQUENCES", {"inference": [(2, 1, 2, 3), (8, 3, 2, 3)], "training": [(8, 3, 2, 3)]})
    monkeypatch.setattr(shapes, "STEPS", [(1, 2, 2, 3)])
    monkeypatch.setattr(run, "QUICK", 0.0)


def bench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pyrnn", "bench", "--quick", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def lines_of(what: str) -> set[tuple[Any, ...]]:
    """Task, cell, T, B, dtype and whether packed, of the shapes above."""
    tasks = [("inference", 2, 1), ("inference", 8, 3), ("training", 8, 3)]
    if what == "numpy":
        return {(task, cell, T, B, "float32", False) for task, T, B in tasks for cell in CELLS}
    found = {
        (task, cell, T, B, dtype, packed)
        for task, T, B in tasks
        for cell in CELLS
        for dtype in ("float32", "float64")
        for packed in (False, True)
        if B > 1 or not packed
    }
    names = [(task, f"{cell}Cell") for task in ("inference", "training") for cell in CELLS]
    return found | {(*name, 1, 2, dtype, False) for name in names for dtype in ("float32", "float64")}


@pytest.mark.parametrize("what", ["numpy", "torch"])
def test_json_has_an_object_for_every_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert bench(monkeypatch, what, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = [tuple(row[name] for name in ("task", "cell", "steps", "batch", "dtype", "packed")) for row in rows]
    assert len(keys) == len(set(keys))
    assert set(keys) == lines_of(what)
    for row in rows:
        assert row["ratio"] == row["torch_us"] / row["pyrnn_us"]
        assert row["gflops"] > 0


def test_tables_end_with_means_and_the_least(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        Row(Case("inference", "GRU", 100, 1, 64, 64), pyrnn_us=1.0, torch_us=8.0),
        Row(Case("inference", "GRU", 100, 8, 64, 64, "float64", packed=True), pyrnn_us=2000.0, torch_us=1000.0),
    ]
    monkeypatch.setattr(run, "measure", lambda *given: iter(rows))
    assert bench(monkeypatch, "torch") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"pyrnn {pyrnn.__version__} ({_core.isa()}) beside torch {torch.__version__}, threads: 1"
    words = [line.split() for line in printed]
    assert ["GRU", "100,1,64,64", "float32", "1.0", "4915.2", "8.0", "8.00"] in words
    assert words[-2] == ["inference", "GRU", "2.00", "1", "of", "2", "0.50", "100,8,64,64", "float64", "packed"]


@pytest.mark.parametrize("what", ["numpy", "torch"])
def test_the_plot_is_a_picture_with_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str) -> None:
    path = tmp_path / "ratios.png"
    assert bench(monkeypatch, what, "--json", "--plot", str(path)) == 0
    colours = {tuple(pixel) for pixel in np.unique(matplotlib.image.imread(path)[..., :3].reshape(-1, 3), axis=0)}
    blue, orange = (tuple(np.float32(np.array(rgb) / 255)) for rgb in ((31, 119, 180), (255, 127, 14)))
    assert blue in colours
    assert (orange in colours) == (what == "torch")  # float64


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ratios.txt", "does not end as a picture that matplotlib can write: .eps"),
        ("none/ratios.png", "is not a folder; make it, or choose another with --plot."),
        ("denied.png", "cannot be written to; choose another file with --plot."),
    ],
)
def test_a_plot_that_cannot_be_written_is_said_before_measuring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, sentence: str
) -> None:
    # Patched because root, as in a container, may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: "denied" not in name)
    assert bench(monkeypatch, "--plot", str(tmp_path / name)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"pyrnn: {tmp_path}")
    assert sentence in printed.err


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_set_for_both_and_set_back(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    before, during = (_core.num_threads(), torch.get_num_threads()), set()
    contestants = drop_ins.contestants

    def watched(case: Case) -> Any:
        during.add((_core.num_threads(), torch.get_num_threads()))
        return contestants(case)

    monkeypatch.setattr(drop_ins, "contestants", watched)
    assert bench(monkeypatch, "torch", "--json", "--threads", str(threads)) == 0
    assert during == {(threads, threads)}
    assert (_core.num_threads(), torch.get_num_threads()) == before


def test_a_wrong_drop_in_is_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Wrong(torch.nn.GRU):
        def forward(self, *given: Any) -> Any:
            y, h = super().forward(*given)
            return y, h + 0.01

    monkeypatch.setattr(pyrnn.torch, "GRU", Wrong)
    before = _core.num_threads(), torch.get_num_threads()
    assert bench(monkeypatch, "torch", "--json") == 2
    printed = capsys.readouterr()
    assert '"GRU"' not in printed.out
    assert printed.err.startswith("pyrnn: inference GRU 2,1,2,3 float32: pyrnn and torch differ by ")
    assert (_core.num_threads(), torch.get_num_threads()) == before


@pytest.mark.parametrize(
    ("dtype", "change", "sentence"),
    [
        ("float32", lambda a: a + np.float32(1e-3), "differ by 1.0e-03, more than 1e-04"),
        ("float64", lambda a: a + 1e-8, "differ by 1.0e-08, more than 1e-10"),
        ("float32", lambda a: a * np.float32(np.nan), "differ by nan"),
        ("float32", lambda a: a[:1], r"pyrnn returned float32\[1, 3\], float32\[2\], torch float32\[2, 3\]"),
        ("float32", lambda a: a.astype(np.float64), "pyrnn returned float64"),
        ("float32", lambda a: (a, a), "pyrnn returned float32"),
    ],
)
def test_results_that_differ_are_refused(dtype: str, change: Callable[[Any], Any], sentence: str) -> None:
    values = np.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3), np.ones(2, dtype)
    theirs = torch.from_numpy(values[0]), [torch.from_numpy(values[1])]
    case = Case("training", "GRU", 4, 2, 3, 5, dtype)
    compare(values, theirs, case)
    with pytest.raises(RuntimeError, match=sentence):
        compare((change(values[0]), values[1]), theirs, case)


@pytest.mark.parametrize("cell", [*CELLS, *(f"{cell}Cell" for cell in CELLS)])
def test_training_returns_every_gradient(cell: str) -> None:
    case = Case("training", cell, 1 if cell.endswith("Cell") else 4, 2, 3, 5)
    states = (2 if cell == "LSTMCell" else 1) if cell.endswith("Cell") else 0
    for call in drop_ins.contestants(case):
        first = [gradient.clone() for gradient in call()[1]]
        second = call()[1]
        assert len(first) == 1 + states + 4
        assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))  # not added up
        assert all(gradient.any() for gradient in first)


def test_only_inference_is_measured_in_inference_mode() -> None:
    modes = []

    def call() -> torch.Tensor:
        modes.append(torch.is_inference_mode_enabled())
        return torch.ones(1)

    cases = Case("inference", "GRU", 4, 2, 3, 5), CASE
    assert [row.case for row in measure(cases, lambda case: (call, call), 0.0)] == list(cases)
    assert modes == [True] * 8 + [False] * 8  # compared, then three rounds, of two contestants


def test_lengths_of_packed_sequences() -> None:
    assert Case("training", "GRU", 100, 32, 3, 5).lengths().tolist() == [100] * 32
    lengths = Case("training", "GRU", 100, 1000, 3, 5, packed=True).lengths()
    assert (lengths.min(), lengths.max()) == (25, 100)
    assert lengths.tolist() != sorted(lengths, reverse=True)


def test_packed_work_is_counted_by_its_steps() -> None:
    packed = Case("training", "LSTMCell", 100, 8, 64, 128, packed=True)
    padded = Case("inference", "LSTMCell", 100, 8, 64, 128)
    # 4 gates of 128 units, each 64 + 128 multiply-adds; backward takes two products for one of forward.
    assert Row(padded, 1e3, 1e3).gflops == pytest.approx(2 * 4 * 128 * 192 * 800 / 1e6)
    assert Row(packed, 1e3, 1e3).gflops == pytest.approx(3 * 2 * 4 * 128 * 192 * packed.lengths().sum() / 1e6)


def test_layers_measure_what_torch_returns() -> None:
    for call in layers.contestants(CASE):
        (y, h), gradients = call()
        assert (y.shape, h.shape) == ((4, 2, 5), (1, 2, 5))
        assert [tuple(g.shape) for g in gradients] == [(4, 2, 3), (15, 3), (15, 5), (15,), (15,)]
