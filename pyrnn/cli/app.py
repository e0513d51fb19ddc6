"""Assembles the command `pyrnn` and prints errors as sentences; only this folder needs typer."""

from __future__ import annotations

import sys
from collections.abc import Sequence

try:
    import typer
except ImportError:
    print('The pyrnn command needs typer: pip install "pyrnn-cpu[cli]".', file=sys.stderr)
    raise SystemExit(2) from None

from . import demo, export, files, forecast, measure

# \b keeps the line breaks of the lines that follow.
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""Recurrent layers on NumPy arrays: a demonstration, forecasts, files of weights, and the build.

    \b
    Examples:
      pyrnn demo                     train a forecaster, check it, save it: under a minute
      pyrnn forecast data.csv --target load
      pyrnn inspect model.keras      the layers and weights of a file
      pyrnn convert model.h5 model.onnx
      pyrnn export-c model.pt --name vad -o out
      pyrnn config                   instruction set, threads and versions, for bug reports
      gcc program.c $(python -m pyrnn --cflags --libs)
    """,
)

app.command()(demo.demo)
app.command()(forecast.forecast)
app.command()(export.export_c)
app.command()(measure.accuracy)
app.command()(files.inspect)
app.command()(files.convert)
app.command()(files.verify)
app.command()(measure.config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, by default that of this process."""
    answered(app, "pyrnn", arguments)


def answered(program: typer.Typer, name: str, arguments: Sequence[str] | None = None) -> None:
    """Runs a command line, by default that of this process; an error prints one sentence and exits with code 2."""
    try:
        program(arguments, prog_name=name)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
