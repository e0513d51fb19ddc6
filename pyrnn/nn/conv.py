"""Conv1d and Conv2d copy the windows of the input into rows of a matrix, and multiply it by the weights as in Linear.

An output is its bias plus one fused multiply-add after the other, over the places of the kernel and at each place over
the channels. So its bits are the same on every machine.

Letters in shapes: B batch, C channels in, O channels out, g groups, N windows. [*] is the length of a sequence, or
the height and width of an image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_bools, check_size, float_dtype
from pyrnn.checks.arrays import Array
from pyrnn.core.initial import Random
from pyrnn.core.packing import Packing
from pyrnn.core.pullback import Gradients

from .layer import Back, Layer
from .windows import Padding, Sizes, Windows, check_channels, listed

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`

# Windows are copied in blocks: all windows of a 3 x 3 kernel would take nine times the memory of the input.
BLOCK_BYTES = 2**21  # blocks of 16 MiB leave the cache and take 1.3 times as long


class Conv(Layer, Packing[list[_core.Linear]]):
    """Base class of Conv1d and Conv2d."""

    ends_mask = True
    _dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        for name, value in {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}.items():
            check_size(name, value)
        check_bools(bias=bias)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups should divide in_channels and out_channels, got {groups} for {in_channels} and {out_channels}"
            )
        self.in_channels, self.out_channels, self.groups = int(in_channels), int(out_channels), int(groups)
        self._windows = Windows(type(self).__name__, self._dims, kernel_size, stride, padding, dilation)
        shape = (out_channels, in_channels // groups, *self._windows.kernel_size)
        random, fan = Random(seed), math.prod(shape[1:])
        self._add_parameter("weight", random.uniform(shape, fan, float_dtype(dtype)))
        if bias:
            self._add_parameter("bias", random.uniform((out_channels,), fan, float_dtype(dtype)))

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without dtype and seed."""
        windows = self._windows
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel_size": list(windows.kernel_size),
            "stride": list(windows.stride),
            "padding": listed(windows.padding),
            "dilation": list(windows.dilation),
            "groups": self.groups,
            "bias": "bias" in self._parameters,
        }

    def _array(self, input: Any) -> Array:
        return check_channels(self, input, self._dims, self.in_channels, self.weight.dtype)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        wide, lengths, packed = self._windows.padded(input), input.shape[2:], self._weights()
        output = np.empty((len(wide), self.out_channels, *self._windows.counts(wide)), wide.dtype)
        for block, windows in self._blocks(wide):
            parts = self._grouped(output[block], self.out_channels)
            for part, rows, group in zip(parts, windows, packed, strict=True):
                part[...] = group.forward(rows).reshape(part.shape)

        def back(grad: Array) -> Gradients:  # copies the windows again: to keep them takes too much memory
            return self._backward(wide, lengths, packed, grad)

        return output, back

    def _pack(self, parameters: dict[str, Array]) -> list[_core.Linear]:
        """Packs the weights of each group as a matrix [O/g, kernel * C/g], each row in the order kernel, channels."""
        weight, bias = np.moveaxis(parameters["weight"], 1, -1), parameters.get("bias")
        matrices = np.split(weight.reshape(self.out_channels, -1), self.groups)
        biases = [None] * self.groups if bias is None else np.split(bias, self.groups)
        return [
            _core.Linear.pack(np.ascontiguousarray(matrix), None if each is None else each.copy())
            for matrix, each in zip(matrices, biases, strict=True)
        ]

    def _backward(self, wide: Array, lengths: Any, packed: list[_core.Linear], grad_output: Array) -> Gradients:
        dwide, sums = np.zeros_like(wide), {name: np.zeros_like(value) for name, value in self._parameters.items()}
        places, dims = self._windows.kernel_size, self._dims
        for block, windows in self._blocks(wide):
            samples, _, lines = block
            corner = dwide[samples, :, lines.start * self._windows.stride[0] :]
            grads = self._grouped(grad_output[block], self.out_channels)
            for g, (rows, grad, group) in enumerate(zip(windows, grads, packed, strict=True)):
                drows, dweight, dbias = group.backward(rows, np.ascontiguousarray(grad).reshape(len(rows), -1))
                outputs = slice(g * len(dweight), (g + 1) * len(dweight))
                sums["weight"][outputs] += np.moveaxis(
                    dweight.reshape(-1, *places, self.in_channels // self.groups), -1, 1
                )
                if dbias is not None:
                    sums["bias"][outputs] += dbias
                drows = drows.reshape(*grad.shape[:-1], -1, self.in_channels // self.groups)
                target = np.split(corner, self.groups, axis=1)[g]
                for i, seen in enumerate(self._windows.taps(target, grad.shape[1 : 1 + dims])):
                    seen += np.moveaxis(drows[..., i, :], -1, 1)
        return Gradients(self._windows.inner(dwide, lengths), None, sums)

    def _grouped(self, array: Array, channels: int) -> list[Array]:
        """Returns [B,C,*] as a view [B,*,C/g] of each group."""
        return np.split(np.moveaxis(array, 1, -1), self.groups, axis=-1)

    def _blocks(self, wide: Array) -> Iterator[tuple[tuple[slice, slice, slice], list[Array]]]:
        """Yields blocks of the output (samples, all channels, places on the first axis) and the windows of each group.

        The windows are rows [N, kernel * C/g]; those of a block take at most BLOCK_BYTES, or more if one line of one
        sample does.
        """
        view, dims = self._windows.view(wide), self._dims
        batch, _, lines = view.shape[:3]
        line_bytes = view.itemsize * view.shape[1] * math.prod(view.shape[3:])
        step_lines = min(lines, max(1, BLOCK_BYTES // line_bytes))
        step_samples = max(1, BLOCK_BYTES // (line_bytes * lines))
        order = (0, *range(2, 2 + 2 * dims), 1)  # [B,*,kernel,C/g]
        inner = math.prod(self._windows.kernel_size) * self.in_channels // self.groups
        for first, line in itertools.product(range(0, batch, step_samples), range(0, lines, step_lines)):
            block = slice(first, first + step_samples), slice(None), slice(line, line + step_lines)
            groups = np.split(view[block], self.groups, axis=1)
            yield block, [group.transpose(order).reshape(-1, inner) for group in groups]


class Conv1d(Conv):
    """Convolution over time: torch.nn.Conv1d on NumPy arrays.

    It takes [B,C,L] and returns [B,O,M], where padding is the sum of both ends':

        M = (L + padding - dilation (K - 1) - 1) // stride + 1

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K, the number of steps in a window.
        stride: the number of steps from a window to the next.
        padding: the number of zeros at each end; "valid" for none; "same" for ceil(L / stride) outputs, the odd zero
            at the end, as in Keras (torch has "same" for stride 1 only); or a list of one pair, [(before, after)].
            Keras' "causal" is [(dilation (K - 1), 0)].
        dilation: the number of steps between neighbouring elements of a window.
        groups: the number of parts into which the channels are split; each part of the outputs sees one part of the
            inputs.
        bias: whether there is a bias.
        dtype: of parameters and inputs: float32 or float64.
        seed: of the initial parameters, which are drawn from U(-1/sqrt(n), 1/sqrt(n)), n = C / groups * K; None for a
            fresh one.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> conv = nn.Conv1d(3, 8, 4, padding="same", seed=0)
        >>> y, _, pullback = conv.vjp(np.ones((2, 3, 10), np.float32))
        >>> y.shape, pullback(y).parameters["weight"].shape
        ((2, 8, 10), (8, 3, 4))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
    """

    _dims = 1


class Conv2d(Conv):
    """Convolution of images: torch.nn.Conv2d on NumPy arrays.

    It takes [B,C,H,W] and returns [B,O,*,*]. Arguments are those of `Conv1d`. kernel_size, stride and dilation are
    each a number, or a pair for height and width. padding is a number, such a pair, or two pairs [(above, below),
    (left, right)].

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> conv = nn.Conv2d(1, 4, (3, 5), stride=2, padding=[1, 2], seed=0)
        >>> conv(np.ones((2, 1, 28, 28), np.float32)).shape
        (2, 4, 14, 14)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    _dims = 2
