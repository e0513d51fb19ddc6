"""`pyrnn forecast` keeps its corrections small where the naive forecast is exact or a column is constant."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("safetensors")

import numpy as np

from pyrnn.demo.data import split
from pyrnn.forecast import Series, run, train
from pyrnn.train.scaling import Scale

ROWS = np.arange(400.0)
EXACT = {
    "tiles": np.tile([0.0, 1.0, 3.0, 2.0], 100),
    "constant": np.full(400, 2.0),
    "zero": np.zeros(400),
    "sine": np.sin(ROWS * 2 * np.pi / 8),
    "rounded": np.tile([0.1, 0.2, 0.30000000000000004, 0.4], 100) + 1e-17 * ROWS,
}
SIZES = pytest.mark.parametrize("size", [1e-100, 1e-6, 1.0, 1e6, 1e100])


@SIZES
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_naive_forecast_is_not_corrected(name: str, size: float) -> None:
    target = size * EXACT[name]
    series = Series(target, None, 8, 4)
    assert not series.is_learnable
    for part in (series.test, series.latest()):
        said = series.forecast(part, np.full(part.truth.shape, 0.1, np.float32))
        # The difference is the rounding of a sine of an argument of hundreds.
        np.testing.assert_allclose(said, part.reference, rtol=0, atol=1e-12 * np.abs(target).max())
    assert not series.targets(series.train).any()


@SIZES
def test_a_straight_line_is_forecast_to_go_on(size: float) -> None:
    series = Series(size * (0.1 * ROWS + 5), None, 8, 1, period=1)
    said = series.forecast(series.test, np.full(series.test.truth.shape, 0.1))
    assert not series.is_learnable
    np.testing.assert_allclose(said, series.test.truth, rtol=1e-12)


@SIZES
def test_corrections_have_the_size_of_what_the_naive_forecast_misses(size: float) -> None:
    noise = np.random.default_rng(0).standard_normal(400)
    series = Series(size * (EXACT["tiles"] + 0.01 * noise), None, 8, 4, period=4)
    assert series.is_learnable
    correction = series.forecast(series.test, np.ones(series.test.truth.shape)) - series.test.reference
    # A difference of two draws has the standard deviation sqrt(2), which 276 of them estimate to a tenth or so.
    assert correction.mean() == pytest.approx(size * 0.01 * np.sqrt(2), rel=0.2)
    inverse = series.forecast(series.test, series.targets(series.test))
    np.testing.assert_allclose(inverse, series.test.truth, rtol=0, atol=1e-6 * size)  # targets are float32


@SIZES
@pytest.mark.parametrize("later", [0.0, 1.0, 1e9])
def test_a_column_that_is_constant_in_training_says_nothing_later(later: float, size: float) -> None:
    feature = size * np.where(ROWS < 280, 0.1, 0.1 + later)
    series = Series(EXACT["tiles"] + np.sin(ROWS), feature, 8, 4)
    for part in (series.train, series.test):
        assert not part.inputs[..., 2].any()
        assert np.abs(part.inputs).max() < 10


def test_the_change_of_an_exact_series_says_nothing_when_it_breaks_off() -> None:
    series = Series(np.where(ROWS < 350, EXACT["rounded"], 7.0), None, 8, 4, period=4)
    assert not series.test.inputs[..., 1].any()
    said = series.forecast(series.test, np.full(series.test.truth.shape, 5.0))
    np.testing.assert_allclose(said, series.test.reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", EXACT)
def test_the_command_says_that_nothing_is_left_to_learn(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["load", *map(repr, EXACT[name].tolist())]) + "\n")
    run(path, "load", lookback=8, horizon=4, hidden=4, epochs=1, period=8, plot=tmp_path / "picture.png")
    printed = capsys.readouterr().out
    assert "The training part leaves nothing to learn" in printed
    assert "is exact on the test" in printed or "RMSE is" in printed


def test_training_on_an_exact_series_gives_the_naive_forecast() -> None:
    outcome = train(Series(0.001 * EXACT["tiles"], None, 8, 4), hidden=4, epochs=2, progress=False)
    assert outcome.scores["model"].rmse == 0
    np.testing.assert_array_equal(outcome.latest, 0.001 * EXACT["tiles"][:4])


@pytest.mark.parametrize(
    "temperatures", [np.full(2400, 3.0), np.tile(np.arange(24.0), 100)], ids=["constant", "daily"]
)
def test_the_demo_scales_by_no_zero(temperatures: np.ndarray) -> None:
    hours = np.arange("2013-01-01T00", 2400 + np.datetime64("2013-01-01T00"), dtype="datetime64[h]")
    for part in split(hours, temperatures):
        assert np.isfinite(part.inputs).all()
        assert not part.targets.any()
        np.testing.assert_array_equal(part.forecast(np.ones(part.truth.shape)), part.yesterday)


def test_a_scale_and_back_is_the_identity() -> None:
    values = np.random.default_rng(0).standard_normal((50, 3)) * [1e-9, 1.0, 1e9] + [1e-3, 0.0, 1e10]
    scale = Scale(values)
    np.testing.assert_allclose(scale.undo(scale.apply(values)), values, rtol=1e-14)
    np.testing.assert_allclose(scale.apply(values).std(axis=0), 1, rtol=1e-6)
