"""A layer's call lays out input and options time first, runs, and returns results in the caller's layout.

Letters in shapes: T time, B batch, P proj_size or H, D directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from .call import Call, Inputs, parts_of
from .coverage import bad_packing
from .kernels import Packed
from .keywords import NONE, Keywords, with_keywords
from .sequences import Rows


def call_layer(
    layer: Any, execute: Any, packed: Packed | None, weights: Any, input: Any, hx: Any, keywords: Keywords
) -> Any:
    """Computes a call with `execute`, which takes the sequence time first."""
    call = Call(layer.network(), None) if packed is None else Call(packed.network, packed.weights)
    if isinstance(input, PackedSequence):
        return call_packed(layer, execute, call, weights, input, hx, keywords)
    swapped = layer.batch_first and input.dim() == 3
    x = input.transpose(0, 1) if swapped else input
    resets: tuple[Tensor, ...] = ()
    if keywords is not NONE:
        call, resets = with_keywords(call, keywords, x, swapped)
    if layer.training and layer.dropout and layer.num_layers > 1:
        call = call._replace(masks=dropout_masks(layer, x, None))
    output, *final = execute(call, Inputs(x, parts_of(hx, layer.mode == "LSTM"), resets, weights))
    if swapped:
        output = output.transpose(0, 1)
    if layer.mode != "LSTM":
        return output, final[0]
    if not call.all_states:
        return output, tuple(final)
    return output, tuple(final[:2]), final[2].transpose(0, 1) if swapped else final[2]


def call_packed(
    layer: Any, execute: Any, call: Call, weights: Any, input: PackedSequence, hx: Any, keywords: Keywords
) -> Any:
    """Computes a call on packed data: it pads the sequences, and marks their own steps as active."""
    if reason := bad_packing(input):
        raise ValueError(reason)
    if keywords[:5] != NONE[:5]:
        raise ValueError("lengths=, mask= and reset= take a padded input: a PackedSequence has its lengths in it")
    rows = Rows.of(input.batch_sizes)
    x = rows.pad(input.data)
    call = with_keywords(call, keywords, x, False)[0]._replace(active=rows.active)
    if layer.training and layer.dropout and layer.num_layers > 1:
        call = call._replace(masks=dropout_masks(layer, x, rows))
    hx = None if hx is None else layer.permute_hidden(hx, input.sorted_indices)
    output, *final = execute(call, Inputs(x, parts_of(hx, layer.mode == "LSTM"), (), weights))
    hidden = layer.permute_hidden(tuple(final[:2]) if layer.mode == "LSTM" else final[0], input.unsorted_indices)
    packed = [PackedSequence(rows.pack(sequence), *input[1:]) for sequence in (output, *final[2:])]
    return packed[0], hidden, *packed[1:]


def dropout_masks(layer: Any, x: Tensor, rows: Rows | None) -> tuple[Tensor, ...]:
    """Draws the factors [T,B,D*P] that torch would draw, with its generator; for packed data in their order."""
    if not 0 <= layer.dropout <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {layer.dropout}")
    width = (layer.proj_size or layer.hidden_size) * (1 + layer.bidirectional)
    with torch.no_grad():
        ones = x.new_ones(len(x), x.shape[1] if x.dim() == 3 else 1, width)
        ones = ones if rows is None else rows.pack(ones)
        drawn = [dropout(ones, layer.dropout, True) for _ in range(layer.num_layers - 1)]
        return tuple(drawn if rows is None else map(rows.pad, drawn))
