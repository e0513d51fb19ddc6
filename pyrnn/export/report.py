"""What an exported network needs: flash, RAM, stack, multiply-adds; and what its profile costs on the user's data."""

from __future__ import annotations

from typing import NamedTuple

from pyrnn.core.quantized import QuantizationError

from .measure import Measured
from .profiles import PROFILES
from .program import WIDTHS, Program


class Report(NamedTuple):
    """What an exported network needs, in bytes, and what its profile costs.

    Attributes:
        name, layers, profile: what was exported.
        weights: in flash. state, scratch: in RAM, together sizeof the struct.
        macs: multiply-adds of a step.
        measured: code and stack, `Measured` by a compiler; None if none is there.
        error: on the data that was given, the `QuantizationError` of int8 or int16 against float32, of float32
            against the same weights in float64; None without data.
    """

    name: str
    layers: str
    profile: str
    weights: int
    state: int
    scratch: int
    macs: int
    measured: Measured | None
    error: QuantizationError | None

    @classmethod
    def of(cls, program: Program, measured: Measured | None, error: QuantizationError | None) -> Report:
        """The figures of a program."""
        parts = program.network.parts
        state = sum(WIDTHS[program.types[member]] * size for member, size in program.state.items())
        weights = sum(each.values.nbytes for part in parts for each in part.constants)
        macs = sum(part.macs for part in parts)
        profile, scratch = program.network.profile, program.ram - state
        return cls(program.name, program.description, profile, weights, state, scratch, macs, measured, error)

    @property
    def flash(self) -> int:
        """Bytes of weights and, where it was measured, code."""
        return self.weights + (self.measured.code if self.measured else 0)

    @property
    def ram(self) -> int:
        """Bytes of the state's struct."""
        return self.state + self.scratch

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {self.layers}; profile {self.profile}",
            f"flash                {self.flash:>7,} bytes: {self._flash()}",
            f"RAM, sizeof(state)   {self.ram:>7,} bytes: state {self.state:,}, scratch {self.scratch:,}",
            f"multiply-adds a step {self.macs:>7,}",
        ]
        if self.measured:
            lines.insert(3, f"stack                {self.measured.stack:>7,} bytes, at the deepest in {self.name}_run")
        else:
            lines.append("code and stack: not measured, there is neither arm-none-eabi-gcc nor gcc here")
        return "\n".join(lines if self.error is None else [*lines, self._cost(self.error)])

    def _flash(self) -> str:
        code = f"code {self.measured.code:,} on {self.measured.machine} (GCC, -Os)" if self.measured else "code more"
        return f"weights {self.weights:,}, {code}"

    def _cost(self, error: QuantizationError) -> str:
        reference = PROFILES[self.profile].reference
        return (f"on the data          {error.snr_db:>7.1f} dB signal-to-noise ratio against {reference}; "
                f"largest error {error.maximum:.2g}")  # fmt: skip
