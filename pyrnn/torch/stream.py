"""A stream runs sequences on tensors that arrive step by step, and keeps their state between calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from pyrnn.core import stream

from .kernels import packed_weights


class TensorStream(stream.Stream):
    """`pyrnn.Stream` on tensors, made by `layer.stream(batch)`. Its results have no gradients.

    Example:
        >>> import torch, pyrnn.torch
        >>> gru = pyrnn.torch.GRU(3, 5)
        >>> x = torch.randn(7, 2, 3)
        >>> stream = gru.stream(batch=2)
        >>> y = torch.stack([stream.step(x_t) for x_t in x])
        >>> bool((y == gru(x)[0]).all())
        True
    """

    _kind = Tensor

    def __init__(self, layer: Any, batch: int) -> None:
        super().__init__(
            packed_weights(layer, layer.weights()).weights, batch, layer.mode == "LSTM", layer.batch_first
        )
