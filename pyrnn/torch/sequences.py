"""Packed sequences become padded ones and a mask of the active steps, which the kernels take.

Letters in shapes: T time, B batch, I features, N rows of packed data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function


class Pad(Function):
    """Moves rows [N,I] to their places in zeros [T*B,I]."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, places: Tensor, size: int) -> Tensor:
        ctx.save_for_backward(places)
        return data.new_zeros(size, data.shape[1]).index_copy_(0, places, data)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return Pack.apply(grad, *ctx.saved_tensors), None, None  # type: ignore[no-untyped-call]


class Pack(Function):
    """Takes rows [N,I] from their places in [T*B,I]. torch's gradient of index_select adds row by row and is slow."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.size = len(padded)
        return padded.index_select(0, places)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return Pad.apply(grad, *ctx.saved_tensors, ctx.size), None  # type: ignore[no-untyped-call]


class Rows(NamedTuple):
    """The places of packed rows in [T,B]: step t holds one row of each of the first batch_sizes[t] sequences."""

    extent: tuple[int, int]
    active: Tensor | None  # bool [T,B], None if all are active
    places: Tensor | None  # the places of its True elements in [T*B]

    @staticmethod
    def of(batch_sizes: Tensor) -> Rows:
        extent = len(batch_sizes), int(batch_sizes[0])
        if batch_sizes[-1] == extent[1]:
            return Rows(extent, None, None)
        active = torch.arange(extent[1]) < batch_sizes[:, None]
        return Rows(extent, active, active.flatten().nonzero().squeeze(1))

    def pad(self, data: Tensor) -> Tensor:
        """Makes [T,B,I] of [N,I], with zeros between; rows beyond N are left out."""
        size = self.extent[0] * self.extent[1]
        if self.places is None:
            return data[:size].view(*self.extent, -1)
        padded: Tensor = Pad.apply(data[: len(self.places)], self.places, size)  # type: ignore[no-untyped-call]
        return padded.view(*self.extent, -1)

    def pack(self, padded: Tensor) -> Tensor:
        """Makes [N,I] of [T,B,I]."""
        flat = padded.flatten(0, 1)
        if self.places is None:
            return flat
        packed: Tensor = Pack.apply(flat, self.places)  # type: ignore[no-untyped-call]
        return packed
