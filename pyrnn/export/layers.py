"""The C of layers other than recurrent ones. They compute in float in the profile int8 too, as `quantize` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.checks.quoting import brief
from pyrnn.core.linear import Linear
from pyrnn.core.module import Module
from pyrnn.nn.activations import Activation, Softmax
from pyrnn.nn.channels_last import ChannelsLast
from pyrnn.nn.conv import Conv1d
from pyrnn.nn.embedding import Embedding

from . import convolution, elementwise
from .functions import Function
from .parts import INPUT, OUTPUT, CPart
from .products import COPY

ROW = Function(
    "vad_row",
    """\
/* Returns the index of a row: that of the nearest row if there is none of this index. */
static int32_t vad_row(int32_t index, int32_t rows) {
  return index < 0 ? 0 : index < rows ? index : rows - 1;
}
""",
)


def _linear(before: str, layer: Linear, inputs: int) -> CPart:
    """Returns the part of y = W x + b."""
    weight, rows = layer.parameters()["weight"], layer.out_features
    part = CPart(f"Linear({layer.in_features}, {rows})", layer.in_features, rows)
    bias = layer.parameters().get("bias", np.zeros(rows, np.float32))
    start = part.constant(f"{before}bias", bias, f"bias, [{rows}]")
    part.product(f"{before}weight", weight, "weight", (start, INPUT, OUTPUT), False)
    return part


def _activation(before: str, layer: Activation, inputs: int) -> CPart:
    """Returns the part of a function of each element."""
    value, function = elementwise.call(layer, f"{INPUT}[i]")
    loop = f"for (i = 0; i < {inputs}; ++i) {OUTPUT}[i] = {value};"
    title = layer.name if type(layer) is Activation else type(layer).__name__
    return CPart(title, inputs, inputs, lines=[loop], functions=[function])


def _softmax(before: str, layer: Softmax, inputs: int) -> CPart:
    """Returns the part of a Softmax over the outputs of a step."""
    line = f"vad_softmax({INPUT}, {inputs}, {OUTPUT});"
    return CPart("Softmax", inputs, inputs, lines=[line], functions=[elementwise.SOFTMAX])


def _embedding(before: str, layer: Embedding, inputs: int) -> CPart:
    """Returns the part of an Embedding, which copies a row of the table."""
    rows, size = layer.num_embeddings, layer.embedding_dim
    part = CPart(f"Embedding({rows}, {size})", 1, size, functions=[ROW, COPY])
    table = part.constant(f"{before}weight", layer.parameters()["weight"], f"weight, [{rows}][{size}]")
    part.lines.append(f"vad_copy({table} + {size} * vad_row({INPUT}[0], {rows}), {size}, {OUTPUT});")
    return part


_PARTS: dict[type[Module], Callable[[str, Any, int], CPart]] = {
    Linear: _linear,
    Activation: _activation,
    Softmax: _softmax,
    Embedding: _embedding,
    ChannelsLast: convolution.part,
}


def part(before: str, layer: Module, inputs: int) -> CPart | None:
    """Returns the part of a layer that takes so many inputs; None for a layer that changes nothing at a step."""
    for kind, make in _PARTS.items():
        if isinstance(layer, kind) and not (isinstance(layer, Activation) and layer.name in ("linear", "identity")):
            return make(before, layer, inputs)
    return None


def refusal(layer: Module, known: str) -> str:
    """Says why a layer that computes something has no part, in words that follow its name; "" if it has one."""
    if isinstance(layer, Conv1d):
        return "runs on [B,C,L]; wrap it, nn.ChannelsLast(nn.Conv1d(...)) runs on [B,T,C] as the layers after it do"
    if isinstance(layer, ChannelsLast) and isinstance(layer.layer, Conv1d):
        return convolution.refusal(layer.layer)
    if isinstance(layer, Embedding) and layer.mask_zero:
        return "has mask_zero, and in C no step is left out; make it without, and do not call C for an index of 0"
    if isinstance(layer, Softmax) and layer.dim != -1:
        return f"is over dim {layer.dim}; in C it is over the outputs of a step: use dim=-1"
    if isinstance(layer, Activation):
        names = ("linear", "identity", *elementwise.LAYERS)
        return (
            "" if layer.name in names else f"{brief(layer.name)} cannot be exported to C; what can: {', '.join(names)}"
        )
    can = isinstance(layer, tuple(_PARTS)) and not isinstance(layer, ChannelsLast)
    return "" if can else f"cannot be exported to C; what can: {known}"
