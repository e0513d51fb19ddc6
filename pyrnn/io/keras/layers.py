"""Converts Keras' layers without a recurrence to those of pyrnn.nn, for batch-first arrays with the channels last."""

from __future__ import annotations

from math import prod

from pyrnn import Linear, nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

from . import activations, layouts
from .config import KerasLayer, shown, text
from .flow import Flow

Modules = list[Module]


def input_layer(layer: KerasLayer, flow: Flow) -> Modules:
    layer.expect(sparse=False, ragged=False)
    return []


def dense(layer: KerasLayer, flow: Flow, owner: KerasLayer | None = None) -> Modules:
    """Converts Dense, with the arrays of the layer that wraps it if there is one."""
    bias, units = layer.flag("use_bias", True), layer.size("units")
    arrays = flow.take(owner or layer, ("kernel", "bias") if bias else ("kernel",))
    check_shape(layer, "kernel", arrays["kernel"], (None, units))
    made = Linear(arrays["kernel"].shape[0], units, bias=bias, dtype=flow.dtype(layer), seed=0)
    flow.fill(layer, made, layouts.dense(arrays))
    return [made, *activations.after(layer)]


def time_distributed(layer: KerasLayer, flow: Flow) -> Modules:
    inner = layer.inner("layer")
    if inner.kind != "Dense":
        layer.refuse(f"layer={shown(inner.kind)} is not supported, only Dense")
    found = dense(inner, flow, layer)
    inner.close()
    return found


def embedding(layer: KerasLayer, flow: Flow) -> Modules:
    rows, width, mask_zero = layer.size("input_dim"), layer.size("output_dim"), layer.flag("mask_zero")
    arrays = flow.take(layer, ("embeddings",))
    check_shape(layer, "embeddings", arrays["embeddings"], (rows, width))
    if mask_zero and flow.rank not in (None, 2):
        layer.refuse(f"mask_zero=True needs an input of two axes, batch and time, got {flow.rank}")
    made = nn.Embedding(rows, width, mask_zero=mask_zero, dtype=flow.dtype(layer), seed=0)
    flow.fill(layer, made, layouts.embedding(arrays))
    flow.mask_from, flow.rank, flow.turned = layer.name if mask_zero else None, 1 + (flow.rank or 2), False
    return [made]


def masking(layer: KerasLayer, flow: Flow) -> Modules:
    if flow.rank not in (None, 3):
        layer.refuse(f"it needs an input of three axes, batch, time and features, got {flow.rank}")
    flow.mask_from, flow.rank, flow.turned = layer.name, 3, False
    return [nn.Masking(layer.number("mask_value", 0.0))]


def dropout(layer: KerasLayer, flow: Flow) -> Modules:
    return [nn.Dropout(layer.number("rate"))]


def spatial_dropout(layer: KerasLayer, flow: Flow) -> Modules:
    return [nn.SpatialDropout1D(layer.number("rate"), batch_first=True)]


def activation(layer: KerasLayer, flow: Flow) -> Modules:
    return activations.after(layer)


def relu(layer: KerasLayer, flow: Flow) -> Modules:
    layer.expect(max_value=None, negative_slope=0.0, threshold=0.0)
    return [nn.ReLU()]


def leaky_relu(layer: KerasLayer, flow: Flow) -> Modules:
    slope = "alpha" if layer.get("alpha") is not None else "negative_slope"
    return [nn.Activation("leaky_relu", alpha=layer.number(slope, 0.3))]


def elu(layer: KerasLayer, flow: Flow) -> Modules:
    return [nn.Activation("elu", alpha=layer.number("alpha", 1.0))]


def softmax(layer: KerasLayer, flow: Flow) -> Modules:
    layer.last_axis("axis", flow.rank)
    if flow.mask_from is not None:
        layer.refuse("it is given a mask, which it would apply to the features; end the mask before it")
    return [nn.Softmax()]


def batch_normalization(layer: KerasLayer, flow: Flow) -> Modules:
    layer.last_axis("axis", flow.rank)
    layer.expect(renorm=False)
    center, scale = layer.flag("center", True), layer.flag("scale", True)
    names = ("gamma",) * scale + ("beta",) * center + ("moving_mean", "moving_variance")
    arrays = flow.take(layer, names)
    mean = arrays["moving_mean"]
    check_shape(layer, "moving_mean", mean, (None,))
    kind = nn.BatchNorm2d if flow.rank == 4 else nn.BatchNorm1d
    if flow.rank is None:
        layer.refuse("the file does not say the shape of the model's input: save it again with an input shape")
    made = kind(
        len(mean),
        eps=layer.number("epsilon", 1e-3),
        # pyrnn's momentum is the weight of the new statistics, Keras' that of the old.
        momentum=1 - layer.number("momentum", 0.99),
        dtype=flow.dtype(layer),
    )
    flow.fill(layer, made, layouts.batch_norm(arrays))
    return [made if flow.rank == 2 else nn.ChannelsLast(made)]


def layer_normalization(layer: KerasLayer, flow: Flow) -> Modules:
    layer.last_axis("axis", flow.rank)
    layer.expect(rms_scaling=False)
    center, scale = layer.flag("center", True), layer.flag("scale", True)
    arrays = flow.take(layer, ("gamma",) * scale + ("beta",) * center)
    if not arrays:
        layer.refuse("center=False with scale=False is not supported: the file does not say its size")
    some = next(iter(arrays.values()))
    check_shape(layer, "gamma" if scale else "beta", some, (None,))
    made = nn.LayerNorm(len(some), eps=layer.number("epsilon", 1e-3), dtype=flow.dtype(layer))
    flow.fill(layer, made, layouts.layer_norm(arrays))
    return [made]


def flatten(layer: KerasLayer, flow: Flow) -> Modules:
    check_channels_last(layer)
    flow.end_time(2)
    return [nn.Flatten()]


def reshape(layer: KerasLayer, flow: Flow) -> Modules:
    shape = layer.get("target_shape")
    if not isinstance(shape, list) or not all(type(n) is int for n in shape):
        layer.refuse(f"target_shape should be a list of integers, got {quoted(text(shape))}")
    flow.claim(prod(max(n, 1) for n in shape), f"target_shape={shown(shape)}")
    flow.end_time(1 + len(shape))
    return [nn.Reshape(shape)]


def permute(layer: KerasLayer, flow: Flow) -> Modules:
    dims = layer.get("dims")
    whole = isinstance(dims, list) and all(type(n) is int for n in dims)
    if not whole or sorted(dims) != list(range(1, len(dims) + 1)):
        layer.refuse(f"dims should be a list of the axes from 1 on, got {quoted(text(dims))}")
    flow.end_time(1 + len(dims))
    return [nn.Permute((0, *dims))]


def repeat_vector(layer: KerasLayer, flow: Flow) -> Modules:
    steps = layer.size("n")
    flow.claim(steps, f"n={steps}")
    flow.end_time(3)
    return [nn.RepeatVector(steps, batch_first=True)]


def check_shape(layer: KerasLayer, name: str, array: Array, shape: tuple[int | None, ...]) -> None:
    fits = len(shape) == array.ndim and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if not fits or not array.size:
        expected = ", ".join("any" if n is None else str(n) for n in shape)
        layer.refuse(f"{name} should have shape ({expected}), got {array.shape}")


def check_channels_last(layer: KerasLayer) -> None:
    if layer.get("data_format") not in (None, "channels_last"):
        layer.refuse(f"data_format={shown(layer.get('data_format'))} is not supported, only channels_last")
