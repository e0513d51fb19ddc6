"""The command `pyrnn`: its commands, and errors as sentences. Only this file needs typer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

try:
    import typer
except ImportError:
    print('The pyrnn command needs typer: pip install "pyrnn-cpu[cli]".', file=sys.stderr)
    raise SystemExit(2) from None

# \b keeps the lines that follow as they are.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Recurrent layers on NumPy arrays: a demonstration, benchmarks, and what was built.

    \b
    Examples:
      pyrnn demo                     train a forecaster, check it, save it: under a minute
      pyrnn bench --quick            pyrnn beside torch on this machine
      pyrnn config                   instruction set, threads and versions, for bug reports
    """,
)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for pictures and weights.")] = Path("pyrnn-demo"),
    epochs: Annotated[int, typer.Option(min=1, help="How often to go over the training data.")] = 15,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and the order of the batches.")] = 0,
) -> None:
    """Train a GRU to forecast temperatures.

    It forecasts the next 24 hours, is scored beside naive forecasts, saved, reloaded and compared with torch.
    Ctrl-C ends the training early and goes on with the best weights so far.

    \b
    Examples:
      pyrnn demo
      pyrnn demo --epochs 5 --output /tmp/quick
    """
    try:
        from .demo import run

        run(output, epochs, seed)
    except ImportError as error:
        raise _missing("demo", error) from error


class What(StrEnum):
    """What `pyrnn bench` measures beside torch.nn."""

    numpy = "numpy"
    torch = "torch"


@app.command()
def bench(
    what: Annotated[
        What, typer.Argument(help="The layers on NumPy arrays, or the modules of pyrnn.torch.")
    ] = What.numpy,
    quick: Annotated[bool, typer.Option("--quick", help="Less time a line.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, an object a line, instead of tables.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Of pyrnn and of torch.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw the ratios into this file, such as ratios.png.")] = None,
) -> None:
    """Time pyrnn beside torch on this machine.

    Outputs and gradients are compared first; then the two are called in turn, and the best time of each counts.

    \b
    Examples:
      pyrnn bench --quick                           layers on NumPy arrays: half a minute
      pyrnn bench torch --quick --plot ratios.png   the drop-ins for torch.nn: two minutes
      pyrnn bench --json > times.json
    """
    try:
        from .bench.run import run

        run(what.value, quick, json, threads, plot)
    except ImportError as error:
        raise _missing("bench", error) from error


@app.command()
def accuracy() -> None:
    """Print how far pyrnn and torch are from float64."""
    try:
        from .accuracy import run

        run()
    except ImportError as error:
        raise _missing("bench", error) from error


@app.command()
def config() -> None:
    """Print what was built, for bug reports."""
    from .config import show_config

    show_config()


def _missing(command: str, error: ImportError) -> ImportError:
    return ImportError(f'pyrnn {command} needs {error.name or error}: pip install "pyrnn-cpu[{command}]"')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, by default this process's; an error is one sentence on standard error and exit code 2."""
    try:
        app(arguments, prog_name="pyrnn")
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        print(f"pyrnn: {error}", file=sys.stderr)
        raise SystemExit(2) from None
