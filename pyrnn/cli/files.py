"""Defines the commands `pyrnn inspect`, `pyrnn convert` and `pyrnn verify`, for files of weights and models."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .missing import naming_the_extra

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
BatchFirst = Annotated[bool, typer.Option("--batch-first", help="The layer of a state dict takes sequences [B,T,*].")]
Prefix = Annotated[
    str | None, typer.Option(help='The text before weight_ih_l0 in a state dict, such as "encoder.rnn.".')
]


def inspect(
    file: Annotated[Path, typer.Argument(help=".pt .pth .npz .safetensors .keras .h5 .hdf5 .onnx .json")],
    json: AsJson = False,
) -> None:
    """Show the layers, shapes and parameters of a file, and what it does not tell.

    \b
    Examples:
      pyrnn inspect model.keras
      pyrnn inspect checkpoint.pt --json
    """
    with naming_the_extra("inspect", "cli"):
        from .inspection import inspect as look_into
        from .inspection import print_json, print_tables

        (print_json if json else print_tables)(look_into(file))


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file that `pyrnn inspect` reads.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help=".safetensors .onnx .json .pt .pth .npz")],
    prefix: Prefix = None,
    batch_first: BatchFirst = False,
) -> None:
    """Write a model or its weights in another format.

    From state dict to state dict all arrays are copied, whatever layers they belong to. A model that the format
    cannot hold is an error.

    \b
    Examples:
      pyrnn convert model.keras model.onnx
      pyrnn convert model.h5 model.safetensors
      pyrnn convert checkpoint.pt rnn.onnx --prefix state_dict.encoder.rnn. --batch-first
    """
    from pyrnn.io.conversion import convert

    print(convert(source, target, **_given(prefix, batch_first)))


class Against(StrEnum):
    """Lists the libraries that `pyrnn verify` compares with."""

    keras = "keras"
    torch = "torch"
    onnxruntime = "onnxruntime"


def verify(
    model: Annotated[Path, typer.Argument(help=".keras .h5 .hdf5; a state dict for torch; .onnx for onnxruntime.")],
    against: Annotated[Against, typer.Option(help="The library whose outputs are taken as right.")],
    data: Annotated[Path, typer.Option(help="A .npy file of inputs in the model's layout.")],
    tolerance: Annotated[
        float, typer.Option(min=0, help="The largest difference allowed, for values of order 1.")
    ] = 1e-5,
    json: AsJson = False,
    prefix: Prefix = None,
    batch_first: BatchFirst = False,
) -> None:
    """Run a model in pyrnn and in its own library, and name the first layer, step and gate that differ.

    The exit code is 0 if they agree and 1 if not. Keras 3 computes the hard_sigmoid of a Keras 2 file by its
    own, different formula: such a difference is an error of Keras 3.

    \b
    Examples:
      pyrnn verify model.keras --against keras --data x.npy
      pyrnn verify gru.pt --against torch --data x.npy --batch-first
      pyrnn verify model.onnx --against onnxruntime --data x.npy --json
    """
    with naming_the_extra("verify"):
        from pyrnn.verify import read_data, verify
        from pyrnn.verify.report import print_json, print_tables

        report = verify(model, against.value, read_data(data), tolerance=tolerance, **_given(prefix, batch_first))
        (print_json if json else print_tables)(report)
    if not report.agrees:
        raise typer.Exit(1)


def _given(prefix: str | None, batch_first: bool) -> dict[str, Any]:
    """Returns the options that were given; files other than state dicts take none."""
    found: dict[str, Any] = {} if prefix is None else {"prefix": prefix}
    return {**found, "batch_first": True} if batch_first else found
