"""Writes a Sequential or a single layer as an ONNX model; written.py writes the nodes of each layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyrnn import nn
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.weights.files import replaced

from . import written, written_recurrent
from .package import onnx_package

WRITERS = {**written.WRITERS, **written_recurrent.WRITERS}
OPSET = 20  # This opset is the first that has Gelu.
IR_VERSION = 9  # This is the IR version of that opset.


def save(model: Module, path: str | os.PathLike[str], input_shape: Sequence[int | None] | None = None) -> None:
    """Writes a Sequential or a single layer as an ONNX model (opset 20) in evaluation mode.

    A recurrent layer passes its output on, not its state, as in a Sequential; each layer of a stack becomes a node.
    The axes of batch and time have no fixed size. The file appears whole or not at all.

    Args:
        model: a layer of pyrnn.nn, or a Sequential of them.
        path: the path to write.
        input_shape: the shape of the input, with None for an axis of free size. By default it is what the first layers
            take, and [B,*] if they take any number of axes.

    Raises:
        ValueError: if a layer or one of its options has no counterpart in ONNX; the message names the layer.
        TypeError: if a layer is not one of pyrnn.nn.
        OSError: if the file cannot be written.
        ImportError: if the package onnx is not installed.

    >>> import pyrnn, onnx, tempfile
    >>> from pyrnn.io.onnx import save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(pyrnn.Linear(3, 2), f"{folder}/model.onnx")
    ...     [node.op_type for node in onnx.load(f"{folder}/model.onnx").graph.node]
    ['MatMul', 'Add']

    Source: https://onnx.ai/onnx/repo-docs/IR.html
    """
    onnx = onnx_package()
    data = _model(onnx, model, input_shape).SerializeToString()
    with replaced(path) as unfinished:
        Path(unfinished).write_bytes(data)


def _model(onnx: Any, model: Module, input_shape: Sequence[int | None] | None) -> Any:
    layers = _flat("", model)
    if not layers:
        raise ValueError("a Sequential without layers cannot be written as ONNX")
    axes = (
        _axes(layers) if input_shape is None else [f"axis_{i}" if n is None else n for i, n in enumerate(input_shape)]
    )
    writer = written.Writer(_dtype(layers), "input", len(axes))
    for name, layer in layers:
        write = next((WRITERS[kind] for kind in type(layer).__mro__ if kind in WRITERS), None)
        if write is None:
            raise TypeError(f"the layer {name} is a {type(layer).__name__}, which cannot be written as ONNX")
        writer.name = name
        write(writer, layer)
    writer.finish("output")
    value_info, kind = onnx.helper.make_tensor_value_info, onnx.helper.np_dtype_to_tensor_dtype
    first = layers[0][1]
    dtype = np.dtype(np.int64) if isinstance(first, nn.Embedding) else writer.dtype
    graph = onnx.helper.make_graph(
        writer.nodes,
        "pyrnn",
        [value_info("input", kind(dtype), axes)],
        [value_info("output", kind(writer.dtype), None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in writer.stored.items()],
    )
    made = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="pyrnn"
    )
    inferred = onnx.shape_inference.infer_shapes(made)
    if not inferred.graph.output[0].type.tensor_type.HasField("shape"):
        raise ValueError(f"no layer says how many axes the input has; {axes} does not fit them all: give input_shape=")
    made.graph.output[0].CopyFrom(inferred.graph.output[0])
    onnx.checker.check_model(made)
    return made


def _flat(prefix: str, model: Module) -> list[tuple[str, Module]]:
    """Lists all layers by dotted name, with those of nested Sequentials."""
    if not isinstance(model, nn.Sequential):
        return [(prefix or type(model).__name__, model)]
    return [
        found
        for name, layer in model._modules.items()
        for found in _flat(f"{prefix}.{name}" if prefix else name, layer)
    ]


def _dtype(layers: list[tuple[str, Module]]) -> np.dtype[Any]:
    dtypes = {value.dtype for _, layer in layers for value in layer.parameters().values()}
    if len(dtypes) > 1:
        raise ValueError("the layers have parameters of float32 and of float64; an ONNX model has one of them")
    return dtypes.pop() if dtypes else np.dtype(np.float32)


def _axes(layers: list[tuple[str, Module]]) -> list[str | int]:
    """Returns the input's axes as the first layer that knows them tells: names of free axes, sizes of the others."""
    for _, layer in layers:
        if axes := _asked(layer):
            if axes[-1] == "features":  # A layer in front, such as Linear, may change their number.
                axes[-1] = _features(layers)
            return axes
    return ["batch", _features(layers)]


def _asked(layer: Any) -> list[str | int]:
    """Returns the axes that a layer takes; [] if it takes any number."""
    if isinstance(layer, nn.Bidirectional):
        layer = layer.forward
    sequence: list[str | int] = ["batch", "time"] if getattr(layer, "batch_first", True) else ["time", "batch"]
    if isinstance(layer, nn.ChannelsLast):
        inner = _asked(layer.layer)
        return [*inner[:1], *inner[2:], *inner[1:2]]
    if isinstance(layer, nn.Embedding):
        return sequence
    if isinstance(layer, (Recurrent, nn.LastStep, nn.GlobalAveragePool1d, nn.GlobalMaxPool1d, nn.Reverse)):
        return [*sequence, "features"]
    channels = getattr(layer, "in_channels", getattr(layer, "num_features", "channels"))
    if isinstance(layer, (nn.Conv1d, nn.MaxPool1d, nn.AvgPool1d)):
        return ["batch", channels, "length"]
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.GlobalAveragePool2d, nn.GlobalMaxPool2d)):
        return ["batch", channels, "height", "width"]
    if isinstance(layer, nn.BatchNorm2d):
        return ["batch", channels, "height", "width"]
    if isinstance(layer, nn.Permute):
        return ["batch", *(f"axis_{i}" for i in range(1, len(layer.dims)))]
    return []


def _features(layers: list[tuple[str, Module]]) -> str | int:
    """Returns the size of the input's last axis, which the first layer with weights tells."""
    for _, layer in layers:
        inner: Any = layer.forward if isinstance(layer, nn.Bidirectional) else layer
        for name in ("input_size", "in_features", "num_features"):
            if hasattr(inner, name):
                size: int = getattr(inner, name)
                return size
        if isinstance(inner, nn.LayerNorm):
            return inner.normalized_shape[-1]
    return "features"
