"""Windows are the places of a kernel of a convolution or a pooling on its input; this module finds and checks them.

Letters in shapes: B batch, C channels. [*] is the length of a sequence, or the height and width of an image.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_size, is_int
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

from .layer import float_array, shape_error

Sizes = int | Sequence[int]
Padding = str | int | Sequence[int | Sequence[int]]


class Windows:
    """The places of a kernel on an input: sizes and padding, each with one entry for every axis.

    Attributes:
        layer: the name of the layer, for messages.
        padding: "same", "valid", or for each axis a number or a pair (before, after).
    """

    def __init__(
        self, layer: str, dims: int, kernel_size: Sizes, stride: Sizes, padding: Padding, dilation: Sizes = 1
    ) -> None:
        self.layer = layer
        self.kernel_size = per_axis("kernel_size", kernel_size, dims)
        self.stride = per_axis("stride", stride, dims)
        self.dilation = per_axis("dilation", dilation, dims)
        self.padding: str | tuple[Any, ...] = padding if isinstance(padding, str) else _pads(padding, dims)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f'padding should be "same", "valid" or numbers, got {brief(padding)}')
        self.extent = tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))

    def pads(self, lengths: Sequence[int]) -> list[tuple[int, int]]:
        """Returns the padding (before, after) of each axis; "same" makes ceil(length / stride) windows."""
        if self.padding == "same":
            missing = [
                max((-(-n // s) - 1) * s + e - n, 0) for n, s, e in zip(lengths, self.stride, self.extent, strict=True)
            ]
            return [(m // 2, m - m // 2) for m in missing]
        if self.padding == "valid":
            return [(0, 0)] * len(lengths)
        return [pad if isinstance(pad, tuple) else (pad, pad) for pad in self.padding]

    def padded(self, x: Array, fill: float = 0.0) -> Array:
        """Returns x [B,C,*] with its padding, x itself if it has none; raises ValueError if no window fits."""
        pads, lengths = self.pads(x.shape[2:]), x.shape[2:]
        sizes = tuple(n + before + after for n, (before, after) in zip(lengths, pads, strict=True))
        if any(n == 0 or size < e for n, size, e in zip(lengths, sizes, self.extent, strict=True)):
            raise ValueError(
                f"{self.layer}: kernel_size {self.kernel_size} with dilation {self.dilation} covers {self.extent}, "
                f"which is larger than the input of {lengths} padded to {sizes}: take a smaller kernel or more padding"
            )
        if sizes == lengths:
            return x
        wide = np.full((*x.shape[:2], *sizes), fill, x.dtype)
        self.inner(wide, lengths)[...] = x
        return wide

    def inner(self, wide: Array, lengths: Sequence[int]) -> Array:
        """Returns a padded array without its padding, as a view [B,C,*]."""
        pads = self.pads(lengths)
        inside: list[Any] = [slice(before, before + n) for n, (before, _) in zip(lengths, pads, strict=True)]
        return wide[(..., *inside)]

    def counts(self, wide: Array) -> tuple[int, ...]:
        """Returns the number of windows along each axis of a padded array."""
        sizes = zip(wide.shape[2:], self.extent, self.stride, strict=True)
        return tuple((size - e) // s + 1 for size, e, s in sizes)

    def taps(self, wide: Array, counts: Sequence[int]) -> Iterator[Array]:
        """Yields for every place of the kernel, row by row, a view [B,C,*counts] of that element of all windows."""
        for place in itertools.product(*map(range, self.kernel_size)):
            axes = zip(place, self.dilation, self.stride, counts, strict=True)
            seen: list[Any] = [slice(i * d, i * d + (n - 1) * s + 1, s) for i, d, s, n in axes]
            yield wide[(..., *seen)]

    def view(self, wide: Array) -> Array:
        """Returns all windows as a view [B,C,*counts,*kernel_size]."""
        axes = tuple(range(2, wide.ndim))
        every = np.lib.stride_tricks.sliding_window_view(wide, self.extent, axis=axes)
        steps = (slice(None, None, step) for step in (*self.stride, *self.dilation))
        return every[(slice(None), slice(None), *steps)]


def per_axis(name: str, value: Any, dims: int) -> tuple[int, ...]:
    """Returns one size for each axis, from one for all axes or one for each."""
    sizes = tuple(value) if isinstance(value, (list, tuple)) else (value,) * dims
    if len(sizes) != dims:
        raise ValueError(f"{name} should be one number or {dims}, got {brief(value)}")
    for size in sizes:
        check_size(name, size)
    return tuple(int(size) for size in sizes)


def _pads(padding: Any, dims: int) -> tuple[Any, ...]:
    """Returns a number or a pair (before, after) for each axis."""
    given = tuple(padding) if isinstance(padding, (list, tuple)) else (padding,) * dims
    pads = tuple(tuple(pad) if isinstance(pad, (list, tuple)) else pad for pad in given)
    for pad in pads:
        ends = pad if isinstance(pad, tuple) else (pad, pad)
        if len(pads) != dims or len(ends) != 2 or not all(is_int(n) and n >= 0 for n in ends):
            raise ValueError(
                f'padding should be "same", "valid", a number that is not negative, or a list of {dims} such numbers '
                f"or pairs of them, got {brief(padding)}"
            )
    return pads


def listed(padding: str | tuple[Any, ...]) -> Any:
    """Returns the padding in the form that JSON holds."""
    return padding if isinstance(padding, str) else [list(p) if isinstance(p, tuple) else int(p) for p in padding]


def check_channels(layer: Module, input: Any, dims: int, channels: int | None = None, dtype: Any = None) -> Array:
    """Returns the input if it is an array [B,C,*] with the layer's channels and dtype; else raises an error."""
    array = float_array(layer, input)
    if array.ndim != dims + 2 or channels not in (None, array.shape[1]):
        wanted = ["batch", str(channels or "channels"), *[["length"], ["height", "width"]][dims - 1]][: dims + 2]
        hint = ""
        if array.ndim == dims + 1:
            hint = "; a single sample needs a batch axis, x[None]"
        elif array.ndim > 1 and channels == array.shape[-1]:
            hint = "; where the channels come last, wrap the layer in ChannelsLast"
        raise shape_error(layer, f"({', '.join(wanted)})", array, hint)
    if dtype is not None and array.dtype != dtype:
        raise ValueError(f"{type(layer).__name__}: expected input of dtype {dtype}, got {array.dtype}")
    return array
