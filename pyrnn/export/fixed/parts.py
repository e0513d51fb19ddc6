"""What one layer becomes in the profile int16: its part of the C program, and the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ...linear import Linear
from ...module import Array
from ..parts import INPUT, OUTPUT, Part
from .functions import ACTIVATIONS, INT16, LEAST_BITS, MOST_BITS, clamp, int16
from .products import BLOCK, MULTIPLY, NARROW, Matrix, narrow, panels, sum_bits

UNIT = 15  # fraction bits of what lies within -1 and 1
GUARD = 8  # more fraction bits in the sums of a Linear than in its outputs
RELU = "relu"


@dataclass
class IntegerPart(Part):
    """A part with the fraction bits of its outputs, and its run: int64 [T,inputs] -> [T,outputs] from zeros."""

    bits: int = UNIT
    run: Callable[[Array], Array] = field(default=lambda x: x)

    def matrix(
        self, name: str, weight: Array, comment: str, args: tuple[str, str, str], bits: tuple[int, int]
    ) -> Matrix:
        """Adds y = start + W x for args (start, x, y), x and y of these bits; returns the matrix."""
        (rows, columns), (start, x, y) = weight.shape, args
        made = Matrix(weight, *bits)
        self.macs += rows * columns
        values = np.concatenate([panels(block) for block in made.blocks])
        w = self.constant(name, values, f"{comment}, [{rows}][{columns}] in panels of four rows")
        scale = self.constant(f"{name}_scale", made.scales, f"its scales, [{rows}]")
        for k in range(0, columns, BLOCK):
            first = (f"{w} + {k * rows}", f"{x} + {k}", y) if k else (w, x, start)
            size = min(BLOCK, columns - k)
            self.lines.append(f"vad_multiply({first[0]}, {scale}, {first[2]}, {first[1]}, {size}, {rows}, {y});")
        self.functions.append(MULTIPLY)
        return made

    def start(self, name: str, bias: Array, comment: str, bits: int) -> tuple[str, Array]:
        """Adds a bias; returns its name in C and its integers."""
        integers = clamp(np.rint(np.ldexp(bias.astype(np.float64), bits)).clip(-(2**31), 2**31).astype(np.int64))
        return self.constant(name, integers.astype(np.int32), comment), integers

    def scratch_of_sums(self, size: int) -> None:
        """Room for sums of 32 bits."""
        self.sums, self.types["sums"] = size, "int32_t"


def linear(name: str, layer: Linear, bits: int, bits_out: int) -> IntegerPart:
    """y = W x + b."""
    weight, rows = layer.parameters()["weight"], layer.out_features
    part = IntegerPart(f"Linear({layer.in_features}, {rows})", layer.in_features, rows)
    of_sums = min(bits_out + GUARD, sum_bits(bits, weight))
    part.bits = min(bits_out, of_sums - 1)
    bias = layer.parameters().get("bias", np.zeros(rows, np.float32))
    start, integers = part.start(f"{name}bias", bias, f"bias, [{rows}], {of_sums} fraction bits", of_sums)
    part.scratch_of_sums(rows)
    made = part.matrix(f"{name}weight", weight, "weight", (start, INPUT, "s->sums"), (bits, of_sums))
    shift = of_sums - part.bits
    part.lines.append(f"vad_narrow(s->sums, {rows}, {shift}, {OUTPUT});")
    part.functions.append(NARROW)
    part.run = lambda x: narrow(made.sums(integers, x), shift)
    return part


def elementwise(title: str, name: str, size: int, bits: int) -> IntegerPart:
    """A function of each element; relu keeps the fraction bits, the others give 15."""
    part = IntegerPart(title, size, size)
    if name == RELU:
        part.bits, part.run = bits, lambda x: np.maximum(x, 0)
        value = f"(int16_t)({INPUT}[i] < 0 ? 0 : {INPUT}[i])"
    else:
        function, run = ACTIVATIONS[name]
        part.functions += [function, INT16]
        held = min(max(bits, LEAST_BITS), MOST_BITS)  # that the function takes
        up, down = 1 << (held - min(bits, held)), max(bits - held, 0)
        part.run = lambda x: int16(run(x * up >> down, held))
        moved = f"{INPUT}[i] * {up}" if up > 1 else f"{INPUT}[i]" + f" >> {down}" * (down > 0)
        value = f"vad_int16({function.name}({moved}, {held}))"
    part.lines.append(f"for (i = 0; i < {size}; ++i) {OUTPUT}[i] = {value};")
    return part
