"""Weights become C arrays, in the order in memory that the products read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyrnn.checks.arrays import Array

LANES = 8  # outputs that vad_multiply in products.py computes at a time


@dataclass(frozen=True)
class Constant:
    """One array of weights, flat, and its comment in C."""

    name: str
    values: Array
    comment: str

    def text(self, name: str) -> str:
        """Returns its definition in C, for a network of that name."""
        kind = "float" if self.values.dtype.kind == "f" else f"{self.values.dtype}_t"
        head = f"static const {kind} {name}_{self.name}[{self.values.size}] {name.upper()}_WEIGHTS"
        return f"/* {self.comment} */\n{head} = {{\n{literals(self.values)}\n}};\n"


def literals(values: Array) -> str:
    """Returns numbers as lines of C; a float has the fewest digits that identify it."""
    end, width = ("f", 6) if values.dtype.kind == "f" else ("", {1: 22, 2: 14, 4: 9}[values.itemsize])
    numbers = values.ravel().astype(str).tolist()
    rows = (numbers[i : i + width] for i in range(0, len(numbers), width))
    return "\n".join(f"  {f'{end}, '.join(row)}{end}," for row in rows)


def panels(weight: Array) -> Array:
    """Returns a matrix [N,K] as vad_multiply reads it: [N/8][K][8], then [K][N % 8]."""
    whole = len(weight) // LANES * LANES
    first = weight[:whole].reshape(-1, LANES, weight.shape[1]).swapaxes(1, 2)
    return np.concatenate([first.ravel(), weight[whole:].T.ravel()])


def panels_int8(weight: Array) -> Array:
    """Returns integers [N,K] as vad_multiply_int8 reads them: [N/4][K/4][4][4], then [N % 4][K], K padded to fours."""
    padded = np.pad(weight, ((0, 0), (0, -weight.shape[1] % 4)))
    whole = len(weight) // 4 * 4
    first = padded[:whole].reshape(-1, 4, padded.shape[1] // 4, 4).swapaxes(1, 2)
    return np.concatenate([first.ravel(), padded[whole:].ravel()])


def quantized(weight: Array) -> tuple[Array, Array]:
    """Returns the integers [N,K] and scales [N] of a float32 matrix, with the arithmetic of csrc/kernels/int8.h."""
    most = np.abs(weight).max(axis=1)
    kept = np.where(most < np.float32(2**-100), np.float32(np.inf), most)
    inverse = np.float32(127) / kept
    # The product of two floats is exact in double, so only rint rounds it, as in the kernels' fused multiply-add.
    integers = np.rint(weight.astype(np.float64) * inverse[:, None].astype(np.float64)).astype(np.int8)
    return integers, np.where(np.isinf(kept), np.float32(0), most / np.float32(127))
