"""Defines the command `pyrnn demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .missing import naming_the_extra


def demo(
    output: Annotated[Path, typer.Option(help="The folder for pictures and weights.")] = Path("pyrnn-demo"),
    epochs: Annotated[int, typer.Option(min=1, help="The number of passes over the training data.")] = 15,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the weights and of the order of the batches.")] = 0,
) -> None:
    """Train a GRU to forecast temperatures.

    The GRU forecasts the next 24 hours. It is scored beside naive forecasts, saved, reloaded and compared with torch.
    Ctrl-C ends the training early; the demo goes on with the best weights so far.

    \b
    Examples:
      pyrnn demo
      pyrnn demo --epochs 5 --output /tmp/quick
    """
    with naming_the_extra("demo"):
        from pyrnn.demo import run

        run(output, epochs, seed)
