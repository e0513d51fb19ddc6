"""A network in the profile int16: the user's data set its formats, and it runs in NumPy with the integers of the C."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.linear import Linear
from pyrnn.core.module import Module
from pyrnn.core.quantized import QuantizationError
from pyrnn.core.recurrent import Recurrent
from pyrnn.nn.activations import Activation, Softmax
from pyrnn.nn.channels_last import ChannelsLast
from pyrnn.nn.embedding import Embedding

from ..data import check_data
from ..network import CNetwork, forward, shown
from ..parts import CPart
from .functions import ACTIVATIONS, GATES
from .parts import RELU, UNIT, IntegerPart, convolution, elementwise, embedding, linear
from .recurrent import IntegerLayer, recurrent

HEADROOM = 1  # spare bits: values may become at least twice as large as on the data
C_HEADROOM = 3  # bits of headroom for a cell state, which may grow with the length of a sequence
C_BITS = (20, 24)  # the least and most fraction bits of c: with 24 it reaches 64, with 20 it reaches 1024
MOST = 2.0**24  # the largest magnitude that has a format

_BOUNDED = ", ".join(ACTIVATIONS)
_INPUTS = """\
/* For an input v pass v 2^VAD_INPUT_BITS, rounded to the nearest integer and limited to -32768 .. 32767. */
#define VAD_INPUT_BITS {0}
"""
_OUTPUTS = """\
/* An output y stands for y / 2^VAD_OUTPUT_BITS. */
#define VAD_OUTPUT_BITS {1}
"""


class IntegerNetwork(CNetwork):
    """The layers of a model in integers.

    Args:
        model: a model as `CNetwork` takes it.
        data: sequences as the model takes them, whose range of numbers sets the formats.

    Raises:
        ValueError: if a layer or its option has no integer arithmetic here, or a magnitude is too large; it names the
            layer.
    """

    value = "int16_t"

    def __init__(self, model: Module, data: Array | None) -> None:
        super().__init__(model, "float32")
        self.profile = "int16"
        if data is None:
            raise ValueError("profile 'int16' needs data: sequences that show how large its numbers become")
        data = check_data(data, self)
        for name, layer in self.layers:
            _check(layer, shown(name, layer))
        self._taken.clear()
        self.integers: list[IntegerPart] = []
        self.input_bits = 0 if self.rows else _bits(data, "data")
        x = data[..., 0].T if self.rows else data.swapaxes(0, 1)
        for name, layer in self.layers:
            y = forward(layer, x)
            self.integers += self._integers(name, layer, x, y)
            x = y
        self.parts = list[CPart](self.integers)

    @property
    def output_bits(self) -> int:
        """The fraction bits of the outputs."""
        return self.integers[-1].bits

    @property
    def formats(self) -> str:  # type: ignore[override]
        shown = [f"({bits})" if bits < 0 else str(bits) for bits in (self.input_bits, self.output_bits)]
        return (_OUTPUTS if self.rows else _INPUTS + _OUTPUTS).format(*shown)

    def inputs_of(self, x: Array) -> Array:
        """Returns inputs as C takes them, int16; indices stay as they are."""
        if self.rows:
            return x
        scaled = np.rint(np.ldexp(x.astype(np.float64), self.input_bits))
        return scaled.clip(-32768, 32767).astype(np.int16)

    def run(self, x: Array) -> Array:
        """Computes the int16 outputs that the C has for all steps of one sequence [T,inputs] of int16."""
        values = x.astype(np.int64)
        for part in self.integers:
            values = part.run(values)
        return values.astype(np.int16)

    def error(self, x: Array) -> QuantizationError:
        """Measures how far the outputs are from those of float32."""
        outputs = np.ldexp(self.run(self.inputs_of(x)).astype(np.float64), -self.output_bits)
        return QuantizationError.between(super().run(x), outputs)

    def _integers(self, name: str, layer: Module, x: Array, y: Array) -> Iterator[IntegerPart]:
        before = f"{self._identifier(name)}_" if name else ""
        last = self.integers[-1] if self.integers else None
        bits = last.bits if last else self.input_bits
        if isinstance(layer, Recurrent):
            x = np.ascontiguousarray(x if layer.batch_first else x.swapaxes(0, 1))
            for each in _layers(layer, before, bits, x):
                yield recurrent(each)
        elif isinstance(layer, Linear):
            yield linear(before, layer, bits, _bits(y, shown(name, layer)))
        elif isinstance(layer, ChannelsLast):
            yield convolution(before, layer, bits, _bits(y, shown(name, layer)))
        elif isinstance(layer, Embedding):
            yield embedding(before, layer, _bits(layer.parameters()["weight"], shown(name, layer)))
        elif isinstance(layer, Activation) and layer.name not in ("linear", "identity") and last:
            yield elementwise(type(layer).__name__, layer.name, last.outputs, bits)


def _layers(layer: Recurrent, before: str, bits: int, x: Array) -> Iterator[IntegerLayer]:
    """Yields the layers of a recurrent network with the formats of their states."""
    trace = layer.trace(x)
    for index in range(layer.num_layers):
        seen, c_bits, output = trace[index, "forward"], 0, UNIT
        if layer.mode == "lstm":
            c_bits = min(max(_fraction_bits(seen.c, 30 - C_HEADROOM), C_BITS[0]), C_BITS[1])
        if layer.proj_size:
            output = _bits(seen.h, type(layer).__name__)
        made = IntegerLayer(layer, index, before, bits, output, c_bits)
        yield made
        bits = made.output


def _fraction_bits(values: Array, room: int) -> int:
    """Returns the most fraction bits with which the largest magnitude stays below 2^room."""
    most = float(np.abs(values).max())
    return room - int(np.frexp(most)[1]) if most else room


def _bits(values: Array, what: str) -> int:
    most = float(np.abs(values).max())
    if most >= MOST:
        raise ValueError(f"{what} reaches {most:.3g}, too much for int16 beside smaller values; scale the inputs to "
                         "about one")  # fmt: skip
    return _fraction_bits(values, 15 - HEADROOM)


def _check(layer: Module, what: str) -> None:
    """Raises ValueError for a layer that has no integer arithmetic here."""
    if isinstance(layer, Activation) and layer.name not in (*ACTIVATIONS, RELU, "linear", "identity"):
        raise ValueError(f"{what} {brief(layer.name)} cannot be exported in int16; what can: relu, {_BOUNDED}")
    if isinstance(layer, Softmax):
        raise ValueError(f"{what} cannot be exported in int16; leave it out, the largest output stays the largest")
    if isinstance(layer, ChannelsLast) and layer.layer.groups > 1:
        raise ValueError(f"{what} holds a Conv1d of {layer.layer.groups} groups; in int16 it can have only one")
    if not isinstance(layer, Recurrent):
        return
    state = "relu" if layer.mode == "rnn_relu" else layer.activation
    if state not in ACTIVATIONS:
        raise ValueError(f"{what} has the activation {brief(state)}, whose states have no bounds, which int16 needs; "
                         f"what can be exported in int16: {_BOUNDED}")  # fmt: skip
    if not layer.mode.startswith("rnn") and layer.recurrent_activation not in GATES:
        raise ValueError(f"{what} has the recurrent activation {brief(layer.recurrent_activation)}; gates in int16 "
                         f"are {', '.join(GATES)}")  # fmt: skip
    if layer.peephole:
        raise ValueError(f"{what} has peepholes, which cannot be exported in int16; use profile='int8'")
