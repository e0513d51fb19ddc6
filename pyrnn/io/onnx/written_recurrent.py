"""Writes RNN, LSTM, GRU and Bidirectional as ONNX nodes, one for each layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import GRU, LSTM, RNN, nn
from pyrnn.checks.arrays import Array
from pyrnn.core.facts import GATES, reordered

from .activations import DEFAULTS, onnx_activation
from .node import ORDERS
from .written import Write, Writer

Layer = RNN | LSTM | GRU


def recurrent(writer: Writer, layer: Layer) -> None:
    """Writes one node for each layer of a stack, and turns its Y [T,D,B,H] into [T,B,D*H]."""
    if layer.batch_first:
        writer.transpose(1, 0, 2)
    for k in range(layer.num_layers):
        suffixes = [f"_l{k}", f"_l{k}_reverse"][: 2 if layer.bidirectional else 1]
        _node(writer, [layer] * len(suffixes), suffixes, ["Y"])
        writer.transpose(0, 2, 1, 3)
        writer.node("Reshape", [writer.value, writer.integers(0, 0, -1)])
    if layer.batch_first:
        writer.transpose(1, 0, 2)


MERGES = {"sum": "ReduceSum", "mul": "ReduceProd", "ave": "ReduceMean"}


def bidirectional(writer: Writer, layer: nn.Bidirectional) -> None:
    """Writes one node of two directions, and merges its output along the axis of directions."""
    pair: list[Any] = [layer.forward, layer.backward]
    first, second = ({**one.config(), "activation": 0, "recurrent_activation": 0, "nonlinearity": 0} for one in pair)
    if type(pair[0]) is not type(pair[1]) or first != second or first["num_layers"] != 1 or first["bidirectional"]:
        raise writer.refuse("two directions that differ in more than their activations, or several layers")
    if pair[0].batch_first:
        writer.transpose(1, 0, 2)
    kind = "Y" if layer.return_sequences else "Y_h"
    _node(writer, pair, ["_l0", "_l0"], [kind])
    axis = 1 if layer.return_sequences else 0
    if layer.merge_mode != "concat":
        writer.node(MERGES[layer.merge_mode], [writer.value, writer.integers(axis)], keepdims=0)
    else:
        writer.transpose(*((0, 2, 1, 3) if layer.return_sequences else (1, 0, 2)))
        writer.node("Reshape", [writer.value, writer.integers(*[0] * (axis + 1), -1)])
    if not layer.return_sequences:
        writer.rank = 2
    elif pair[0].batch_first:
        writer.transpose(1, 0, 2)


def _node(writer: Writer, layers: list[Any], suffixes: list[str], outputs: list[str]) -> None:
    """Writes a node of one or two directions, each with its layer and the suffix of its parameters."""
    layer, op = layers[0], type(layers[0]).__name__
    if writer.rank != 3:
        raise writer.refuse(f"an input of {writer.rank} axes instead of 3")
    if layer.proj_size:
        raise writer.refuse(f"proj_size={layer.proj_size}")
    pairs = [(each.parameters(), suffix) for each, suffix in zip(layers, suffixes, strict=True)]
    stacked: dict[str, list[Array]] = {"W": [], "R": [], "B": [], "P": []}
    for values, suffix in pairs:
        stacked["W"].append(onnx_order(op, values[f"weight_ih{suffix}"]))
        stacked["R"].append(onnx_order(op, values[f"weight_hh{suffix}"]))
        if layer.bias:
            halves = [onnx_order(op, values[f"bias_{half}{suffix}"]) for half in ("ih", "hh")]
            stacked["B"].append(np.concatenate(halves))
        if layer.peephole:
            stacked["P"].append(values[f"weight_peephole{suffix}"])
    names = {name: writer.constant(np.stack(parts), name) if parts else "" for name, parts in stacked.items()}
    inputs = [writer.value, names["W"], names["R"], names["B"], "", "", "", names["P"]]
    while not inputs[-1]:
        inputs.pop()
    attributes: dict[str, Any] = {"hidden_size": layer.hidden_size, **_activations(op, layers)}
    if len(layers) == 2:
        attributes["direction"] = "bidirectional"
    if op == "GRU":
        attributes["linear_before_reset"] = int(layer.reset_after)
    kept = [f"{writer.name}/Y_{len(writer.nodes)}"]
    writer.node(op, inputs, kept if outputs == ["Y"] else ["", *kept], **attributes)


def _activations(op: str, layers: list[Any]) -> dict[str, Any]:
    """Returns the attributes for activations that are not the operator's defaults."""
    functions, numbers = [], ([], [])  # type: ignore[var-annotated]
    for layer in layers:
        ours = [layer.recurrent_activation, layer.activation, layer.activation][: len(DEFAULTS[op])]
        if op == "RNN":
            ours = ["relu" if layer.mode == "rnn_relu" else layer.activation]
        for name in ours:
            function, *values = onnx_activation(name)
            functions.append(function)
            for held, value in zip(numbers, values, strict=True):
                held += [] if value is None else [value]
    if functions == list(DEFAULTS[op]) * len(layers):
        return {}
    lists = {"activation_alpha": numbers[0], "activation_beta": numbers[1]}
    return {"activations": functions, **{name: held for name, held in lists.items() if held}}


def onnx_order(op: str, value: Array) -> Array:
    """Reorders the gates in rows [G*H, ...] from torch's order to ONNX's."""
    return reordered(value, GATES[op], ORDERS[op])


WRITERS: dict[type, Write] = {RNN: recurrent, LSTM: recurrent, GRU: recurrent, nn.Bidirectional: bidirectional}
