"""benchmarks/compare_wheels.py computes ratios and a verdict, and compares pyrnn with itself."""

from __future__ import annotations

import importlib.util
import json
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def script() -> Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("compare_wheels", BENCHMARKS / "compare_wheels.py")
    assert spec
    assert spec.loader
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_the_ratio_of_a_row_is_the_median_of_its_rounds(script: Any) -> None:
    row = script.Row("x", [1.0, 4.0, 9.0], [2.0, 4.0, 3.0])
    assert row.ratios == [0.5, 1.0, 3.0]
    assert row.ratio == 1.0
    assert row.spread == 1.25  # the quartiles are 0.75 and 2


def run_of(script: Any, **ratios: float) -> list[Any]:
    return [script.Row(name, [ratio], [1.0]) for name, ratio in ratios.items()]


def test_a_row_slow_in_one_of_two_runs_is_doubtful_and_not_yet_slower(script: Any) -> None:
    runs = [run_of(script, a=0.9, b=1.1), run_of(script, a=1.0, b=1.1)]
    good, says = script.verdict(runs)
    assert good
    assert 'a is under 0.95: 0.900, 1.000. It is doubtful: settle it by --count "a".' in says
    assert says[-1] == "The new version is as fast as the old one."


def test_a_row_slow_in_both_runs_is_slower(script: Any) -> None:
    runs = [run_of(script, a=0.949, b=1.2), run_of(script, a=0.94, b=1.2)]
    good, says = script.verdict(runs)
    assert not good
    assert "a is under 0.95: 0.949, 0.940." in says


def test_a_small_loss_of_all_rows_is_slower(script: Any) -> None:
    good, says = script.verdict([run_of(script, a=0.98, b=0.99)] * 2)
    assert not good
    assert says[0] == "Run 1: the geometric mean is 0.9850, less than 0.99."


def test_one_run_settles_nothing_about_a_slow_row(script: Any) -> None:
    good, says = script.verdict([run_of(script, a=0.9, b=1.2)])
    assert not good
    assert says[-1] == "One run does not settle it."


def installed_wheel(folder: Path) -> Path:
    """Packs the installed pyrnn into a wheel."""
    package = distribution("pyrnn-cpu")
    tag = next(line for line in (package.read_text("WHEEL") or "").splitlines() if line.startswith("Tag: "))
    path = folder / f"pyrnn_cpu-{package.version}-{tag.removeprefix('Tag: ')}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file in package.files or []:
            if file.parts[0] != ".." and file.suffix != ".pyc":
                wheel.write(str(file.locate()), str(file))
    return path


def test_pyrnn_compared_with_itself_gives_a_row_and_a_verdict(
    script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = str(installed_wheel(tmp_path))
    few = ["--row", "stream GRU 8", "--row", "nn.Softmax", "--rounds", "1", "--runs", "1", "--seconds", "0.01"]
    status = script.main([wheel, wheel, *few, "--json", str(tmp_path / "times.json")])
    found = json.loads((tmp_path / "times.json").read_text())
    assert [row["name"] for row in found["runs"][0]] == ["stream GRU 8", "nn.Softmax"]
    for row in found["runs"][0]:
        assert len(row["old_us"]) == len(row["new_us"]) == 1
        assert 0.1 < row["ratio"] < 10
    assert found["good"] == (status == 0)
    assert "the geometric mean is" in capsys.readouterr().out
