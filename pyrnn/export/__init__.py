"""Networks become C99 without dependencies, for audio plug-ins and microcontrollers, with the bits of the Python run.

Example:
    from pyrnn import export
    print(export.c(model, "vad", "out"))     # out/vad.h, out/vad.c, out/vad_test.c
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from pyrnn.checks.arguments import check_size
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

from .data import check_data
from .fixed.network import IntegerNetwork
from .golden import test_program
from .measure import measure
from .network import CNetwork
from .program import Program
from .report import CReport

__all__ = ["CReport", "c"]


def c(
    model: Module,
    name: str,
    directory: str | os.PathLike[str],
    data: Array | None = None,
    profile: str = "float32",
    *,
    test_steps: int = 1000,
) -> CReport:
    """Writes a network as C99: `NAME.h`, `NAME.c` and the test `NAME_test.c`.

    The C has static const weights, its state in a struct of known size, and the functions NAME_reset, NAME_step and
    NAME_run. It needs no library, allocates nothing, and starts every sequence from zeros. A LastStep is left out:
    after every step the C has the output that the model has for a sequence which ends there.

    Args:
        model: an RNN, LSTM or GRU of one direction, a Linear, an Embedding, a causal Conv1d in ChannelsLast, or an
            `nn.Sequential` of these, activations, Softmax, LastStep and Dropout; of float32. With an Embedding, the C
            takes indices, int32_t.
        name: the name of the files, with which all names in the C begin: letters, digits and underscores.
        directory: the directory for the files; it is made if it does not exist.
        data: sequences as the model takes them, [T,I], [T,B,I], or [B,T,I] with batch_first; of indices [T], [T,B]
            or [B,T]. The first sequence is the input of the test, and the signal-to-noise ratio is measured on it. In
            int16 all sequences together set the range of the numbers. None makes pseudo-random inputs for the test;
            int16 needs data.
        profile: "float32" computes the bits of the model's own run, on every CPU with IEEE floats. "int8" computes
            those of `model.quantize("int8")`, with a quarter of the weights' memory. "int16" computes with integers
            only, for chips without an FPU: all weights are int8; inputs, outputs and h are int16 with fraction bits
            that the header states. It has no Softmax, Conv1d of groups, peepholes, or states without bounds, such as
            those of relu.
        test_steps: the number of steps of the test's long run, at least 1.

    Returns:
        A `CReport`: bytes of flash, RAM and stack, multiply-adds of a step, the signal-to-noise ratio. GCC measures
        code and stack, for a Cortex-M4F if arm-none-eabi-gcc is installed, else for this machine.

    Raises:
        ValueError: if a layer cannot be exported, which it names; or for a wrong name, profile, or shape of data.
        TypeError: if the model or data is of another type.

    Example:
        >>> import tempfile, pyrnn, pyrnn.export
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = pyrnn.export.c(pyrnn.GRU(16, 32, seed=0), "vad", folder)
        >>> report.weights, report.state, report.scratch, report.macs
        (18944, 128, 512, 4608)
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(f"name should be one that C takes, of letters, digits and underscores, got {brief(name)}")
    check_size("test_steps", test_steps)
    network = IntegerNetwork(model, data) if profile == "int16" else CNetwork(model, profile)
    program = Program(network, name)
    rows = None if data is None else np.ascontiguousarray(check_data(data, network)[:, 0])
    error = None if rows is None else network.error(rows)
    texts = {
        f"{name}.h": program.header(),
        f"{name}.c": program.source(),
        f"{name}_test.c": test_program(network, name, rows, test_steps),
    }
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        (folder / file).write_text(text)
    return CReport.of(program, measure(folder / f"{name}.c"), error)
