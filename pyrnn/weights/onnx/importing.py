"""A model of ONNX as a Sequential: the graph is pruned to what its output needs, then followed node by node."""

from __future__ import annotations

import os
from typing import Any

from pyrnn import nn
from pyrnn.initial import skip_init
from pyrnn.weights.archive import allowance
from pyrnn.weights.onnx import dense, glue, recurrence, windows
from pyrnn.weights.onnx.graph import Graph, input_view
from pyrnn.weights.onnx.reading import read_model
from pyrnn.weights.onnx.views import chain_of, settled

IMPORTERS = {**glue.IMPORTERS, **dense.IMPORTERS, **recurrence.IMPORTERS, **windows.IMPORTERS}

OLDEST = 7  # before it Dropout and BatchNormalization train unless told otherwise, and Add broadcasts when told


def load(path: str | os.PathLike[str], output: str | None = None) -> nn.Sequential:
    """Reads an ONNX model that is a chain of layers of pyrnn.nn.

    Recurrent nodes become RNN, LSTM and GRU, one layer each; what exporters put around them (transposes, reshapes,
    initial states of zeros, chains of Slice and Concat over weights) is seen through. The model takes what the ONNX
    model takes: an input [T,B,I] there is one here, and its layers are batch-first if the ONNX model's input is.

    Args:
        path: the file; external data are read from its folder.
        output: the name of the output to follow, where the model has several.

    Returns:
        The model, in evaluation mode.

    Raises:
        ValueError: if the file is damaged; or a node, named, or one of its attributes has no counterpart, or the
            graph is no chain; there is no half-built model then.
        FileNotFoundError: if there is no such file.
        ImportError: if the package onnx is not installed.

    >>> import tempfile, numpy as np, pyrnn
    >>> from pyrnn.weights.onnx import load, save
    >>> layer = pyrnn.GRU(3, 5, batch_first=True, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(layer, f"{folder}/model.onnx")
    ...     model = load(f"{folder}/model.onnx")
    >>> x = np.ones((2, 7, 3), np.float32)
    >>> bool((model(x) == layer(x)[0]).all())
    True
    """
    try:
        with skip_init():
            return _sequential(read_model(os.fspath(path)), allowance(os.fspath(path)), output)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} cannot be loaded: {error}.") from error


def _sequential(model: Any, allowed: int, output: str | None) -> nn.Sequential:
    name = _output(model, output)
    nodes, needed = _needed(model.graph, name)
    graph = Graph(model, allowed + model.ByteSize(), needed)
    if graph.opset < OLDEST:
        raise ValueError(f"it is of opset {graph.opset}; convert it to {OLDEST} or later by onnx.version_converter")
    inputs = [value for value in model.graph.input if value.name in needed and value.name not in graph.stored]
    if len(inputs) != 1:
        names = ", ".join(value.name[:100] for value in inputs)
        raise ValueError(f"its output {name[:100]!r} depends on {len(inputs)} inputs ({names}); a Sequential has one")
    graph.views[inputs[0].name], dtype = input_view(inputs[0])
    if dtype.kind == "f":
        graph.dtypes.add(str(dtype))
    for node in nodes:
        graph.follow(node, IMPORTERS)
    if name not in graph.views:
        raise ValueError(f"its output {name[:100]!r} does not depend on its input")
    layers = chain_of(settled(graph.views[name], f"the output {name[:100]!r}"), f"the output {name[:100]!r}")
    dtypes = graph.dtypes | {str(value.dtype) for layer in layers for value in layer.parameters().values()}
    if len(dtypes) > 1:
        raise ValueError(f"its numbers are of {' and '.join(sorted(dtypes))}; expected one of them for all")
    return nn.Sequential(*layers).eval()


def _output(model: Any, output: str | None) -> str:
    names = [value.name for value in model.graph.output]
    if output is None and len(names) != 1:
        raise ValueError(f"it has {len(names)} outputs ({', '.join(names)[:300]}); say which with output=")
    if output is not None and output not in names:
        raise ValueError(f"it has no output {output!r}, only {', '.join(names)[:300]}")
    return names[0] if output is None else output


def _needed(graph: Any, output: str) -> tuple[list[Any], set[str]]:
    """The nodes that an output depends on, in order, and the names of all values on the way."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output) - {""}:
            nodes.append(node)
            needed.update(name for name in node.input if name)
    return nodes[::-1], needed
