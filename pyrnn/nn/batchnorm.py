"""BatchNorm1d and BatchNorm2d bring every channel to mean 0 and variance 1 over the batch, then scale and shift it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arguments import check_not_negative, check_size, float_dtype
from pyrnn.checks.arrays import Array
from pyrnn.core.making import check_room
from pyrnn.core.pullback import Gradients

from .layer import Back, Layer
from .moments import repaired
from .windows import check_channels

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`


class BatchNorm(Layer):
    """Base class of BatchNorm1d and BatchNorm2d."""

    _dims: tuple[int, ...]  # the numbers of axes that may follow the channels
    running_mean: Array
    running_var: Array
    num_batches_tracked: Array
    _version = 2  # the first version of torch's state dict with num_batches_tracked

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, *, dtype: DTypeLike = np.float32
    ) -> None:
        super().__init__()
        check_size("num_features", num_features)
        eps = check_not_negative("eps", eps, finite=False)
        momentum = None if momentum is None else check_not_negative("momentum", momentum)
        if momentum is not None and momentum > 1:
            raise ValueError(f"momentum should be None, or a number from 0 to 1, got {momentum}")
        self.num_features, self.eps, self.momentum = int(num_features), eps, momentum
        check_room((num_features,), float_dtype(dtype))
        self._add_parameter("weight", np.ones(num_features, float_dtype(dtype)))
        self._add_parameter("bias", np.zeros(num_features, float_dtype(dtype)))
        self._add_buffer("running_mean", np.zeros(num_features, float_dtype(dtype)))
        self._add_buffer("running_var", np.ones(num_features, float_dtype(dtype)))
        self._add_buffer("num_batches_tracked", np.array(0, np.int64))

    def _array(self, input: Any) -> Array:
        dims = getattr(input, "ndim", 0) - 2
        dims = dims if dims in self._dims else self._dims[-1]
        return check_channels(self, input, dims, self.num_features, self.weight.dtype)

    def _forward(self, input: Array) -> tuple[Array, Back]:
        """Normalises the input; in training mode also updates the running statistics."""
        training, weight = self.training, self.weight
        mean, variance = self._batch_statistics(input) if training else (self.running_mean, self.running_var)
        scale = (1 / np.sqrt(variance.astype(np.float64) + self.eps)).astype(input.dtype)
        unit = (input - _wide(mean.astype(input.dtype), input)) * _wide(scale, input)
        axes, count = (0, *range(2, input.ndim)), input.size // self.num_features
        if training:
            # No number of a channel lies further from its mean than this. If it is finite, `unit` did not overflow.
            furthest = np.sqrt(variance) * np.sqrt(count)
            found, sound = (unit, _wide(scale, input)), _wide(furthest <= np.finfo(input.dtype).max, input)
            unit, wide_scale = repaired(input, axes, self.eps, found, sound)
            scale = wide_scale.reshape(-1)

        def back(grad: Array) -> Gradients:
            dweight, dbias = (grad * unit).sum(axes), grad.sum(axes)
            dinput = grad
            if training:  # mean and variance depend on the input
                dinput = grad - (_wide(dbias, unit) + unit * _wide(dweight, unit)) / unit.dtype.type(count)
            return Gradients(dinput * _wide(weight * scale, unit), None, {"weight": dweight, "bias": dbias})

        return unit * _wide(weight, unit) + _wide(self.bias, unit), back

    def _batch_statistics(self, input: Array) -> tuple[Array, Array]:
        """Computes mean and variance [C] of the batch in float64, as torch, and updates the running statistics."""
        count = input.size // self.num_features
        if count < 2:
            raise ValueError(
                f"{type(self).__name__}: expected more than one value a channel in training mode, got input of shape "
                f"{input.shape}: take a larger batch, or call eval()"
            )
        axes = (0, *range(2, input.ndim))
        mean, variance = input.mean(axis=axes, dtype=np.float64), input.var(axis=axes, dtype=np.float64)
        self.num_batches_tracked = self.num_batches_tracked + 1
        share = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean = (1 - share) * self.running_mean + share * mean
        self.running_var = (1 - share) * self.running_var + share * variance * (count / (count - 1))
        return mean, variance


def _wide(values: Array, like: Array) -> Array:
    """Returns values [C] in a shape that broadcasts against [B,C,*]."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


class BatchNorm1d(BatchNorm):
    """Batch normalisation of [B,C] or [B,C,L]: torch.nn.BatchNorm1d on NumPy arrays.

    For each channel, with its mean and variance over the batch in training mode, its running ones in evaluation mode:

        y = (x - mean) / sqrt(variance + eps) * weight + bias

    Args:
        num_features: C, the number of channels.
        eps: a positive number that keeps the divisor from zero.
        momentum: the share of the running statistics that each batch replaces; None for the plain average of all
            batches. Keras calls 1 - momentum its momentum. The running variance is the unbiased one, as in torch.
        dtype: of parameters and inputs: float32 or float64.

    Attributes:
        running_mean, running_var: [C], the statistics of evaluation mode; buffers, not parameters.
        num_batches_tracked: int64, the number of batches that have gone into them.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> norm = nn.BatchNorm1d(3)
        >>> y = norm(np.random.default_rng(0).random((8, 3, 5), np.float32))
        >>> bool(abs(y.mean(axis=(0, 2))).max() < 1e-6), int(norm.num_batches_tracked)
        (True, 1)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html; Ioffe & Szegedy 2015
    (arXiv:1502.03167).
    """

    _dims = (0, 1)


class BatchNorm2d(BatchNorm):
    """Batch normalisation of images [B,C,H,W]: torch.nn.BatchNorm2d on NumPy arrays.

    Equation, arguments and attributes are those of `BatchNorm1d`.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> norm = nn.BatchNorm2d(3, eps=0.0).eval()
        >>> norm(np.full((1, 3, 1, 2), 7, np.float32))[0, 0]
        array([[7., 7.]], dtype=float32)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    _dims = (2,)
