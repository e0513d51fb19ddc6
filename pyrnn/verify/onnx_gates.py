"""Compares the gates of ONNX's recurrent nodes with equations computed from the W, R and B in the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyrnn import nn
from pyrnn.checks.arrays import Array
from pyrnn.core.recurrent import Recurrent
from pyrnn.core.trace import DIRECTIONS
from pyrnn.io.onnx.node import ORDERS
from pyrnn.io.onnx.package import attributes
from pyrnn.io.onnx.reading import to_array

from .compare import Passed, direction_difference
from .equations import EquationsCell, blocks
from .report import Difference

DEFAULTS = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}


def gate_differences(graph: Any, passed: list[Passed], used: list[Passed], tolerance: float) -> Iterator[Difference]:
    """Yields where the gates of layers differ from those of the nodes that they were made from.

    Args:
        graph: the graph of the file.
        passed: all layers of the model, with their inputs.
        used: the first of them, which are compared.
        tolerance: the smallest difference that counts, as in `verify`.
    """
    nodes = [node for node in graph.node if node.op_type in ORDERS]
    layers = [one for one in passed if isinstance(one.layer, (Recurrent, nn.Bidirectional))]
    if len(nodes) != len(layers):  # The layers of some node cannot be told.
        return
    before = dict(zip((one.name for one in passed[1:]), passed, strict=False))
    for node, one in zip(nodes, layers, strict=True):
        weights = _weights(graph, node)
        if one in used and weights is not None:
            turned = one.name in before and isinstance(before[one.name].layer, nn.Reverse)
            yield from _directions(node, one, weights, turned, tolerance)


def _directions(node: Any, one: Passed, weights: list[Array], turned: bool, tolerance: float) -> Iterator[Difference]:
    for index, direction in enumerate(DIRECTIONS[: len(weights[0])]):
        options: dict[str, Any] = {"turned": turned}
        layer: Any = one.layer
        if isinstance(one.layer, nn.Bidirectional):
            layer, options = (one.layer.backward if index else one.layer.forward), {"turned": bool(index)}
        elif layer.bidirectional:
            options["direction"] = direction
        cell = _cell(node, [array[index] for array in weights])
        found = direction_difference(node.name or node.output[0], cell, layer, one, tolerance, **options)
        if found is not None:
            yield found


def _weights(graph: Any, node: Any) -> list[Array] | None:
    """Returns W, R and B with an axis of directions; None if they are computed, or its activations differ."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    given = attributes(node)
    directions = 2 if given.get("direction") == "bidirectional" else 1
    plain = given.get("activations", DEFAULTS[node.op_type] * directions) == DEFAULTS[node.op_type] * directions
    peepholes = len(node.input) > 7 and node.input[7]
    if not plain or peepholes or not all(name in stored for name in node.input[1:4] if name):
        return None
    found = [to_array(stored[name]) for name in node.input[1:3]]
    has_bias = len(node.input) > 3 and node.input[3]
    bias = to_array(stored[node.input[3]]) if has_bias else np.zeros((len(found[0]), 2 * found[0].shape[1]))
    return [*found, bias]


def _cell(node: Any, weights: list[Array]) -> EquationsCell:
    gates = ORDERS[node.op_type]
    inputs, states, bias = weights
    w, r = blocks(inputs.T, gates), blocks(states.T, gates)
    w_bias, r_bias = (blocks(half, gates) for half in np.split(bias, 2))
    reset_after = bool(attributes(node).get("linear_before_reset", 0))
    return EquationsCell(node.op_type, w, r, w_bias, r_bias, reset_after=reset_after)
