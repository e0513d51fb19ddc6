"""Pooling takes the maximum or the average over time or space, of every window or of everything.

Letters in shapes: B batch, C channels. [*] is the length of a sequence, or the height and width of an image.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .layer import Back, Layer, kept
from .windows import Padding, Sizes, Windows, check_channels, listed


class Pool(Layer):
    """Base class of pooling in windows."""

    ends_mask = True
    _dims: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Padding = 0) -> None:
        super().__init__()
        step = kernel_size if stride is None else stride
        windows = Windows(type(self).__name__, self._dims, kernel_size, step, padding)
        if not isinstance(windows.padding, str):
            for size, pad in zip(windows.kernel_size, windows.padding, strict=True):
                # A window that lies in the padding alone has no maximum and no average.
                if size <= (max(pad) if isinstance(pad, tuple) else pad):
                    raise ValueError(
                        f"padding should be less than kernel_size, got {brief(padding)} for {brief(kernel_size)}"
                    )
        self._windows, self.padding = windows, listed(windows.padding)
        self.kernel_size, self.stride = list(windows.kernel_size), list(windows.stride)

    def _array(self, input: Any) -> Array:
        return check_channels(self, input, self._dims)

    def _filled(self, wide: Array, value: float) -> Array:
        return np.full((*wide.shape[:2], *self._windows.counts(wide)), value, wide.dtype)


class MaxPool(Pool):
    """Base class of MaxPool1d and MaxPool2d."""

    def _forward(self, input: Array) -> tuple[Array, Back]:
        wide, lengths = self._windows.padded(input, -np.inf), input.shape[2:]
        wide_shape = wide.shape
        output = self._filled(wide, -np.inf)
        winner = np.zeros(output.shape, np.int32)
        for i, seen in enumerate(self._windows.taps(wide, output.shape[2:])):
            better = (seen > output) | np.isnan(seen)  # as in torch, the first of equal maxima wins, and NaN beats all
            np.copyto(output, seen, where=better)
            np.copyto(winner, i, where=better)
        # As in torch, if all are -inf, the first wins that is not padding.
        if wide is not input and (lost := np.isneginf(output)).any():
            inside = np.zeros(wide_shape, bool)
            self._windows.inner(inside, lengths)[...] = True
            for i, there in reversed(list(enumerate(self._windows.taps(inside, output.shape[2:])))):
                winner[lost & there] = i

        def back(grad: Array) -> Array:
            dwide = np.zeros(wide_shape, grad.dtype)
            for i, target in enumerate(self._windows.taps(dwide, grad.shape[2:])):
                target += kept(grad, winner == i)
            return self._windows.inner(dwide, lengths)

        return output, back


class AvgPool(Pool):
    """Base class of AvgPool1d and AvgPool2d."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Padding = 0,
        *,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        check_bools(count_include_pad=count_include_pad)
        self.count_include_pad = count_include_pad

    def _forward(self, input: Array) -> tuple[Array, Back]:
        wide, lengths = self._windows.padded(input), input.shape[2:]
        wide_shape = wide.shape
        output = self._filled(wide, 0)
        for seen in self._windows.taps(wide, output.shape[2:]):
            output += seen
        counted = self._counted(lengths, output)
        output /= counted

        def back(grad: Array) -> Array:
            shares, dwide = grad / counted, np.zeros(wide_shape, grad.dtype)
            for target in self._windows.taps(dwide, grad.shape[2:]):
                target += shares
            return self._windows.inner(dwide, lengths)

        return output, back

    def _counted(self, lengths: Sequence[int], output: Array) -> Array:
        """Returns the number of elements over which each window averages, [*]."""
        windows, pads = self._windows, self._windows.pads(lengths)
        all_count = self.count_include_pad and windows.padding != "same"
        counted = []
        for n, k, s, m, (before, _) in zip(
            lengths, windows.kernel_size, windows.stride, output.shape[2:], pads, strict=True
        ):
            first = np.arange(m) * s - before
            inside = np.minimum(first + k, n) - np.maximum(first, 0)
            counted.append(np.full(m, k) if all_count else inside)
        return functools.reduce(np.multiply.outer, counted).astype(output.dtype)


class MaxPool1d(MaxPool):
    """Maximum of each window over time: torch.nn.MaxPool1d on NumPy arrays.

    It takes [B,C,L] and returns [B,C,M], where padding is the sum of both ends':

        M = (L + padding - K) // stride + 1

    Args:
        kernel_size: K, the number of steps in a window.
        stride: the number of steps from a window to the next; None for K.
        padding: the number of steps by which windows reach over each end; "valid" for none; "same" for ceil(L /
            stride) windows, as in Keras; or a list of one pair, [(before, after)]. Padding is never the maximum.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.MaxPool1d(2)(np.array([[[1.0, 5.0, 2.0, 3.0]]]))
        array([[[5., 3.]]])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
    """

    _dims = 1


class MaxPool2d(MaxPool):
    """Maximum of each window of an image: torch.nn.MaxPool2d on NumPy arrays.

    It takes [B,C,H,W] and returns [B,C,*,*]. Arguments are those of `MaxPool1d`, each a number, or one for height and
    one for width.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.MaxPool2d(3, stride=2, padding="same")(np.ones((2, 8, 7, 9))).shape
        (2, 8, 4, 5)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """

    _dims = 2


class AvgPool1d(AvgPool):
    """Average of each window over time: torch.nn.AvgPool1d on NumPy arrays.

    It takes [B,C,L] and returns [B,C,M]. M and the other arguments are those of `MaxPool1d`.

    Args:
        count_include_pad: whether padding enters the average as zeros. With "same" it never does, as in Keras.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.AvgPool1d(2, padding="same")(np.array([[[1.0, 5.0, 2.0]]]))
        array([[[3., 2.]]])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
    """

    _dims = 1


class AvgPool2d(AvgPool):
    """Average of each window of an image: torch.nn.AvgPool2d on NumPy arrays.

    It takes [B,C,H,W] and returns [B,C,*,*]. Arguments are those of `AvgPool1d`, each a number, or one for height and
    one for width.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.AvgPool2d((2, 4))(np.ones((2, 8, 7, 9))).shape
        (2, 8, 3, 2)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    _dims = 2


class _Global(Layer):
    ends_mask = True

    def _array(self, input: Any) -> Array:
        array = check_channels(self, input, 2)
        if not array.shape[2] * array.shape[3]:
            raise ValueError(f"{type(self).__name__}: an image without pixels has no value, got shape {array.shape}")
        return array


class GlobalAveragePool2d(_Global):
    """Averages over height and width: it takes [B,C,H,W] and returns [B,C].

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.GlobalAveragePool2d()(np.ones((2, 8, 7, 9))).shape
        (2, 8)
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        shape = input.shape

        def back(grad: Array) -> Array:
            return np.broadcast_to(grad[:, :, None, None] / (shape[2] * shape[3]), shape).copy()

        return input.mean((2, 3)), back


class GlobalMaxPool2d(_Global):
    """Takes the maximum over height and width: it takes [B,C,H,W] and returns [B,C].

    The gradient goes to the first of several equal maxima.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> nn.GlobalMaxPool2d()(np.ones((2, 8, 7, 9))).shape
        (2, 8)
    """

    def _forward(self, input: Array) -> tuple[Array, Back]:
        shape, flat = input.shape, input.reshape(*input.shape[:2], input.shape[2] * input.shape[3])
        winner = flat.argmax(2)[..., None]

        def back(grad: Array) -> Array:
            dflat = np.zeros((*shape[:2], shape[2] * shape[3]), grad.dtype)
            np.put_along_axis(dflat, winner, grad[..., None], 2)
            return dflat.reshape(shape)

        return np.take_along_axis(flat, winner, 2)[..., 0], back
