"""Writes each layer of pyrnn.nn as ONNX nodes; written_recurrent.py writes the recurrent ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyrnn import Linear, nn
from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module

from .package import onnx_package


class Writer:
    """Collects the nodes and constants written so far.

    Attributes:
        dtype: the dtype of the model's floats.
        value: the name of the value that the layers so far compute.
        rank: the number of its axes.
        name: the name of the layer, for nodes and messages.
        nodes: the nodes.
        stored: the constants by name.
    """

    def __init__(self, dtype: np.dtype[Any], value: str, rank: int) -> None:
        self.dtype, self.value, self.rank, self.name = dtype, value, rank, ""
        self.nodes: list[Any] = []
        self.stored: dict[str, Array] = {}
        self._count = 0

    def node(self, op: str, inputs: Sequence[str], outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Adds a node and returns the name of its output, which becomes `value`."""
        self._count += 1
        name = f"{self.name}/{op}_{self._count}"
        names = list(outputs) or [name]
        self.nodes.append(onnx_package().helper.make_node(op, list(inputs), names, name=name, **attributes))
        self.value = next(output for output in names if output)
        return self.value

    def finish(self, output: str) -> None:
        """Renames the last value to the model's output."""
        if not self.nodes:
            self.node("Identity", [self.value])
        last = self.nodes[-1].output
        last[list(last).index(self.value)] = output

    def constant(self, value: Array, name: str = "constant") -> str:
        """Stores an array and returns its name; floats take the model's dtype."""
        self._count += 1
        full = f"{self.name}.{name}_{self._count}"
        kept = value if value.dtype.kind == "i" else value.astype(self.dtype)
        self.stored[full] = np.array(kept, order="C")
        return full

    def integers(self, *values: int) -> str:
        """Stores a constant of int64 and returns its name."""
        return self.constant(np.array(values, np.int64), "axes")

    def transpose(self, *order: int) -> str:
        """Adds a Transpose."""
        return self.node("Transpose", [self.value], perm=list(order))

    def refuse(self, what: str) -> ValueError:
        """Returns the error for an option that ONNX lacks."""
        return ValueError(f"the layer {self.name} has {what}, which cannot be written as ONNX")


Write = Callable[[Writer, Any], None]


def linear(writer: Writer, layer: Linear) -> None:
    """Writes MatMul and Add, because Gemm takes two axes only."""
    writer.node("MatMul", [writer.value, writer.constant(layer.weight.T, "weight")])
    if "bias" in layer.parameters():
        writer.node("Add", [writer.value, writer.constant(layer.bias, "bias")])


def embedding(writer: Writer, layer: nn.Embedding) -> None:
    """Writes a Gather."""
    if layer.mask_zero:
        raise writer.refuse("mask_zero=True")
    writer.node("Gather", [writer.constant(layer.weight, "weight"), writer.value], axis=0)
    writer.rank += 1


ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "linear": ("Identity", {}),
    "identity": ("Identity", {}),
    "hard_sigmoid_keras2": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "hard_sigmoid_keras3": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "elu": ("Elu", {"alpha": 1.0}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "exponential": ("Exp", {}),
    "gelu": ("Gelu", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
}


def activation(writer: Writer, layer: nn.Activation) -> None:
    """Writes the operator of an activation's name; silu, which has no operator, becomes x Sigmoid(x)."""
    if layer.name in ("silu", "swish"):
        before = writer.value
        writer.node("Mul", [before, writer.node("Sigmoid", [before])])
        return
    if layer.name not in ACTIVATIONS:
        raise writer.refuse(f"the activation {layer.name}")
    op, attributes = ACTIVATIONS[layer.name]
    chosen = {"alpha": layer.alpha} if layer.alpha is not None else {}
    writer.node(op, [writer.value], **{**attributes, **chosen})


def softmax(writer: Writer, layer: nn.Softmax) -> None:
    """Writes a Softmax."""
    writer.node("Softmax", [writer.value], axis=layer.dim)


def layer_norm(writer: Writer, layer: nn.LayerNorm) -> None:
    """Writes a LayerNormalization."""
    parameters = layer.parameters()
    scale = parameters.get("weight", np.ones(layer.normalized_shape, writer.dtype))
    inputs = [writer.value, writer.constant(scale, "weight")]
    if "bias" in parameters:
        inputs.append(writer.constant(parameters["bias"], "bias"))
    writer.node("LayerNormalization", inputs, axis=-len(layer.normalized_shape), epsilon=layer.eps)


def batch_norm(writer: Writer, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
    """Writes a BatchNormalization with running statistics."""
    names = ("weight", "bias", "running_mean", "running_var")
    values = [writer.constant(getattr(layer, name), name) for name in names]
    writer.node("BatchNormalization", [writer.value, *values], epsilon=layer.eps)


def conv(writer: Writer, layer: nn.Conv1d | nn.Conv2d) -> None:
    """Writes a Conv."""
    options = _windows(layer)
    options |= {"dilations": layer.config()["dilation"], "group": layer.groups}
    parameters = [writer.constant(value, name) for name, value in layer.parameters().items()]
    writer.node("Conv", [writer.value, *parameters], **options)


def pool(writer: Writer, layer: Any) -> None:
    """Writes a MaxPool or AveragePool."""
    options = _windows(layer)
    if isinstance(layer, (nn.AvgPool1d, nn.AvgPool2d)):
        counted = layer.count_include_pad and options.get("auto_pad") != "SAME_UPPER"
        writer.node("AveragePool", [writer.value], count_include_pad=int(counted), **options)
    else:
        writer.node("MaxPool", [writer.value], **options)


def _windows(layer: Any) -> dict[str, Any]:
    config = layer.config()
    options = {"kernel_shape": config["kernel_size"], "strides": config["stride"]}
    padding = config["padding"]
    if isinstance(padding, str):
        return {**options, "auto_pad": {"same": "SAME_UPPER", "valid": "VALID"}[padding]}
    pairs = [pad if isinstance(pad, (list, tuple)) else (pad, pad) for pad in padding]
    return {**options, "pads": [before for before, _ in pairs] + [after for _, after in pairs]}


def overall(writer: Writer, layer: Any) -> None:
    """Writes a ReduceMean or ReduceMax over time or space."""
    average = isinstance(layer, (nn.GlobalAveragePool1d, nn.GlobalAveragePool2d))
    axes = [2, 3] if not hasattr(layer, "batch_first") else [1 if layer.batch_first else 0]
    writer.node("ReduceMean" if average else "ReduceMax", [writer.value, writer.integers(*axes)], keepdims=0)
    writer.rank -= len(axes)


def last_step(writer: Writer, layer: nn.LastStep) -> None:
    """Writes a Gather of the last index."""
    index = writer.constant(np.array(-1, np.int64), "last")
    writer.node("Gather", [writer.value, index], axis=1 if layer.batch_first else 0)
    writer.rank -= 1


def reverse(writer: Writer, layer: nn.Reverse) -> None:
    """Writes a Slice that runs backward."""
    ends = np.iinfo(np.int64).min
    parts = [writer.integers(number) for number in (-1, ends, 1 if layer.batch_first else 0, -1)]
    writer.node("Slice", [writer.value, *parts])


def flatten(writer: Writer, layer: nn.Flatten) -> None:
    """Writes a Reshape in which 0 keeps an axis; if axes followed the flattened ones, it would need their sizes."""
    first, last = layer.start_dim % writer.rank, layer.end_dim % writer.rank
    if last != writer.rank - 1:
        raise writer.refuse(f"end_dim={layer.end_dim}, not the last axis,")
    writer.node("Reshape", [writer.value, writer.integers(*[0] * first, -1)])
    writer.rank = first + 1


def reshape(writer: Writer, layer: nn.Reshape) -> None:
    """Writes a Reshape that keeps the batch."""
    writer.node("Reshape", [writer.value, writer.integers(0, *layer.shape)])
    writer.rank = 1 + len(layer.shape)


def permute(writer: Writer, layer: nn.Permute) -> None:
    """Writes a Transpose."""
    writer.transpose(*layer.dims)


def repeat(writer: Writer, layer: nn.RepeatVector) -> None:
    """Writes an Unsqueeze and an Expand."""
    axis = 1 if layer.batch_first else 0
    writer.node("Unsqueeze", [writer.value, writer.integers(axis)])
    counts = [layer.n if i == axis else 1 for i in range(3)]
    writer.node("Expand", [writer.value, writer.integers(*counts)])
    writer.rank = 3


def channels_last(writer: Writer, layer: nn.ChannelsLast) -> None:
    """Writes the inner layer between two Transposes."""
    for kind in type(layer.layer).__mro__:
        if kind in WRITERS:
            writer.transpose(0, writer.rank - 1, *range(1, writer.rank - 1))
            WRITERS[kind](writer, layer.layer)
            writer.transpose(0, *range(2, writer.rank), 1)
            return
    raise writer.refuse(f"a {type(layer.layer).__name__} inside")


def nothing(writer: Writer, layer: Module) -> None:
    """Writes nothing: Dropout has no effect in evaluation."""


WRITERS: dict[type, Write] = {
    Linear: linear,
    nn.Embedding: embedding,
    nn.Activation: activation,
    nn.Softmax: softmax,
    nn.LayerNorm: layer_norm,
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm2d: batch_norm,
    nn.Conv1d: conv,
    nn.Conv2d: conv,
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d), pool),
    **dict.fromkeys((nn.GlobalAveragePool1d, nn.GlobalAveragePool2d, nn.GlobalMaxPool1d, nn.GlobalMaxPool2d), overall),
    nn.LastStep: last_step,
    nn.Reverse: reverse,
    nn.Flatten: flatten,
    nn.Reshape: reshape,
    nn.Permute: permute,
    nn.RepeatVector: repeat,
    nn.ChannelsLast: channels_last,
    nn.Dropout: nothing,
    nn.SpatialDropout1D: nothing,
}
