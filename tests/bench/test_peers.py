"""In `python -m benchmarks` every peer gives pyrnn's results; a wrong or absent one is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")

import bench_tiny
import numpy as np

from benchmarks import peers, run
from benchmarks.case import Case
from benchmarks.grids import sequences, streaming
from benchmarks.measure import Contestant
from pyrnn.core.facts import GATES

CELLS = ("LSTM", "GRU", "RNN")


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in bench_tiny.CHANGES:
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize(
    ("grid", "names", "count"),
    [
        ("infer", ["torch", "onnxruntime", "openvino"], 6),
        ("train", ["torch", "jax"], 3),
        ("stream", ["onnxruntime", "torch"], 3),
    ],
)
def test_every_peer_agrees_and_is_timed(grid: str, names: list[str], count: int) -> None:
    # This runs in a process of its own, because JAX and OpenVINO leave threads behind and later tests fork.
    command = [sys.executable, "-W", "error", str(Path(bench_tiny.__file__)), grid]
    clone = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=clone)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == count
    for row in rows:
        assert list(row["versions"]) == names
        assert row["missing"] == []
        assert all(row[f"{name}_us"] > 0 for name in names)


@contextmanager
def wrong(task: str, threads: int) -> Iterator[Any]:
    """A peer whose last result, which is a gradient in training, is off by a thousandth."""

    def contestant(case: Case, weights: Any) -> Contestant:
        layer = getattr(sequences.layers, case.cell)(case.input, case.hidden)
        layer.load_state_dict(weights)
        right = (streaming if task == "streaming" else sequences).contestant(case, layer)

        def results(result: Any) -> list[Any]:
            arrays = list(right.results(result))
            return [*arrays[:-1], arrays[-1] + np.float32(1e-3)]

        return Contestant(right.call, results)

    yield contestant


@pytest.mark.parametrize("grid", ["infer", "train", "stream"])
def test_a_wrong_peer_is_named_and_nothing_is_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], grid: str
) -> None:
    for task in peers.PEERS:
        monkeypatch.setitem(peers.PEERS, task, ("torch",))
    monkeypatch.setattr("benchmarks.peers.torch.started", wrong)
    with pytest.raises(RuntimeError, match=r"LSTM .* float32: pyrnn and torch differ by .*e-0[34], more than 1e-04"):
        run.run(grid, quick=True, json=True)
    assert capsys.readouterr().out == ""


def test_a_peer_that_is_not_installed_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "benchmarks.peers.openvino", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    run.run("infer", quick=True, cell="GRU")
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].endswith("threads: 1; not installed: openvino")
    assert "openvino µs" not in printed


def test_without_any_peer_pyrnn_stands_beside_the_roofline(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(peers.PEERS, "inference", ())
    run.run("infer", quick=True, json=True, cell="RNN")
    run.run("infer", quick=True, cell="RNN")
    lines = capsys.readouterr().out.splitlines()
    for line in lines[:2]:
        row = json.loads(line)
        assert row["ratio"] is None
        assert row["roofline"] == row["bound_us"] / row["pyrnn_us"] > 0
    assert any(line.split()[:2] == ["RNN", "2,1,2,3"] and line.split()[-2] == "-" for line in lines)


def test_a_fault_of_a_peers_own_file_is_not_taken_for_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peers.PEERS, "inference", ("nothing",))
    with pytest.raises(ModuleNotFoundError, match=r"benchmarks\.peers\.nothing"), peers.started("inference", 1):
        pass


@pytest.mark.parametrize("cell", CELLS)
def test_training_results_are_outputs_states_and_all_gradients(cell: str) -> None:
    case = Case("training", cell, 4, 2, 3, 5)
    layer = getattr(sequences.layers, cell)(3, 5, seed=0)
    found = sequences.contestant(case, layer)
    shapes = [list(array.shape) for array in found.results(found.call())]
    states, gates = (2 if cell == "LSTM" else 1), len(GATES[cell]) * 5
    assert shapes == [[4, 2, 5], *[[1, 2, 5]] * states, [4, 2, 3], *[[1, 2, 5]] * states,
                      [gates, 3], [gates, 5], [gates], [gates]]  # fmt: skip
