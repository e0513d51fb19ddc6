"""`python -m benchmarks` measures tiny shapes beside torch, prints and draws the ratios, and refuses wrong results."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("typer")

import bench_tiny
import matplotlib.image
import numpy as np
import torch

import pyrnn
import pyrnn.torch
from benchmarks import __main__ as cli
from benchmarks import peers
from benchmarks.case import Case
from benchmarks.grids import drop_ins, sequences
from benchmarks.measure import Contestant, Row, best_in_turn, compare, on_one_thread, turn
from pyrnn import _core

CELLS = ("LSTM", "GRU", "RNN")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrinks the grids to sequences of batch 1 and 3 and one shape for cells, three rounds a line, torch alone."""
    for module, name, value in bench_tiny.CHANGES:
        monkeypatch.setattr(module, name, value)
    for task in peers.PEERS:
        monkeypatch.setitem(peers.PEERS, task, ("torch",))


def bench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--quick", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def lines_of(what: str) -> set[tuple[Any, ...]]:
    """Task, cell, T, B, dtype and whether packed, for each shape of the fixture `tiny`."""
    tasks = [("inference", 2, 1), ("inference", 8, 3), ("training", 8, 3)]
    if what != "torch":
        task = {"infer": "inference", "train": "training"}[what]
        return {(name, cell, T, B, "float32", False) for name, T, B in tasks for cell in CELLS if name == task}
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


@pytest.mark.parametrize("what", ["infer", "train", "torch"])
def test_json_has_an_object_for_every_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    assert bench(monkeypatch, what, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = [tuple(row[name] for name in ("task", "cell", "steps", "batch", "dtype", "packed")) for row in rows]
    assert len(keys) == len(set(keys))
    assert set(keys) == lines_of(what)
    for row in rows:
        assert row["ratio"] == row["ratio_torch"] == row["torch_us"] / row["pyrnn_us"]
        assert row["gflops"] > 0
        assert (row["grid"], row["threads"], row["best_peer"]) == (what, 1, "torch")
        assert (row["roofline"] is None) == (what == "torch")


def test_tables_end_with_means_and_the_least(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {
        (100, 1): Row(Case("inference", "GRU", 100, 1, 64, 64), {"pyrnn": 1.0, "torch": 8.0, "jax": 16.0}, 0.5),
        (100, 8): Row(
            Case("inference", "GRU", 100, 8, 64, 64), {"pyrnn": 2000.0, "torch": 4000.0, "jax": 1000.0}, 40.0
        ),
    }
    monkeypatch.setattr(bench_tiny.shapes, "SEQUENCES", {"inference": [(100, 1, 64, 64), (100, 8, 64, 64)]})
    monkeypatch.setattr(sequences, "measure", lambda case, *given: rows[case.steps, case.batch])
    assert bench(monkeypatch, "infer", "--cell", "GRU") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        f"infer: pyrnn {pyrnn.__version__} ({_core.isa()}) beside torch {torch.__version__}, threads: 1"
    )
    words = [line.split() for line in printed]
    assert ["GRU", "100,1,64,64", "1.00", "4915.2", "8.00", "16.0", "8.00", "50%"] in words
    assert ["GRU", "100,8,64,64", "2,000", "19.7", "4,000", "1,000", "0.50", "2%"] in words
    means = [
        "2.00",
        "1",
        "of",
        "2",
        "0.50",
        "GRU",
        "100,8,64,64",
        "float32",
        "4.00",
        "2.83",
    ]  # sqrt(8 * 2), sqrt(16 / 2)
    assert ["inference", "GRU", *means] in words
    assert words[-2] == ["all", *means]


@pytest.mark.parametrize("what", ["infer", "train", "torch"])
def test_the_plot_is_a_picture_with_marks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str) -> None:
    path = tmp_path / "ratios.png"
    assert bench(monkeypatch, what, "--json", "--plot", str(path)) == 0
    colours = {tuple(pixel) for pixel in np.unique(matplotlib.image.imread(path)[..., :3].reshape(-1, 3), axis=0)}
    blue, orange = (tuple(np.float32(np.array(rgb) / 255)) for rgb in ((31, 119, 180), (255, 127, 14)))
    assert orange in colours  # torch, or its float64
    assert (blue in colours) == (what == "torch")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ratios.txt", "does not end as a picture that matplotlib can write: .eps"),
        ("none/ratios.png", "is not a folder; make it, or choose another with --plot."),
        ("denied.png", "cannot be written to; choose another file with --plot."),
    ],
)
def test_a_plot_that_cannot_be_written_is_refused_before_measuring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, sentence: str
) -> None:
    # Patched because root, as in a container, may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: "denied" not in name)
    assert bench(monkeypatch, "--plot", str(tmp_path / name)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"python -m benchmarks: {tmp_path}")
    assert sentence in printed.err


@pytest.mark.parametrize("what", ["infer", "torch"])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_cpus_are_set_for_all_and_set_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str, threads: int
) -> None:
    def now() -> tuple[int, int, frozenset[int]]:
        return _core.num_threads(), torch.get_num_threads(), frozenset(os.sched_getaffinity(0))

    before, during, grid = now(), set(), sequences if what == "infer" else drop_ins
    measure = grid.measure

    def watched(*given: Any) -> Any:
        during.add(now())
        return measure(*given)

    monkeypatch.setattr(grid, "measure", watched)
    assert bench(monkeypatch, what, "--json", "--threads", str(threads)) == 0
    assert during == {(threads, threads, frozenset(sorted(before[2])[:threads]))}
    assert now() == before
    for row in map(json.loads, capsys.readouterr().out.splitlines()):
        assert row["threads"] == threads
        assert (row["scaling"] is None) == (threads == 1 or what == "torch")


def test_a_call_is_also_timed_on_one_thread_for_its_scaling() -> None:
    before, seen = _core.num_threads(), []
    _core.set_num_threads(2)
    try:
        assert on_one_thread(lambda: seen.append(_core.num_threads()) or 0.5)() == 0.5
        assert (seen, _core.num_threads()) == ([1], 2)
    finally:
        _core.set_num_threads(before)
    row = Row(Case("inference", "GRU", 4, 2, 3, 5), {"pyrnn": 2.0}, one_thread_us=3.0)
    assert row.record()["scaling"] == 1.5


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
    assert printed.err.startswith("python -m benchmarks: inference GRU 2,1,2,3 float32: pyrnn and torch differ by ")
    assert (_core.num_threads(), torch.get_num_threads()) == before


@pytest.mark.parametrize(
    ("dtype", "change", "sentence"),
    [
        ("float32", lambda a: a + np.float32(1e-3), "differ by 1.0e-03, more than 1e-04"),
        ("float64", lambda a: a + 1e-8, "differ by 1.0e-08, more than 1e-10"),
        ("float32", lambda a: a * np.float32(np.nan), "differ by nan"),
        ("float32", lambda a: a[:1], r"pyrnn returned float32\[2, 3\], float32\[2\], jax float32\[1, 3\]"),
        ("float32", lambda a: a.astype(np.float64), "jax float64"),
        ("float32", lambda a: (a, a), "jax float32"),
    ],
)
def test_results_that_differ_are_refused(dtype: str, change: Callable[[Any], Any], sentence: str) -> None:
    values = np.linspace(-1, 1, 6, dtype=dtype).reshape(2, 3), np.ones(2, dtype)
    case = Case("training", "GRU", 4, 2, 3, 5, dtype)
    compare(case, {"pyrnn": values, "torch": values, "jax": values})
    changed = change(values[0])
    theirs = [*(changed if isinstance(changed, tuple) else [changed]), values[1]]
    with pytest.raises(RuntimeError, match=sentence):
        compare(case, {"pyrnn": values, "torch": values, "jax": theirs})


@pytest.mark.parametrize("cell", [*CELLS, *(f"{cell}Cell" for cell in CELLS)])
def test_training_returns_every_gradient(cell: str) -> None:
    case = Case("training", cell, 1 if cell.endswith("Cell") else 4, 2, 3, 5)
    for contestant in drop_ins.contestants(case).values():
        first = [gradient.clone() for gradient in contestant.call()[1]]
        second = contestant.call()[1]
        assert len(first) == 1 + (len(case.state()) if cell.endswith("Cell") else 0) + 4
        assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))  # not added up
        assert all(gradient.any() for gradient in first)


def test_only_inference_is_measured_in_inference_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: dict[str, set[bool]] = {"inference": set(), "training": set()}

    def contestants(case: Case) -> dict[str, Contestant]:
        def call() -> None:
            modes[case.task].add(torch.is_inference_mode_enabled())

        return {name: Contestant(call, lambda result: []) for name in ("pyrnn", "torch")}

    monkeypatch.setattr(drop_ins, "contestants", contestants)
    assert bench(monkeypatch, "torch", "--json") == 0
    assert modes == {"inference": {True}, "training": {False}}


def test_contestants_take_turns_and_their_best_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    times = iter([4.0, 30.0, 5.0, 10.0, 6.0, 20.0])

    def one(name: str) -> Callable[[], float]:
        return lambda: order.append(name) or next(times)

    assert best_in_turn({"a": one("a"), "b": one("b")}, seconds=0.0) == {"a": 4e6, "b": 10e6}
    assert order == ["a", "b"] * 3
    clock = iter([0.0, 0.0, 0.0003, 0.0003, 0.0005])  # its start; then before and after each of two calls
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    monkeypatch.setattr(_core, "num_threads", lambda: 1)
    monkeypatch.setattr("benchmarks.measure.TURN", 0.0005)
    assert turn(lambda: None)() == pytest.approx(0.0002)


def test_lengths_of_packed_sequences_reach_from_a_quarter_to_the_whole() -> None:
    assert Case("training", "GRU", 100, 32, 3, 5).lengths().tolist() == [100] * 32
    lengths = Case("training", "GRU", 100, 1000, 3, 5, packed=True).lengths()
    assert (lengths.min(), lengths.max()) == (25, 100)
    assert lengths.tolist() != sorted(lengths, reverse=True)


def test_packed_work_is_counted_by_its_steps() -> None:
    packed = Case("training", "LSTMCell", 100, 8, 64, 128, packed=True)
    padded = Case("inference", "LSTMCell", 100, 8, 64, 128)
    # 4 gates of 128 units take 64 + 128 multiply-adds each; backward takes two products for one of forward.
    assert Row(padded, {"pyrnn": 1e3}).gflops == pytest.approx(2 * 4 * 128 * 192 * 800 / 1e6)
    assert Row(packed, {"pyrnn": 1e3}).gflops == pytest.approx(3 * 2 * 4 * 128 * 192 * packed.lengths().sum() / 1e6)
