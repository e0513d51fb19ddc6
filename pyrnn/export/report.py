"""What an exported network needs: flash, RAM, multiply-adds; and what int8 costs on the user's data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..module import Array
from ..options import check_array
from ..quantized import QuantizationError
from .network import Network
from .program import Program


class Report(NamedTuple):
    """What an exported network needs.

    Attributes:
        name, layers, profile: what was exported.
        flash: bytes of weights. state, scratch: bytes of RAM, together sizeof the struct.
        macs: multiply-adds of a step.
        error: the `QuantizationError` of int8 on the data that was given, or None.
    """

    name: str
    layers: str
    profile: str
    flash: int
    state: int
    scratch: int
    macs: int
    error: QuantizationError | None

    @classmethod
    def of(cls, program: Program, error: QuantizationError | None) -> Report:
        """The figures of a program."""
        parts, state = program.network.parts, 4 * sum(program.state.values())
        flash = sum(each.values.nbytes for part in parts for each in part.constants)
        macs = sum(part.macs for part in parts)
        profile = program.network.profile
        return cls(program.name, program.description, profile, flash, state, program.ram - state, macs, error)

    @property
    def ram(self) -> int:
        """Bytes of the state's struct."""
        return self.state + self.scratch

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.layers}; profile {self.profile}",
            f"flash for weights    {self.flash:>6,} bytes",
            f"RAM, sizeof(state)   {self.ram:>6,} bytes: state {self.state:,}, scratch {self.scratch:,}",
            f"multiply-adds a step {self.macs:>6,}",
        ]
        return "\n".join(lines if self.error is None else [*lines, str(self.error)])


def check_data(data: Array, network: Network) -> Array:
    """The first sequence of the user's data, [T,inputs]."""
    check_array("data", data)
    if data.dtype.kind != "f":
        raise TypeError(f"data should be of floating point, got {data.dtype}; use .astype('float32')")
    if data.ndim not in (2, 3) or data.shape[-1] != network.inputs or not data.size:
        raise ValueError(f"data should be sequences of {network.inputs} inputs, [T,I], [T,B,I], or [B,T,I] with "
                         f"batch_first; got shape {data.shape}")  # fmt: skip
    if not np.isfinite(data).all():
        raise ValueError("data holds an infinity or a NaN, which C has no constants for")
    if data.ndim == 3:
        data = data[0] if network.batch_first else data[:, 0]
    return np.ascontiguousarray(data, np.float32)
