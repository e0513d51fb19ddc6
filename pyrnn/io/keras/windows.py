"""Converts Keras' convolutions and poolings to those of pyrnn.nn."""

from __future__ import annotations

from math import prod
from typing import Any

from pyrnn import nn

from . import activations, layouts
from .config import KerasLayer, shown
from .flow import Flow
from .layers import Modules, check_channels_last, check_shape


def conv1d(layer: KerasLayer, flow: Flow) -> Modules:
    return _conv(layer, flow, 1)


def conv2d(layer: KerasLayer, flow: Flow) -> Modules:
    return _conv(layer, flow, 2)


def _conv(layer: KerasLayer, flow: Flow, dims: int) -> Modules:
    check_channels_last(layer)
    bias, filters = layer.flag("use_bias", True), layer.size("filters")
    sizes, dilation = layer.sizes("kernel_size", dims), layer.sizes("dilation_rate", dims, 1)
    stride, groups = layer.sizes("strides", dims, 1), layer.size("groups") if layer.get("groups") is not None else 1
    padding: Any = layer.get("padding", "valid")
    if padding == "causal" and dims == 1:
        padding = [((sizes[0] - 1) * dilation[0], 0)]
    elif padding not in ("valid", "same"):
        layer.refuse(f"padding={shown(padding)} is not supported")
    arrays = flow.take(layer, ("kernel", "bias") if bias else ("kernel",))
    kernel = arrays["kernel"]
    check_shape(layer, "kernel", kernel, (*sizes, None, filters))
    if filters % groups:
        layer.refuse(f"groups={groups} does not divide filters={filters}")
    spans = [(size - 1) * step + 1 for size, step in zip(sizes, dilation, strict=True)]
    flow.claim(prod(spans) * kernel.shape[-2], f"a kernel that spans {spans} places")
    kind = nn.Conv1d if dims == 1 else nn.Conv2d
    made = kind(
        kernel.shape[-2] * groups, filters, sizes, stride, padding, dilation, groups, bias,
        dtype=flow.dtype(layer), seed=0,
    )  # fmt: skip
    flow.fill(layer, made, layouts.conv(arrays))
    flow.end_time(dims + 2)
    return [nn.ChannelsLast(made), *activations.after(layer)]


def pooling(layer: KerasLayer, flow: Flow) -> Modules:
    """Converts MaxPooling1D, MaxPooling2D, AveragePooling1D and AveragePooling2D."""
    check_channels_last(layer)
    dims = 1 if layer.kind.endswith("1D") else 2
    sizes = layer.sizes("pool_size", dims)
    stride = sizes if layer.get("strides") is None else layer.sizes("strides", dims)
    padding = layer.get("padding", "valid")
    if padding not in ("valid", "same"):
        layer.refuse(f"padding={shown(padding)} is not supported")
    flow.claim(prod(sizes), f"pool_size={sizes}")
    kind: Any = getattr(nn, ("MaxPool" if layer.kind.startswith("Max") else "AvgPool") + f"{dims}d")
    flow.end_time(dims + 2)
    return [nn.ChannelsLast(kind(sizes, stride, padding if padding == "same" else 0))]


def global_pooling(layer: KerasLayer, flow: Flow) -> Modules:
    """Converts the global poolings; of them only GlobalAveragePooling1D uses a mask."""
    check_channels_last(layer)
    layer.expect(keepdims=False)
    average = layer.kind.startswith("GlobalAverage")
    if average and layer.kind.endswith("1D"):
        flow.heed_mask(layer)
    flow.end_time(2)
    if layer.kind.endswith("2D"):
        return [nn.ChannelsLast(nn.GlobalAveragePool2d() if average else nn.GlobalMaxPool2d())]
    return [
        nn.GlobalAveragePool1d(batch_first=True) if average else nn.GlobalMaxPool1d(batch_first=True, masked=False)
    ]
