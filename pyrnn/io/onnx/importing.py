"""Reads an ONNX model as a Sequential: it follows, in order, the nodes that the output depends on."""

from __future__ import annotations

import os
from typing import Any

from pyrnn import nn
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import listed, quoted
from pyrnn.core.making import loading

from . import dense, glue, recurrence, windows
from .graph import Graph, SizeFoundError, input_view
from .reading import read_model
from .views import chain_of, settled

IMPORTERS = {**glue.IMPORTERS, **dense.IMPORTERS, **recurrence.IMPORTERS, **windows.IMPORTERS}

RANKS = (3, 2, 4, 1)  # An input that does not tell its number of axes is tried with these; sequences come first.
# Before this opset Dropout and BatchNormalization train unless told otherwise, and Add broadcasts only when told.
OLDEST = 7


def read(path: str, limit: int | None = None, output: str | None = None) -> nn.Sequential:
    """The model of a file; see `pyrnn.io.onnx.load`."""
    budget = Budget(os.path.getsize(path), limit)
    with loading(budget):
        return _sequential(read_model(path, budget), budget, output)


def _sequential(model: Any, budget: Budget, output: str | None) -> nn.Sequential:
    name = _output(model, output)
    nodes, needed = _needed(model.graph, name)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name in needed and value.name not in stored]
    if len(inputs) != 1:
        raise ValueError(
            f"its output {quoted(name)} depends on {len(inputs)} inputs ({listed(value.name for value in inputs)}); a "
            "Sequential has one"
        )
    # An ONNX file need not tell how many axes the input has; the first number that fits all nodes is used.
    ranks = [0] if inputs[0].type.tensor_type.HasField("shape") else RANKS
    graph, errors = Graph(model, budget, needed), []
    for rank in ranks:
        try:
            return _chain(graph, nodes, inputs[0], rank, name)
        except ValueError as error:
            errors.append(error)
    raise errors[0]


def _chain(graph: Graph, nodes: list[Any], value: Any, rank: int, name: str) -> nn.Sequential:
    """Returns the layers of the nodes from an input to the output of this name."""
    if graph.opset < OLDEST:
        raise ValueError(f"it is of opset {graph.opset}; convert it to {OLDEST} or later by onnx.version_converter")
    learned: dict[int, int] = {}
    while True:
        graph.start(value.name, *input_view(value, rank, learned))
        try:
            for node in nodes:
                graph.follow(node, IMPORTERS)
            break
        except SizeFoundError as found:
            learned[found.axis] = found.size
    who = f"its output {quoted(name)}"
    if name not in graph.views:
        raise ValueError(f"{who} does not depend on its input")
    layers = chain_of(settled(graph.views[name], who), who)
    dtypes = graph.dtypes | {str(value.dtype) for layer in layers for value in layer.parameters().values()}
    if len(dtypes) > 1:
        raise ValueError(f"its numbers are of {' and '.join(sorted(dtypes))}; expected one of them for all")
    return nn.Sequential(*layers).eval()


def _output(model: Any, output: str | None) -> str:
    names = [value.name for value in model.graph.output]
    if output is None and len(names) != 1:
        raise ValueError(f"it has {len(names)} outputs ({listed(names)}); say which with output=")
    if output is not None and output not in names:
        raise ValueError(f"it has no output {quoted(output)}, only {listed(names)}")
    return names[0] if output is None else output


def _needed(graph: Any, output: str) -> tuple[list[Any], set[str]]:
    """Returns the nodes that an output depends on, in order, and the names of all values between."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output) - {""}:
            nodes.append(node)
            needed.update(name for name in node.input if name)
    return nodes[::-1], needed
