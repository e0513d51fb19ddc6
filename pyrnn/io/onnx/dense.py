"""Reads nodes for layers without a window: Linear, activations, norms, dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn import Linear, nn
from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module

from .graph import Graph, Importer, floats
from .package import title
from .views import Atom, View, atoms, axis_of, followed, place, settled, shown, source_of


def matmul(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a MatMul with a constant matrix on the right."""
    view, [weight] = graph.input(node), graph.weights(node, 1, 1)
    if weight.ndim != 2:
        raise ValueError(f"{title(node)} has a constant of shape {weight.shape}; expected two axes")
    return _linear(graph, view, weight.T, None, title(node))


def gemm(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Gemm with constants B and C."""
    view, [weight] = graph.input(node), graph.weights(node, 1, 1)
    for name, plain in {"alpha": 1.0, "beta": 1.0, "transA": 0}.items():
        if given.pop(name, plain) != plain:
            raise ValueError(f"{title(node)} has the attribute {name}, which is supported as {plain} only")
    weight = weight if given.pop("transB", 0) else weight.T
    bias = graph.weights(node, 2, 1)[0] if len(node.input) > 2 and node.input[2] else None
    if len(view.axes) != 2 or weight.ndim != 2:
        raise ValueError(f"{title(node)} should have matrices of two axes")
    return _linear(graph, view, weight, bias, title(node))


def add(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads an Add of a constant to the output of a MatMul, as its bias."""
    constant = 0 if graph.constant(node.input[0]) else 1
    view, [bias] = graph.input(node, 1 - constant), graph.weights(node, constant, 1)
    source, who = floats(view, title(node)), title(node)
    layer = source.layers[-1] if source.layers else None
    fits = bias.ndim <= len(view.axes) and view.axes and place(view, -1, who) == len(source.axes) - 1
    if not isinstance(layer, Linear) or "bias" in layer.parameters() or not fits:
        raise ValueError(f"{who} is not the bias of a MatMul in front of it: no layer of pyrnn.nn adds a constant")
    made = _linear_layer(layer.parameters()["weight"], bias, who)
    return View(view.axes, type(source)(source.axes, [*source.layers[:-1], made], source.before))


def _linear(graph: Graph, view: View, weight: Array, bias: Array | None, who: str) -> View:
    floats(view, who)
    if view.axes:
        graph.learn(view, -1, weight.shape[1])
    if not view.axes or view.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"{who} has a matrix for {weight.shape[1]} features, and its input has axes {shown(view.axes)}"
        )
    if place(view, -1, who) != len(source_of(view, who).axes) - 1:
        view = settled(view, who)
    made = (Atom(weight.shape[0]),)
    axes = source_of(view, who).axes
    return followed(view, [_linear_layer(weight, bias, who)], [*axes[:-1], made], [*view.axes[:-1], made], who)


def _linear_layer(weight: Array, bias: Array | None, who: str) -> Linear:
    out, inner = weight.shape
    if bias is not None and (bias.size != out or (bias.ndim and bias.shape[-1] != out)):
        raise ValueError(f"{who} adds a constant of shape {bias.shape} to {out} features")
    layer = Linear(inner, out, bias=bias is not None, dtype=weight.dtype, seed=0)
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias.reshape(out)})
    return layer


def elementwise(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads an activation."""
    view, who = graph.input(node), title(node)
    source = floats(view, who)
    return followed(view, [_activation(node.op_type, given, who)], source.axes, view.axes, who)


def _activation(op: str, given: dict[str, Any], who: str) -> Module:
    plain: dict[str, type[Module]] = {"Relu": nn.ReLU, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh}
    if op in plain:
        return plain[op]()
    if op in ("Elu", "LeakyRelu"):
        alpha = _shortest(given.pop("alpha", 1.0 if op == "Elu" else 0.01))
        return nn.Activation("elu" if op == "Elu" else "leaky_relu", alpha)
    if op == "HardSigmoid":
        slope, shift = round(given.pop("alpha", 0.2), 6), round(given.pop("beta", 0.5), 6)
        names = {(0.2, 0.5): "hard_sigmoid_keras2", (0.166667, 0.5): "hard_sigmoid_keras3"}
        if (slope, shift) not in names:
            raise ValueError(f"{who} has alpha={slope} and beta={shift}; a slope of 0.2 or 1/6 is supported")
        return nn.Activation(names[slope, shift])
    if op == "Gelu":
        return nn.Activation("gelu_tanh" if given.pop("approximate", "none") == "tanh" else "gelu")
    return nn.Activation({"Softplus": "softplus", "Softsign": "softsign", "Exp": "exponential", "Selu": "selu"}[op])


def selu(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Selu with its usual constants."""
    for name, usual in {"alpha": 1.67326319, "gamma": 1.05070102}.items():
        if abs(given.pop(name, usual) - usual) > 1e-6:
            raise ValueError(f"{title(node)} has the attribute {name}, which is supported as {usual} only")
    return elementwise(graph, node, given)


def softmax(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Softmax over one axis."""
    view, who = graph.input(node), title(node)
    source, count = floats(view, who), len(view.axes)
    axis = axis_of(view, given.pop("axis", -1 if graph.opset >= 13 else 1), who)
    if graph.opset < 13 and axis != count - 1:
        raise ValueError(f"{who} has axis={axis}, which before opset 13 takes all axes from there as one")
    if (dim := place(view, axis, who)) is None:
        view = settled(view, who)
        source, dim = source_of(view, who), axis
    return followed(view, [nn.Softmax(-1 if dim == len(source.axes) - 1 else dim)], source.axes, view.axes, who)


def layer_norm(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a LayerNormalization over the last axes."""
    view, who = graph.input(node), title(node)
    floats(view, who)
    axis, eps = axis_of(view, given.pop("axis", -1), who), given.pop("epsilon", 1e-5)
    if given.pop("stash_type", 1) != 1:
        raise ValueError(f"{who} has the attribute stash_type, which is supported as 1 only")
    parameters = dict(zip(("weight", "bias"), graph.weights(node, 1, len(node.input) - 1), strict=False))
    for i, size in enumerate(parameters["weight"].shape[::-1][: len(view.axes) - axis]):
        graph.learn(view, -1 - i, size)
    shape = view.shape[axis:]
    if any(value.shape != shape for value in parameters.values()):
        raise ValueError(
            f"{who} has a scale or bias of another shape than the axes {shown(view.axes[axis:])} it normalises"
        )
    if [atoms([a]) for a in source_of(view, who).axes[-len(shape) :]] != [atoms([a]) for a in view.axes[axis:]]:
        view = settled(view, who)
    dtype = parameters["weight"].dtype
    layer = nn.LayerNorm(list(shape), eps=_shortest(eps), bias="bias" in parameters, dtype=dtype)
    layer.load_state_dict(parameters)
    return followed(view, [layer], source_of(view, who).axes, view.axes, who)


def batch_norm(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a BatchNormalization with running statistics."""
    view, who = settled(graph.input(node), title(node)), title(node)
    source, values = floats(view, who), graph.weights(node, 1, 4)
    if given.pop("training_mode", 0) or sum(map(bool, node.output)) > 1:
        raise ValueError(f"{who} is in training_mode; export the model in evaluation mode")
    given.pop("momentum", None)  # The momentum matters in training only.
    if len(view.axes) > 1:
        graph.learn(view, 1, values[0].size)
    if len(view.axes) not in (2, 3, 4) or any(value.shape != view.shape[1:2] for value in values):
        raise ValueError(f"{who} has an input of {len(view.axes)} axes, or statistics not of its channels")
    kind = nn.BatchNorm2d if len(view.axes) == 4 else nn.BatchNorm1d
    layer = kind(view.shape[1], eps=_shortest(given.pop("epsilon", 1e-5)), dtype=values[0].dtype)
    names = ("weight", "bias", "running_mean", "running_var")
    layer.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    return followed(view, [layer], source.axes, view.axes, who)


def _shortest(value: float) -> float:
    """Returns the decimal number with the fewest digits for a float32: an attribute stores 1e-5 as 9.99999974e-06."""
    return float(str(np.float32(value)))


def dropout(graph: Graph, node: Any, given: dict[str, Any]) -> View:
    """Reads a Dropout, which has no effect in evaluation."""
    view, who = graph.input(node), title(node)
    ratio, training = graph.weight(node, 1), graph.weight(node, 2)
    if training is not None and training.any():
        raise ValueError(f"{who} has training_mode on; export the model in evaluation mode")
    given.pop("seed", None)
    p = _shortest(given.pop("ratio", 0.5) if ratio is None else ratio.item())
    return followed(view, [nn.Dropout(p)], floats(view, who).axes, view.axes, who)


IMPORTERS: dict[str, Importer] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "Add": add,
    "Selu": selu,
    "Softmax": softmax,
    "LayerNormalization": layer_norm,
    "BatchNormalization": batch_norm,
    "Dropout": dropout,
    **dict.fromkeys(
        ("Relu", "Sigmoid", "Tanh", "Elu", "LeakyRelu", "HardSigmoid", "Gelu", "Softplus", "Softsign", "Exp"),
        elementwise,
    ),
}
