"""`pyrnn forecast`: the windows, the scores, and the command."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("typer")

import numpy as np
from sklearn.preprocessing import StandardScaler

import pyrnn
from pyrnn.cli import app as cli
from pyrnn.forecast import Part, Scores, Series, run, scores, train
from pyrnn.forecast.series import read_columns

PNG = b"\x89PNG\r\n\x1a\n"


# -- the windows -------------------------------------------------------------------------------------------


def wave(count: int = 600) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.sin(np.arange(count) * 2 * np.pi / 24) + 0.1 * random.standard_normal(count)


def test_no_part_sees_what_another_forecasts_and_scales_come_from_the_first() -> None:
    target, other = wave(), wave()[::-1].copy()
    series = Series(target, other, 12, 6)
    ends = [part.start[-1] + 6 for part in (series.train, series.validation, series.test)]
    assert ends == [420, 510, 600]
    assert (series.validation.start[0], series.test.start[0]) == (420, 510)
    later = np.arange(600) >= 420
    altered = Series(np.where(later, 99.0, target), np.where(later, -99.0, other), 12, 6)
    np.testing.assert_array_equal(altered.train.inputs, series.train.inputs)
    np.testing.assert_array_equal(altered.targets(altered.train), series.targets(series.train))
    assert altered.period == series.period


def test_a_window_holds_target_change_and_features_of_the_rows_before() -> None:
    target, other = wave(), np.arange(600.0)
    series = Series(target, other, 12, 6, period=24)
    columns = np.column_stack([target[24:], target[24:] - target[:-24], other[24:]])
    scaled = StandardScaler().fit(columns[: 420 - 24]).transform(columns)
    for part in (series.train, series.test):
        start = part.start[3]
        # 1e-5: the inputs are float32, and up to 3 in size.
        np.testing.assert_allclose(part.inputs[3], scaled[start - 24 - 12 : start - 24], atol=1e-5)
        np.testing.assert_array_equal(part.truth[3], target[start : start + 6])
        np.testing.assert_array_equal(part.past[3], target[start - 12 : start])
        np.testing.assert_array_equal(part.reference[3], target[start - 24 : start - 18])


def test_a_period_shorter_than_the_horizon_repeats() -> None:
    series = Series(wave(), None, 12, 30, period=24)
    start = series.test.start[0]
    expected = [series.target[start - 24 + k % 24] for k in range(30)]
    np.testing.assert_array_equal(series.test.reference[0], expected)


def test_targets_and_forecasts_are_each_others_inverse() -> None:
    series = Series(100 * wave(), None, 12, 6)
    for part in (series.train, series.test):
        # 1e-4: targets are float32 of values up to some hundred.
        np.testing.assert_allclose(series.forecast(part, series.targets(part)), part.truth, rtol=0, atol=1e-4)


def test_a_model_learns_what_the_naive_forecast_cannot_say() -> None:
    outcome = train(Series(np.arange(600.0) % 3, None, 4, 1, period=1), hidden=16, epochs=60, progress=False)
    assert outcome.scores["model"].rmse < 0.1 * outcome.scores["last value"].rmse
    assert outcome.scores["model"].direction == 1.0
    assert outcome.latest == pytest.approx([0.0], abs=0.2)  # a tenth of its last change, from 2 to 0


def test_a_perfect_forecast_scores_perfectly_and_zeros_have_no_mape() -> None:
    part = Series(wave(), None, 12, 6).test
    assert scores(part, part.truth) == Scores(0.0, 0.0, 0.0, 1.0, 1.0)
    flat = Part(part.start, part.inputs, part.past, part.reference, np.round(part.truth))
    assert scores(flat, flat.truth).mape is None


@pytest.mark.parametrize("count", [5, 60, 300])
def test_too_few_rows_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"^{count} rows are too few for a lookback of 48.*horizon of 50"):
        Series(wave(count), None, 48, 50)


# -- pyrnn forecast ----------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    rows = [f"{value!r},{k},word" for k, value in enumerate(wave(300).tolist())]
    path.write_text("\n".join(["load,hour,name", *rows]) + "\n")
    return path


def test_run_prints_one_json_object(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(table, "load", ["hour"], lookback=12, horizon=6, epochs=1, hidden=4, as_json=True, plot=table.parent / "p.png")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["target"], printed["rows"], printed["period"], len(printed["forecast"])) == ("load", 300, 24, 6)
    series = Series(wave(300), None, 12, 6)
    expected = scores(series.test, series.test.reference)
    assert printed["scores"]["24 rows before"] == pytest.approx(expected._asdict())
    assert (table.parent / "p.png").read_bytes().startswith(PNG)


def test_run_compares_the_model_with_the_best_naive_forecast(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(table, "load", lookback=12, horizon=6, epochs=1, hidden=4, cell="lstm")
    printed = capsys.readouterr().out
    assert re.search(r"RMSE is [\d.]+% (above|below) that of the best naive forecast, '24 rows before'\.", printed)
    assert "The next 6 rows: [" in printed


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("price", "has no column 'price'; it has 'load', 'hour', 'name'"),
        ("name", "has 300 cells that are not finite numbers, the first in row 1 of column 'name': 'word'"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(table: Path, name: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        read_columns(table, [name])


@pytest.mark.parametrize("text", ["", 'a,b\n1,2,3,4\n"'])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=r"x\.csv cannot be read as a CSV file: "):
        read_columns(tmp_path / "x.csv", ["a"])


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["forecast", *arguments])
    return int(ended.value.code or 0)


def test_the_forecast_command_passes_its_options_on(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = "--features hour --lookback 10 --horizon 5 --cell rnn --hidden 3 --epochs 2 --period 7 --seed 4 --json"
    assert command(str(table), "--target", "load", *options.split()) == 0
    printed = json.loads(capsys.readouterr().out)
    values = read_columns(table, ["load", "hour"])
    outcome = train(Series(values[:, 0], values[:, 1:], 10, 5, 7), "rnn", 3, 2, 4, progress=False)
    assert printed["forecast"] == outcome.latest.tolist()
    assert printed["scores"] == {name: row._asdict() for name, row in outcome.scores.items()}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--target", "price"], "has no column 'price'"),
        (["--target", "load", "--horizon", "100"], "300 rows are too few"),
        (["--target", "load", "--plot", "x.doc"], "does not end as a picture"),
        (["--target", "load", "--cell", "esn"], "'esn' is not one of"),
        ([], "Missing option '--target'"),
    ],
)
def test_a_wrong_call_ends_with_a_sentence_and_exit_code_2(
    table: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert command(str(table), *options) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert (printed.out, "Traceback" in printed.err) == ("", False)


def test_a_missing_file_and_a_missing_package_are_named(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(str(table.parent / "none.csv"), "--target", "load") == 2
    assert "No such file or directory" in capsys.readouterr().err
    for name in [name for name in sys.modules if name.startswith(("pyrnn.forecast", "sklearn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(pyrnn, "forecast", raising=False)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert command(str(table), "--target", "load") == 2
    assert re.fullmatch(r'pyrnn: .*sklearn.*: pip install "pyrnn-cpu\[forecast\]"\n', capsys.readouterr().err)


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help") == 0
    assert "    pyrnn forecast data.csv --target load\n" in capsys.readouterr().out
