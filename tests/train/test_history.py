"""A run prints lines or a bar while it goes on, and its history can be plotted."""

from __future__ import annotations

import builtins
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linear import Linear, in_batches, problem, settled

from pyrnn.train import History

PNG = b"\x89PNG\r\n\x1a\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Makes imports of the package fail, as if it were not installed."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.parametrize("epochs", [1, 3, 10, 57, 1000])
def test_off_a_terminal_a_run_prints_a_dozen_lines_at_most(epochs: int, capsys: pytest.CaptureFixture[str]) -> None:
    settled(epochs=epochs, progress=True, batch_size=48)(Linear(), problem(), validation=problem(seed=1))
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert len(lines) <= min(epochs, 12)
    assert re.fullmatch(rf"epoch 1/{epochs}  loss [\d.]+  validation [\d.]+", lines[0])
    assert lines[-1].startswith(f"epoch {epochs}/{epochs}  ")


def test_without_progress_fit_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    settled()(Linear(), problem())
    assert capsys.readouterr() == ("", "")


@pytest.mark.rich
@pytest.mark.parametrize("ready_made", [False, True])
def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, ready_made: bool) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    data = (batch for batch in in_batches(*problem())) if ready_made else problem()
    settled(epochs=1 if ready_made else 3, progress=True)(Linear(), data)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "━" in shown
    assert ("epoch 1/1" if ready_made else "epoch 3/3") in shown
    assert "\x1b[?25h" in shown  # the cursor is visible again


def test_without_rich_a_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    hide(monkeypatch, "rich")
    settled(epochs=3, progress=True)(Linear(), problem())
    assert [line[:9] for line in sys.stderr.getvalue().splitlines()] == [  # type: ignore[attr-defined]
        "epoch 1/3",
        "epoch 2/3",
        "epoch 3/3",
    ]


@pytest.mark.matplotlib
def test_the_plot_shows_both_curves_and_the_best_epoch(tmp_path: Path) -> None:
    losses = [3.0, 1.0, 0.2, 0.1]
    history = History(train_loss=losses, validation_loss=[4.0, 2.0, 0.5, 0.9], lr=[0.1] * 4, best_epoch=3)
    figure = history.plot(tmp_path / "loss.png")
    (axes,) = figure.axes
    training, validation, _, best = axes.get_lines()
    np.testing.assert_array_equal(training.get_xydata(), np.c_[1:5, losses])
    np.testing.assert_array_equal(validation.get_ydata(), history.validation_loss)
    np.testing.assert_array_equal(best.get_xydata(), [[3, 0.5]])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("epoch", "loss", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "training",
        "validation",
        "best: 0.5 in epoch 3",
    ]
    picture = (tmp_path / "loss.png").read_bytes()
    assert picture.startswith(PNG)
    assert len(picture) > 10_000


@pytest.mark.matplotlib
@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 0.9, 0.8], [1.0, 0.0], [5.0, -1.0]], ids=str)
def test_the_plot_stays_linear_where_losses_are_few_close_or_not_positive(losses: list[float], tmp_path: Path) -> None:
    history = History(train_loss=losses, lr=[0.1] * len(losses), best_epoch=len(losses))
    figure = history.plot(tmp_path / "loss.png")
    assert figure.axes[0].get_yscale() == "linear"
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)


def test_without_matplotlib_the_plot_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "matplotlib")
    with pytest.raises(ImportError, match=re.escape('pip install "pyrnn-cpu[plot]"')):
        History().plot()
