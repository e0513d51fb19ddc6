"""Defines the command `pyrnn export-c`, which writes a network as C."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .files import BatchFirst, Prefix, _given
from .missing import naming_the_extra

PROFILES = (
    "float32 is exact; int8 takes a quarter of the memory; int16 does so without floats, for chips without an FPU."
)
DATA = "A .npy file of inputs, on which the profile's error is measured; int16 needs it to choose its formats."


class ProfileName(StrEnum):
    """Lists the ways to store weights."""

    float32 = "float32"
    int8 = "int8"
    int16 = "int16"


def export_c(
    model: Annotated[Path, typer.Argument(help=".pt .pth .npz .safetensors .keras .h5 .hdf5 .onnx .json")],
    name: Annotated[str, typer.Option(help="The name of the files, which also begins all names in C.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write to.")],
    profile: Annotated[ProfileName, typer.Option(help=PROFILES)] = ProfileName.float32,
    data: Annotated[Path | None, typer.Option(help=DATA)] = None,
    prefix: Prefix = None,
    batch_first: BatchFirst = False,
) -> None:
    """Write a network as C99 that needs no library: NAME.h, NAME.c and the test NAME_test.c.

    It prints what the code needs: flash, RAM, stack (as GCC says, for a Cortex-M4F if arm-none-eabi-gcc is found),
    and multiply-adds a step. With --data it also prints the profile's signal-to-noise ratio.

    \b
    Examples:
      pyrnn export-c model.pt --name vad -o out
      pyrnn export-c model.keras --name vad -o out --profile int8 --data x.npy
      pyrnn export-c model.pt --name vad -o out --profile int16 --data x.npy
    """
    with naming_the_extra("export-c"):
        from pyrnn import export
        from pyrnn.io.loading import load
        from pyrnn.verify import read_data

        network = load(model, **_given(prefix, batch_first))
        print(export.c(network, name, out, None if data is None else read_data(data), profile.value))
