"""A report holds what an exported network needs (flash, RAM, stack, multiply-adds) and the error of its profile."""

from __future__ import annotations

from typing import NamedTuple

from pyrnn.core.quantized import QuantizationError

from .measure import Measured
from .profiles import PROFILES
from .program import WIDTHS, Program


class CReport(NamedTuple):
    """The needs of an exported network, in bytes, and the error of its profile.

    Attributes:
        name: the name in C.
        layers: the layers in words.
        profile: the name of the profile.
        weights: bytes of weights, in flash.
        state: bytes of state, in RAM.
        scratch: bytes of scratch, in RAM; with `state` they are the size of the struct.
        macs: multiply-adds of a step.
        measured: code and stack, as a compiler makes them; None if no compiler is installed.
        error: the `QuantizationError` on the data that was given: int8 and int16 are compared with float32, float32
            with the same weights in float64. None without data.
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
    def of(cls, program: Program, measured: Measured | None, error: QuantizationError | None) -> CReport:
        """Collects the figures of a program."""
        parts = program.network.parts
        state = sum(WIDTHS[program.types[member]] * size for member, size in program.state.items())
        weights = sum(each.values.nbytes for part in parts for each in part.constants)
        macs = sum(part.macs for part in parts)
        profile, scratch = program.network.profile, program.ram - state
        return cls(program.name, program.description, profile, weights, state, scratch, macs, measured, error)

    @property
    def flash(self) -> int:
        """Bytes of weights and, if measured, of code."""
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
