"""`fit` shows its progress as a bar on a terminal, and as at most a dozen lines elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self


class Progress(Protocol):
    """A context that `fit` tells about every batch and every epoch."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def batch(self, done: float, loss: float) -> None:
        """Takes the number of epochs done, with fractions, and the loss of the last batch."""

    def epoch(self, epoch: int, losses: str) -> None:
        """Takes the number of the epoch that has ended, and its losses."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def batch(self, done: float, loss: float) -> None:
        pass

    def epoch(self, epoch: int, losses: str) -> None:
        pass


class Lines(Silent):
    """Prints a line for the first epoch, every tenth of the epochs, and the last one."""

    def __init__(self, epochs: int) -> None:
        self.epochs, self.every = epochs, -(-epochs // 10)
        self.waiting = ""

    def __exit__(self, *_: object) -> None:
        self._print(self.waiting)

    def epoch(self, epoch: int, losses: str) -> None:
        self.waiting = f"epoch {epoch}/{self.epochs}  {losses}"
        if epoch == 1 or epoch % self.every == 0:
            self._print(self.waiting)
            self.waiting = ""

    def _print(self, line: str) -> None:
        if line:
            print(line, file=sys.stderr, flush=True)


class Bar(Silent):
    """Draws one line over and over, with rich."""

    def __init__(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        text = "epoch {task.fields[epoch]}/{task.total:.0f}"
        self.bar = RichProgress(
            TextColumn(text),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.task = self.bar.add_task("", total=epochs, epoch=1)
        self.epochs, self.losses = epochs, ""

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def batch(self, done: float, loss: float) -> None:
        self.bar.update(self.task, completed=done, description=self.losses or f"loss {loss:.4g}")

    def epoch(self, epoch: int, losses: str) -> None:
        self.losses = losses
        self.bar.update(self.task, completed=epoch, description=losses, epoch=min(epoch + 1, self.epochs))


def progress_for(epochs: int, wanted: bool) -> Progress:
    """Returns a bar if standard error is a terminal and rich is installed, else lines; nothing if not wanted."""
    if not wanted:
        return Silent()
    if not sys.stderr.isatty():
        return Lines(epochs)
    try:
        return Bar(epochs)
    except ImportError:
        return Lines(epochs)
