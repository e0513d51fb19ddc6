"""History is the record of a training run, and draws it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


@dataclass
class History:
    """The record of a training run, as `fit` returns it; epoch n is item n - 1 of every list.

    Attributes:
        train_loss: mean over the epoch's sequences, measured while the weights were changing.
        validation_loss: mean over the validation sequences at the end of the epoch; empty without validation.
        lr: learning rate used in the epoch.
        seconds: wall time of the epoch, validation included.
        best_epoch: the epoch, counted from 1, whose weights the model has; 0 if none was finished.
        stopped: the reason for the end: all "epochs" done, "patience" ran out, or "interrupted" by Ctrl-C.

    Example:
        >>> history = History(train_loss=[0.5, 0.2, 0.3], best_epoch=2)
        >>> history.best_loss
        0.2
    """

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped: Literal["epochs", "patience", "interrupted"] = "epochs"

    @property
    def monitored(self) -> list[float]:
        """The loss that decides which epoch is best: the validation loss, or without validation the training loss."""
        return self.validation_loss or self.train_loss

    @property
    def best_loss(self) -> float:
        """The monitored loss of the best epoch; nan if no epoch was finished."""
        return self.monitored[self.best_epoch - 1] if self.best_epoch else math.nan

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draws the loss of every epoch and marks the best; it needs no display.

        Args:
            path: the file to write, whose suffix names the format; None writes no file.

        Returns:
            The matplotlib figure, which the caller may change or show.

        Raises:
            ImportError: if matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.ticker import MaxNLocator
        except ImportError as error:
            raise ImportError('History.plot needs matplotlib: pip install "pyrnn-cpu[plot]"') from error
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        _curves(axes, self)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        if self.train_loss:
            axes.legend(frameon=False)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def _curves(axes: Any, history: History) -> None:
    curves = {"training": history.train_loss, "validation": history.validation_loss}
    for label, losses in curves.items():
        if losses:
            marker = "." if len(losses) <= 30 else ""
            axes.plot(range(1, len(losses) + 1), losses, label=label, marker=marker)
    if history.best_epoch:
        label = f"best: {history.best_loss:.4g} in epoch {history.best_epoch}"
        axes.axvline(history.best_epoch, color="0.8", linewidth=1, zorder=0)
        ring = {"marker": "o", "markerfacecolor": "none", "markeredgecolor": "black", "markersize": 9}
        axes.plot(history.best_epoch, history.best_loss, linestyle="", label=label, **ring)
    shown = [loss for losses in curves.values() for loss in losses]
    # If the loss falls to less than a tenth, a linear axis would show the later epochs as a flat line.
    if shown and min(shown) > 0 and max(shown) > 10 * min(shown):
        axes.set_yscale("log")
