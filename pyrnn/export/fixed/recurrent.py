"""One layer of an RNN, LSTM or GRU in the profile int16."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.recurrent import Recurrent

from ..parts import INPUT, OUTPUT, order_of_rows, ordered
from . import cells
from .functions import LEAST_BITS
from .parts import GUARD, UNIT, IntegerPart
from .products import COPY_SUMS, NARROW, Matrix, narrow, sum_bits

MOST_SUM_BITS = 16  # one more than the 15 of the outputs of tanh
Step = Callable[[Array, Array, Array], tuple[Array, Array]]  # maps sums, h, and c or g to h', and c' or g'


@dataclass
class IntegerLayer:
    """A layer, and its formats.

    Attributes:
        of: the module.
        index: which of its layers.
        name: the beginning of the names of its constants.
        bits: fraction bits of the inputs.
        output: fraction bits of h.
        c_bits: fraction bits of an LSTM's c.
    """

    of: Recurrent
    index: int
    name: str
    bits: int
    output: int = UNIT
    c_bits: int = 0

    def __post_init__(self) -> None:
        end = f"_l{self.index}"
        values = {key.removesuffix(end): value for key, value in self.of.parameters().items() if key.endswith(end)}
        self.values, self.rows = ordered(values, self.of.mode, self.of.hidden_size), order_of_rows(self.of.mode)
        self.projection = values.get("weight_hr")
        self.names = self.of.activation, self.of.recurrent_activation
        if self.projection is not None:
            self.output = min(self.output, sum_bits(UNIT, self.projection) - 1)
        of_h = [sum_bits(self.output, self.values[key]) for key in ("hh", "hn") if key in self.values]
        self.sum_bits = min(MOST_SUM_BITS, sum_bits(self.bits, self.values["ih"]), *of_h)

    def constant(self, name: str) -> str:
        """Returns the name of one of its constants."""
        return f"{self.name}{name}_l{self.index}"


def recurrent(layer: IntegerLayer) -> IntegerPart:
    """Returns the part of a layer; raises ValueError if its sums need more than 32 bits."""
    of, H = layer.of, layer.of.hidden_size  # noqa: N806
    inputs = layer.values["ih"].shape[1]
    which = f", layer {layer.index}" if of.num_layers > 1 else ""
    title = f"{type(of).__name__}({inputs}, {H}){which}"
    if layer.sum_bits < LEAST_BITS:
        raise ValueError(f"{title}: inputs and weights this large make sums too large for int16; scale the inputs to "
                         "about one")  # fmt: skip
    part = IntegerPart(title, inputs, of.proj_size or H, f"h_{layer.name}l{layer.index}", bits=layer.output)
    part.state[part.home] = part.outputs
    bias, ih = _sums(part, layer)
    if of.mode.startswith("rnn"):
        step = _rnn(part, layer)
    elif of.mode == "lstm":
        step = _lstm(part, layer)
    else:
        step = (_gru if of.mode == "gru" else _gru_reset_before)(part, layer, bias)
    part.run = lambda x: _run(ih.sums(bias[: ih.rows], x), step, part.outputs, H)
    return part


def _run(sums: Array, step: Step, outputs: int, H: int) -> Array:  # noqa: N803
    """Runs all steps, from a state of zeros."""
    y = np.empty((len(sums), outputs), np.int64)
    h, long = np.zeros(outputs, np.int64), np.zeros(H, np.int64)
    for t, a in enumerate(sums):
        y[t], long = h, long = step(a, h, long)
    return y


def _sums(part: IntegerPart, layer: IntegerLayer) -> tuple[Array, Matrix]:
    """Adds bias and W_ih x. In a GRU n comes first, so that the sums to which W_hh adds are contiguous."""
    comment = f"{layer.rows['bias']}; {layer.sum_bits} fraction bits"
    start, bias = part.start(layer.constant("bias"), layer.values["bias"], comment, layer.sum_bits)
    part.scratch_of_sums(len(bias))
    name, formats = layer.constant("weight_ih"), (layer.bits, layer.sum_bits)
    ih = part.matrix(name, layer.values["ih"], layer.rows["ih"], (start, INPUT, "s->sums"), formats)
    if len(bias) > ih.rows:  # W_hn h + b_hn, which no input enters
        part.lines.append(f"{COPY_SUMS.name}({start} + {ih.rows}, {len(bias) - ih.rows}, s->sums + {ih.rows});")
        part.functions.append(COPY_SUMS)
    return bias, ih


def _hidden(part: IntegerPart, layer: IntegerLayer, into: str) -> Matrix:
    """Adds W_hh h to these sums."""
    name, formats = layer.constant("weight_hh"), (layer.output, layer.sum_bits)
    return part.matrix(name, layer.values["hh"], layer.rows["hh"], (into, f"s->{part.home}", into), formats)


def _cell(part: IntegerPart, layer: IntegerLayer, kind: str, arguments: list[str]) -> None:
    """Adds the call of a cell's function."""
    function = cells.in_c(kind, layer.names)
    part.functions.append(function)
    given = ["s->sums", str(layer.sum_bits), str(layer.of.hidden_size), *arguments]
    part.lines.append(f"{function.name}({', '.join(given)});")


def _long(part: IntegerPart, layer: IntegerLayer, letter: str) -> str:
    """Adds a state of 32 bits; returns the C for it."""
    name = f"{letter}_{layer.name}l{layer.index}"
    part.state[name], part.types[name] = layer.of.hidden_size, "int32_t"
    return f"s->{name}"


def _rnn(part: IntegerPart, layer: IntegerLayer) -> Step:
    hh = _hidden(part, layer, "s->sums")
    _cell(part, layer, "rnn", [f"s->{part.home}", OUTPUT])
    return lambda a, h, _: (cells.rnn(hh.sums(a, h), layer.sum_bits, layer.names[0]), _)


def _lstm(part: IntegerPart, layer: IntegerLayer) -> Step:
    H, h_in_c = layer.of.hidden_size, f"s->{part.home}"  # noqa: N806
    hh, c_in_c = _hidden(part, layer, "s->sums"), _long(part, layer, "c")
    to = [h_in_c, OUTPUT] if layer.projection is None else ["s->projected", "s->projected"]
    _cell(part, layer, "lstm", [str(layer.c_bits), c_in_c, *to])
    project = None if layer.projection is None else _project(part, layer, layer.projection)

    def step(a: Array, h: Array, c: Array) -> tuple[Array, Array]:
        h, c = cells.lstm(hh.sums(a, h).reshape(4, H), layer.sum_bits, c, layer.c_bits, layer.names)
        return (h if project is None else project(h)), c

    return step


def _project(part: IntegerPart, layer: IntegerLayer, weight: Array) -> Callable[[Array], Array]:
    """Adds the projection h = W_hr (o tanh(c)); returns its run."""
    rows, h = len(weight), f"s->{part.home}"
    bits = min(layer.output + GUARD, sum_bits(UNIT, weight))
    start, zeros = part.start(layer.constant("bias_hr"), np.zeros(rows), f"zeros, [{rows}]", bits)
    part.projected = layer.of.hidden_size
    made = part.matrix(
        layer.constant("weight_hr"), weight, "weight_hr", (start, "s->projected", "s->sums"), (UNIT, bits)
    )
    shift = bits - layer.output
    part.lines += [f"vad_narrow(s->sums, {rows}, {shift}, {to});" for to in (h, OUTPUT)]
    part.functions.append(NARROW)
    return lambda full: narrow(made.sums(zeros, full), shift)


def _gru(part: IntegerPart, layer: IntegerLayer, bias: Array) -> Step:
    H = layer.of.hidden_size  # noqa: N806
    hh, g_in_c = _hidden(part, layer, f"s->sums + {H}"), _long(part, layer, "g")
    _cell(part, layer, "gru", [g_in_c, f"s->{part.home}", OUTPUT])

    def step(a: Array, h: Array, g: Array) -> tuple[Array, Array]:
        others = hh.sums(np.concatenate([a[H:], bias[3 * H :]]), h)
        return cells.gru(np.concatenate([a[:H], others]).reshape(4, H), layer.sum_bits, g, layer.names)

    return step


def _gru_reset_before(part: IntegerPart, layer: IntegerLayer, bias: Array) -> Step:
    H, h_in_c, bits = layer.of.hidden_size, f"s->{part.home}", layer.sum_bits  # noqa: N806
    hh, g_in_c = _hidden(part, layer, f"s->sums + {H}"), _long(part, layer, "g")
    part.projected = H
    _cell(part, layer, "gru_reset", [h_in_c, "s->projected"])
    sums = ("s->sums", "s->projected", "s->sums")
    hn = part.matrix(layer.constant("weight_hn"), layer.values["hn"], "weight_hh: n", sums, (UNIT, bits))
    _cell(part, layer, "gru_update", [g_in_c, h_in_c, OUTPUT])

    def step(a: Array, h: Array, g: Array) -> tuple[Array, Array]:
        n, gates = a[:H], hh.sums(a[H:], h).reshape(2, H)
        n = hn.sums(n, cells.gru_reset(gates[0], bits, h, layer.names[1]))
        return cells.gru_update(n, gates[1], bits, g, layer.names)

    return step
