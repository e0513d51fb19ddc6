"""The grids stream, quantize, load and growth give right rows, and the roofline bounds them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("rich")

import bench_tiny
import matplotlib.image
import numpy as np

import pyrnn
from benchmarks import peers, roofline, run
from benchmarks.case import Case
from benchmarks.grids import cold_start, growth, streaming
from benchmarks.grids.growth import Series, fitted
from pyrnn import _core


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in bench_tiny.CHANGES:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setitem(peers.PEERS, "streaming", ("onnxruntime",))


@pytest.mark.parametrize(("grid", "count"), [("stream", 3), ("quantize", 6), ("growth", 12)])
def test_a_grid_writes_its_rows_as_json_and_draws_a_picture(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, grid: str, count: int
) -> None:
    path = tmp_path / "grid.png"
    run.run(grid, quick=True, json=True, plot=path)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == count
    assert {row["grid"] for row in rows} == {grid}
    blank = (matplotlib.image.imread(path)[..., :3] == 1).all(axis=-1).mean()
    assert 0.5 < blank < 0.99  # something is drawn


def test_the_quantize_grid_gives_ratios_and_noise(capsys: pytest.CaptureFixture[str]) -> None:
    run.run("quantize", quick=True, json=True, cell="GRU")
    for row in map(json.loads, capsys.readouterr().out.splitlines()):
        assert row["ratio_int8"] == row["float32_us"] / row["int8_us"]
        assert row["snr_db_bf16"] > row["snr_db_int8"] > 20
    run.run("quantize", quick=True, cell="RNN")
    assert "stream.step" in capsys.readouterr().out


# -- stream ------------------------------------------------------------------------------------------------


def test_the_stream_grid_gives_pythons_overhead_and_scales_rtneural(capsys: pytest.CaptureFixture[str]) -> None:
    run.run("stream", quick=True, json=True, cell="GRU")
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["python_overhead_us"] == row["Python_us"] - row["C++_us"] > 0
    assert row["rtneural_us"] == streaming.RTNEURAL["GRU"][8]
    assert row["rtneural_scaled_us"] == pytest.approx(row["rtneural_us"] * 112 / row["l2_gbytes"])
    assert row["ratio_rtneural"] == pytest.approx(row["rtneural_scaled_us"] / row["C++_us"])
    run.run("stream", quick=True, cell="RNN")
    assert capsys.readouterr().out.splitlines()[-2].split()[-3:] == ["-", "-", "-"]  # RTNeural has no plain RNN


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_seconds_of_steps_over_the_inputs_again_and_again(steps: int) -> None:
    layer = pyrnn.LSTM(3, 5, seed=0)
    x = np.random.default_rng(0).standard_normal((3, 2, 3), np.float32)
    timed, called = layer.stream(batch=2), layer.stream(batch=2)
    out = np.zeros((2, 5), np.float32)
    assert timed._stream.seconds_of(x, out, steps) >= 0
    for step in range(steps):
        assert (called.step(x[step % 3]) == out).all() == (step == steps - 1)
    assert all((one == other).all() for one, other in zip(timed.state, called.state, strict=True))


@pytest.mark.parametrize(
    ("x", "out", "sentence"),
    [
        ((0, 2, 3), (2, 5), r"expected inputs of shape \(\*, 2, 3\), got \(0, 2, 3\)"),
        ((4, 1, 3), (2, 5), r"expected inputs of shape \(\*, 2, 3\), got \(4, 1, 3\)"),
        ((2, 3), (2, 5), r"expected inputs of shape \(\*, 2, 3\), got \(2, 3\)"),
        ((4, 2, 3), (1, 5), r"out should be a writable, contiguous array of float32 of shape \(2, 5\)"),
    ],
)
def test_seconds_of_refuses_wrong_shapes(x: tuple[int, ...], out: tuple[int, ...], sentence: str) -> None:
    stream = pyrnn.LSTM(3, 5).stream(batch=2)._stream
    with pytest.raises(ValueError, match=sentence):
        stream.seconds_of(np.zeros(x, np.float32), np.zeros(out, np.float32), 1)


# -- load --------------------------------------------------------------------------------------------------

ONLY = {name: cold_start.PROGRAMS[name] for name in ("pyrnn", "onnxruntime", "numpy alone")}


def test_the_load_grid_starts_fresh_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(cold_start, "PROGRAMS", {**ONLY, "no_such_package": ("model.pt", "")})
    run.run("load", quick=True, plot=tmp_path / "starts.png")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("not installed: no_such_package")
    words = [line.split() for line in lines]
    ours = next(row for row in words if row[:2] == ["pyrnn", "model.pt"])
    assert (ours[3], ours[5]) == ("1.0", "1.0")
    assert 5 < float(ours[4]) < 200  # MB, of a process with NumPy in it; this one with torch holds more
    assert (tmp_path / "starts.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        (ONLY["pyrnn"][1] + " + 0.01", "onnxruntime differs by 1.0e-02 from pyrnn on a 2-layer LSTM"),
        ("raise ValueError('broken')", "onnxruntime could not run the model: ValueError: broken"),
    ],
)
def test_the_load_grid_refuses_wrong_outputs_and_failing_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, sentence: str
) -> None:
    monkeypatch.setattr(cold_start, "PROGRAMS", {"onnxruntime": ("model.pt", program)})
    with pytest.raises(RuntimeError, match=sentence):
        list(cold_start.measured(tmp_path, ["onnxruntime"], 1, 1))


# -- growth ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("powers", "law"),
    [((1, 0), lambda x: 3 * x + 5), ((2, 1, 0), lambda x: 2 * x * x + 3 * x + 700), ((2, 1, 0), lambda x: 4 * x * x)],
)
def test_a_fit_recovers_the_law_of_its_numbers(powers: tuple[int, ...], law: object) -> None:
    sizes = [1, 2, 8, 30, 100, 512]
    us = [float(law(size)) for size in sizes]  # type: ignore[operator]
    assert fitted(sizes, us, powers) == pytest.approx(us, rel=1e-9)  # float64, six equations


def test_a_fitted_law_never_falls() -> None:
    assert len(set(fitted([1, 2, 3], [3.0, 2.0, 1.0], (1, 0)))) == 1


def test_a_cliff_is_marked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    times = {size: 1e-6 * size * (2 if size >= 4 else 1) for size in (1, 2, 4, 8)}
    monkeypatch.setattr(growth, "AXES", {"T": list(times)})
    monkeypatch.setattr(growth, "BASES", {"T": [(0, 1, 3, 1)]})
    monkeypatch.setattr(growth, "best_in_turn", lambda turns, seconds: {size: times[size] * 1e6 for size in turns})
    run.run("growth", quick=True, json=True, plot=tmp_path / "cliff.png")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row in rows:
        assert (row["step_at"], row["cliff"]) == (4, True)
        assert 1.3 < row["step"] <= 2  # the law takes its share of the jump
    pixels = matplotlib.image.imread(tmp_path / "cliff.png")[..., :3].reshape(-1, 3)
    assert (pixels == (1, 0, 0)).all(axis=1).any()


def test_steps_are_counted_over_the_law() -> None:
    smooth = Series("training", "GRU", "H", "", [8, 16, 32], [1.0, 4.0, 16.0], [1.1, 4.4, 17.6])
    assert smooth.step == (pytest.approx(1), 16)
    assert not smooth.record()["cliff"]


# -- the roofline ------------------------------------------------------------------------------------------


class Known(roofline.Machine):
    """A machine of 100 GFLOP/s that reads 10 GB/s from anything over 100 kB, else 50."""

    def __init__(self) -> None:
        self.threads, self.gflops = 1, 100.0

    def gbytes(self, size: int) -> float:
        return 10.0 if size > 100_000 else 50.0


@pytest.mark.parametrize(
    ("shape", "us"),
    [
        # GRU, I=H=64: 3 * 64 * 64 * 4 = 49152 bytes and 24576 operations a row in each of W_ih and W_hh.
        ((10, 1, 64, 64), 10 * 24576 / 1e5 + 10 * 49152 / 5e4),  # W_ih x at the peak, ten reads of W_hh
        ((1, 1, 64, 64), 2 * 49152 / 5e4),  # both are read
        ((10, 64, 64, 64), 2 * 640 * 24576 / 1e5),  # multiply-adds alone
        # I=H=128: four times as large, out of slower memory.
        ((10, 1, 128, 128), max(10 * 98304 / 1e5, 196608 / 1e4) + 10 * 196608 / 1e4),
    ],
)
def test_the_bound_of_a_case_is_that_of_its_operations_and_bytes(shape: tuple[int, int, int, int], us: float) -> None:
    forward = Known().bound_us(Case("inference", "GRU", *shape))
    assert forward == pytest.approx(us)
    training = Case("training", "GRU", *shape)
    assert Known().bound_us(training) == pytest.approx(2 * us + training.flops / 3 / 1e5)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_machine_lists_its_levels_and_reads_no_small_array_slower(threads: int) -> None:
    machine = roofline.Machine(threads, seconds=0.001)
    assert list(machine.levels()) == ["L1", "L2", "L3", "memory"]
    machine._read[1 << 20] = 1e9  # as if the measurements of the smaller arrays had been disturbed
    assert machine.gbytes(threads * 5000) == 1e9


def test_unknown_cache_sizes_take_their_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("os.sysconf_names", {})
    assert roofline.cache_sizes() == roofline.DEFAULT_CACHES
    monkeypatch.setattr("os.sysconf_names", {"SC_LEVEL2_CACHE_SIZE": 1})
    monkeypatch.setattr("os.sysconf", lambda name: 0)  # the answer of some virtual machines
    assert roofline.cache_sizes() == roofline.DEFAULT_CACHES


def test_probes_give_rates_and_refuse_small_arrays() -> None:
    assert all(0 < rate < math.inf for rate in (_core.fma_gflops(0.001), _core.read_gbytes(4096, 0.001)))
    with pytest.raises(ValueError, match="expected at least 4096 bytes, got 4095"):
        _core.read_gbytes(4095)
