"""Conv1d and Conv2d: every window of the input a column of one matrix, times the weights.

Letters in shapes: B batch, C channels in, O channels out, g groups, N windows. [*] is the length of a sequence, or
the height and width of an image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..initial import Random
from ..module import Array
from ..options import check_bools, check_size, float_dtype
from ..pullback import Gradients
from .layer import Back, Layer
from .windows import Padding, Sizes, Windows, check_channels, listed

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # a tenth of the time of `import pyrnn` otherwise

# Columns are made a block at a time: a 3 x 3 kernel would need nine times the memory of its input otherwise.
BLOCK_BYTES = 2**21  # blocks of 16 MiB fall out of the cache, and took 1.3 times as long


class Conv(Layer):
    """What Conv1d and Conv2d share."""

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
        self._windows = Windows(self._dims, kernel_size, stride, padding, dilation)
        shape = (out_channels, in_channels // groups, *self._windows.kernel_size)
        random, fan = Random(seed), math.prod(shape[1:])
        self._add_parameter("weight", random.uniform(shape, fan, float_dtype(dtype)))
        if bias:
            self._add_parameter("bias", random.uniform((out_channels,), fan, float_dtype(dtype)))

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
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
        wide, lengths = self._windows.padded(input), input.shape[2:]
        weight = self._matrices()
        output = self._product(wide, weight)

        def back(grad: Array) -> Gradients:  # makes the columns again: kept, they are the kernel times the input
            dwide, dweight = self._backward(wide, weight, grad)
            sums = {"weight": dweight.reshape(self.weight.shape), "bias": grad.sum((0, *range(2, grad.ndim)))}
            return Gradients(
                self._windows.inner(dwide, lengths), None, {name: sums[name] for name in self._parameters}
            )

        return output, back

    def _matrices(self) -> Array:
        """The weights as [g, O/g, C/g * kernel]."""
        matrices: Array = self.weight.reshape(self.groups, self.out_channels // self.groups, -1)
        return matrices

    def _product(self, wide: Array, weight: Array) -> Array:
        output = np.empty((len(wide), self.out_channels, *self._windows.counts(wide)), wide.dtype)
        for block, columns in self._columns(wide):
            part = output[block].swapaxes(0, 1)
            part[...] = (weight @ columns).reshape(part.shape)
        if "bias" in self._parameters:
            output += self.bias.reshape(-1, *[1] * self._dims)
        return output

    def _backward(self, wide: Array, weight: Array, grad_output: Array) -> tuple[Array, Array]:
        dwide, dweight = np.zeros_like(wide), np.zeros_like(weight)
        for block, columns in self._columns(wide):
            dpart = grad_output[block].swapaxes(0, 1)
            rows = dpart.reshape(*weight.shape[:2], -1)
            dweight += rows @ columns.swapaxes(1, 2)
            dcolumns = (weight.swapaxes(1, 2) @ rows).reshape(self.in_channels, -1, *dpart.shape[1:])
            samples, _, lines = block
            corner = dwide[samples, :, lines.start * self._windows.stride[0] :]
            for i, target in enumerate(self._windows.taps(corner, dpart.shape[2:])):
                target += dcolumns[:, i].swapaxes(0, 1)
        return dwide, dweight

    def _columns(self, wide: Array) -> Iterator[tuple[tuple[slice, slice, slice], Array]]:
        """Blocks of the output (samples, all channels, places on the first axis) with their columns.

        Columns are [g, C/g * kernel, N], of at most BLOCK_BYTES, or of one line of one sample.
        """
        view, dims = self._windows.view(wide), self._dims
        batch, _, lines = view.shape[:3]
        line_bytes = view.itemsize * view.shape[1] * math.prod(view.shape[3:])
        step_lines = min(lines, max(1, BLOCK_BYTES // line_bytes))
        step_samples = max(1, BLOCK_BYTES // (line_bytes * lines))
        for first, line in itertools.product(range(0, batch, step_samples), range(0, lines, step_lines)):
            block = slice(first, first + step_samples), slice(None), slice(line, line + step_lines)
            windows = view[block]
            order = (1, *range(2 + dims, 2 + 2 * dims), 0, *range(2, 2 + dims))
            rows = self.in_channels // self.groups * math.prod(self._windows.kernel_size)
            yield block, windows.transpose(order).reshape(self.groups, rows, -1)


class Conv1d(Conv):
    """torch.nn.Conv1d on NumPy arrays: [B,C,L] -> [B,O,M], M = (L + padding - dilation (K - 1) - 1) // stride + 1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K, the length of a window.
        stride: steps from a window to the next.
        padding: zeros at both ends; or "valid" for none; or "same" for ceil(L / stride) outputs, the odd zero at the
            end, as in Keras (torch has it for stride 1); or a list of one pair, [(before, after)]: Keras' "causal" is
            [(dilation (K - 1), 0)].
        dilation: steps between the elements of a window.
        groups: channels are cut into so many parts that do not see each other.
        bias: whether there is a bias.
        dtype: float32 or float64.
        seed: of the initial weights, U(-1/sqrt(n), 1/sqrt(n)) with n = C / groups * K; None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> conv = nn.Conv1d(3, 8, 4, padding="same", seed=0)
        >>> y, pullback = conv.vjp(np.ones((2, 3, 10), np.float32))
        >>> y.shape, pullback(y).parameters["weight"].shape
        ((2, 8, 10), (8, 3, 4))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
    """

    _dims = 1


class Conv2d(Conv):
    """torch.nn.Conv2d on NumPy arrays: [B,C,H,W] -> [B,O,*,*].

    Arguments are those of `Conv1d`; kernel_size, stride and dilation are a number or one for each of height and
    width, padding likewise, or two pairs [(above, below), (left, right)].

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> conv = nn.Conv2d(1, 4, (3, 5), stride=2, padding=[1, 2], seed=0)
        >>> conv(np.ones((2, 1, 28, 28), np.float32)).shape
        (2, 4, 14, 14)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    _dims = 2
