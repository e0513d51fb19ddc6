"""This module decides which calls the kernels run. torch runs the others, and raises the errors of wrong arguments."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils.rnn import PackedSequence

from pyrnn.checks.quoting import brief

PLAIN = (Tensor, Parameter)
STRIDED = torch.strided
DTYPES = (torch.float32, torch.float64)

INVALID = "torch reports what is wrong with it"


def not_plain(tensor: Any, what: str, dtype: torch.dtype) -> str | None:
    """Says why the kernels cannot read `tensor` as numbers of `dtype`; None if they can."""
    if (
        type(tensor) in PLAIN
        and tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.layout is STRIDED
        and not tensor.is_neg()
    ):
        return None
    if type(tensor) not in PLAIN:
        return f"{what} is of {type(tensor).__name__}, not a plain tensor"
    if not tensor.is_cpu:
        return f"{what} is on {tensor.device}, not on the CPU"
    if tensor.layout is not torch.strided or tensor.is_neg():
        return f"{what} is not stored as plain numbers"
    return f"{what} is of {tensor.dtype}, the weights of {dtype}: {INVALID}"


def bad_weights(weights: list[Any]) -> str | None:
    for weight in weights:
        if type(weight) not in PLAIN or not weight.is_cpu:
            return "a weight is not a plain tensor on the CPU"
    dtype = weights[0].dtype
    if dtype not in DTYPES:
        return f"the weights are of {dtype}; the kernels know float32 and float64"
    return next((reason for weight in weights if (reason := not_plain(weight, "a weight", dtype))), None)


def bad_state(hx: Any, shapes: tuple[tuple[int, ...], ...], is_pair: bool, dtype: torch.dtype) -> str | None:
    if is_pair and (not isinstance(hx, (tuple, list)) or len(hx) != 2):
        return f"hx is not a pair (h, c): {INVALID}"
    for part, shape in zip(hx if is_pair else (hx,), shapes, strict=True):
        reason = not_plain(part, "hx", dtype)
        if reason is not None:
            return reason
        if part.shape != shape:
            return f"hx is of shape {tuple(part.shape)}, expected {shape}: {INVALID}"
    return None


def bad_layer_call(layer: Any, input: Any, hx: Any) -> str | None:
    """Says why the kernels cannot run `layer(input, hx)`, given that `bad_weights` found nothing; None if they can."""
    if (layer.proj_size and layer.mode != "LSTM") or type(layer.bidirectional) is not bool:
        return f"the layer's options are unusual: {INVALID}"
    if not 0 <= layer.dropout <= 1:
        return f"dropout is {layer.dropout}: {INVALID}"
    dtype = layer._flat_weights[0].dtype
    data = input
    batch: tuple[int, ...] = ()
    dims: tuple[int, ...] = (2, 3)
    if isinstance(input, PackedSequence):
        if reason := bad_packing(input):
            return reason
        data, batch, dims = input.data, (int(input.batch_sizes[0]),), (2,)
    if reason := not_plain(data, "input", dtype):
        return reason
    if data is input and input.dim() == 3:
        batch = (input.shape[0 if layer.batch_first else 1],)
    if data.dim() not in dims or data.shape[-1] != layer.input_size:
        return f"input is of shape {tuple(data.shape)}: {INVALID}"
    if data is input and data.shape[1 if layer.batch_first and batch else 0] == 0:
        return f"input has no steps: {INVALID}"
    if hx is None:
        return None
    runs, hidden = layer.num_layers * (1 + layer.bidirectional), layer.hidden_size
    shapes: tuple[tuple[int, ...], ...] = ((runs, *batch, layer.proj_size or hidden), (runs, *batch, hidden))
    return bad_state(hx, shapes if layer.mode == "LSTM" else shapes[:1], layer.mode == "LSTM", dtype)


def check_call(layer: Any, input: Any, hx: Any) -> None:
    """Raises torch's errors, in its words, for a `layer(input, hx)` that torch's operators will run."""
    if isinstance(input, PackedSequence):
        if hx is not None:
            layer.check_forward_args(input.data, hx, input.batch_sizes)
        return
    dims, is_pair = input.dim(), layer.mode == "LSTM"
    if dims not in (2, 3):
        words = " tensor" if layer.mode.startswith("RNN") else ""
        raise ValueError(f"{layer._get_name()}: Expected input to be 2D or 3D, got {dims}D{words} instead")
    parts = hx if is_pair and hx is not None else () if hx is None else (hx,)
    if any(part.dim() != dims for part in parts):
        found = ", ".join(f"{part.dim()}-D" for part in parts)
        raise RuntimeError(
            f"For {'batched' if dims == 3 else 'unbatched'} {dims}-D input, {'hx and cx' if is_pair else 'hx'} should "
            f"also be {dims}-D but got " + (f"({found}) tensors" if is_pair else f"{found} tensor")
        )
    batch_axis = 0 if layer.batch_first else 1
    if dims == 2:
        input, parts = input.unsqueeze(batch_axis), tuple(part.unsqueeze(1) for part in parts)
    if input.shape[1 - batch_axis] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if parts:
        layer.check_forward_args(input, parts if is_pair else parts[0], None)
    else:
        layer.check_input(input, None)


def bad_packing(packed: PackedSequence) -> str | None:
    sizes = packed.batch_sizes
    if type(sizes) is not Tensor or sizes.dtype is not torch.int64 or sizes.dim() != 1 or not sizes.is_cpu:
        return f"batch_sizes is not a vector of int64: {INVALID}"
    if not isinstance(packed.data, Tensor) or packed.data.dim() != 2:
        return f"the packed data has other than 2 dimensions: {INVALID}"
    found = sizes.tolist()
    if not found or found[-1] < 1 or sorted(found, reverse=True) != found or sum(found) > len(packed.data):
        return f"batch_sizes does not fit the data: {INVALID}"
    return None


def bad_cell_call(cell: Any, input: Any, hx: Any, is_pair: bool) -> str | None:
    """Says why the kernels cannot run `cell(input, hx)`, given that `bad_weights` found nothing; None if they can."""
    if getattr(cell, "nonlinearity", "tanh") not in ("tanh", "relu"):
        return f"nonlinearity is {brief(cell.nonlinearity)}: {INVALID}"
    dtype = cell.weight_ih.dtype
    if reason := not_plain(input, "input", dtype):
        return reason
    if input.dim() not in (1, 2) or input.shape[-1] != cell.input_size:
        return f"input is of shape {tuple(input.shape)}: {INVALID}"
    if not cell.input_size or not cell.hidden_size:
        return "the cell has no inputs or no units"
    shape = (*input.shape[:-1], cell.hidden_size)
    return None if hx is None else bad_state(hx, (shape, shape)[: 1 + is_pair], is_pair, dtype)
