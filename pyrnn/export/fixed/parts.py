"""One layer in the profile int16: its part of the C program, and the same in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.linear import Linear
from pyrnn.nn.channels_last import ChannelsLast
from pyrnn.nn.conv import Conv1d
from pyrnn.nn.embedding import Embedding

from .. import convolution as convolution_in_float
from ..convolution import next_turn, windows
from ..functions import Function
from ..layers import ROW
from ..parts import INPUT, OUTPUT, CPart
from .functions import ACTIVATIONS, INT16, LEAST_BITS, MOST_BITS, clamp, int16
from .products import BLOCK, COPY_VALUES, MULTIPLY, NARROW, Matrix, narrow, panels, sum_bits

UNIT = 15  # fraction bits of numbers within -1 and 1
GUARD = 8  # the sums of a Linear have so many more fraction bits than its outputs
RELU = "relu"
PUSH = Function(convolution_in_float.PUSH.name, convolution_in_float.PUSH.text.replace("float", "int16_t"))
Run = Callable[[Array], Array]  # int64 [T,inputs] -> [T,outputs], from a state of zeros


@dataclass
class IntegerPart(CPart):
    """A part with the fraction bits of its outputs, and its run in NumPy."""

    bits: int = UNIT
    run: Run = field(default=lambda x: x)

    def matrix(
        self, name: str, weight: Array, comment: str, args: tuple[str, str, str], bits: tuple[int, int]
    ) -> Matrix:
        """Adds y = start + W x for args (start, x, y), where `bits` are those of x and of y; returns the matrix."""
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
        """Reserves scratch memory for so many 32-bit sums."""
        self.sums, self.types["sums"] = size, "int32_t"


def affine(part: IntegerPart, before: str, layer: Linear | Conv1d, weight: Array, given: tuple[str, int, int]) -> Run:
    """Adds y = W x + b for the matrix of a layer and (x, its bits, the most bits of y); returns its run."""
    (x, bits, bits_out), rows = given, len(weight)
    of_sums = min(bits_out + GUARD, sum_bits(bits, weight))
    part.bits = min(bits_out, of_sums - 1)
    bias = layer.parameters().get("bias", np.zeros(rows, np.float32))
    start, integers = part.start(f"{before}bias", bias, f"bias, [{rows}], {of_sums} fraction bits", of_sums)
    part.scratch_of_sums(rows)
    made = part.matrix(f"{before}weight", weight, "weight", (start, x, "s->sums"), (bits, of_sums))
    shift = of_sums - part.bits
    part.lines.append(f"vad_narrow(s->sums, {rows}, {shift}, {OUTPUT});")
    part.functions.append(NARROW)
    return lambda values: narrow(made.sums(integers, values), shift)


def linear(before: str, layer: Linear, bits: int, bits_out: int) -> IntegerPart:
    """Returns the part of y = W x + b."""
    part = IntegerPart(f"Linear({layer.in_features}, {layer.out_features})", layer.in_features, layer.out_features)
    part.run = affine(part, before, layer, layer.parameters()["weight"], (INPUT, bits, bits_out))
    return part


def convolution(before: str, layer: ChannelsLast, bits: int, bits_out: int) -> IntegerPart:
    """Returns the part of a convolution, a product with the last inputs, as convolution.py does in float."""
    conv: Conv1d = layer.layer
    channels, (taps,), (dilation,) = conv.in_channels, conv._windows.kernel_size, conv._windows.dilation
    more = f", dilation {dilation}" if dilation > 1 else ""
    part = IntegerPart(f"Conv1d({channels}, {conv.out_channels}, {taps}{more})", channels, conv.out_channels)
    window = windows(part, before, (channels, taps, dilation))
    part.lines.append(f"vad_push({INPUT}, 1, {taps}, {channels}, {window});")
    part.functions.append(PUSH)
    weight = np.moveaxis(conv.weight, 1, -1).reshape(conv.out_channels, -1)
    run = affine(part, before, conv, weight, (window, bits, bits_out))
    if dilation > 1:
        part.lines.append(next_turn(before, dilation))

    def whole(x: Array) -> Array:
        padded = np.concatenate([np.zeros((dilation * (taps - 1), channels), np.int64), x])
        return run(np.concatenate([padded[dilation * k :][: len(x)] for k in range(taps)], axis=1))

    part.run = whole
    return part


def embedding(before: str, layer: Embedding, bits: int) -> IntegerPart:
    """Returns the part of an Embedding, which copies a row of an int16 table."""
    rows, size = layer.num_embeddings, layer.embedding_dim
    part = IntegerPart(f"Embedding({rows}, {size})", 1, size, bits=bits, functions=[ROW, COPY_VALUES])
    table = np.rint(np.ldexp(layer.parameters()["weight"].astype(np.float64), bits)).astype(np.int64)
    name = part.constant(f"{before}weight", table.astype(np.int16), f"weight, [{rows}][{size}], {bits} fraction bits")
    part.lines.append(f"{COPY_VALUES.name}({name} + {size} * vad_row({INPUT}[0], {rows}), {size}, {OUTPUT});")
    part.run = lambda index: table[np.clip(index[:, 0], 0, rows - 1)]
    return part


def elementwise(title: str, name: str, size: int, bits: int) -> IntegerPart:
    """Returns the part of an activation; relu keeps the fraction bits, the others' outputs have 15."""
    part = IntegerPart(title, size, size)
    if name == RELU:
        part.bits, part.run = bits, lambda x: np.maximum(x, 0)
        value = f"(int16_t)({INPUT}[i] < 0 ? 0 : {INPUT}[i])"
    else:
        function, run = ACTIVATIONS[name]
        part.functions += [function, INT16]
        held = min(max(bits, LEAST_BITS), MOST_BITS)  # the bits that the function takes
        up, down = 1 << (held - min(bits, held)), max(bits - held, 0)
        part.run = lambda x: int16(run(x * up >> down, held))
        moved = f"{INPUT}[i] * {up}" if up > 1 else f"{INPUT}[i]" + f" >> {down}" * (down > 0)
        value = f"vad_int16({function.name}({moved}, {held}))"
    part.lines.append(f"for (i = 0; i < {size}; ++i) {OUTPUT}[i] = {value};")
    return part
