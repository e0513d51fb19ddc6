"""Layers that make one vector of a sequence: the last step, the mean, the maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools
from pyrnn.checks.arrays import Array

from .layer import Back, MaskedLayer, kept


class LastStep(MaskedLayer):
    """The last step of a sequence, with a mask the last one that counts; zeros if none does.

    A bidirectional layer's output there has seen only one step in the reverse direction; `Bidirectional` with
    return_sequences=False gives each direction's own last step.

    Args:
        batch_first: whether sequences are [B,T,*], and not [T,B,*].

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> x = np.array([[[1.0], [2.0], [3.0]]])
        >>> nn.LastStep(batch_first=True)(x, mask=np.array([[True, True, False]]))
        array([[2.]])
    """

    ends_mask = True

    def __init__(self, batch_first: bool = False) -> None:
        super().__init__()
        check_bools(batch_first=batch_first)
        self.batch_first = batch_first

    def _masked(self, input: Array, mask: Array | None) -> tuple[Array, Back]:
        sequence = input.swapaxes(0, self._time)
        steps, batch = sequence.shape[:2]
        if not steps:
            raise ValueError(f"LastStep: a sequence without steps has no last one, got shape {input.shape}")
        if mask is None:  # without the gathering below, which takes 10 us
            chosen: Any = -1
            there = np.array(True)
        else:
            counts = mask.swapaxes(0, self._time)
            chosen = steps - 1 - counts[::-1].argmax(0), np.arange(batch)
            there = counts.any(0).reshape(batch, *[1] * (input.ndim - 2))

        def back(grad: Array) -> Array:
            total = np.zeros_like(sequence)
            total[chosen] = kept(grad, there)
            return total.swapaxes(0, self._time)

        return kept(sequence[chosen], there), back


class _Pooling(MaskedLayer):
    """Args: batch_first, the layout; masked, whether steps that a mask leaves out are left out here too."""

    ends_mask = True

    def __init__(self, batch_first: bool = False, masked: bool = True) -> None:
        super().__init__()
        check_bools(batch_first=batch_first, masked=masked)
        self.batch_first, self.masked = batch_first, masked

    def _counts(self, input: Array, mask: Array | None) -> Array:
        """bool, which elements count, of a shape that broadcasts to the input's."""
        if mask is None or not self.masked:
            mask = np.ones(input.shape[:2], bool)
        return mask.reshape(*mask.shape, *[1] * (input.ndim - 2))


class GlobalAveragePool1d(_Pooling):
    """The mean over time of the steps that count; zeros if none does.

    Args:
        batch_first: whether sequences are [B,T,*], and not [T,B,*].
        masked: whether a mask is heeded.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> x = np.array([[[1.0], [2.0], [9.0]]])
        >>> nn.GlobalAveragePool1d(batch_first=True)(x, mask=np.array([[True, True, False]]))
        array([[1.5]])
    """

    def _masked(self, input: Array, mask: Array | None) -> tuple[Array, Back]:
        if not input.shape[self._time]:
            raise ValueError(f"GlobalAveragePool1d: a sequence without steps has no mean, got shape {input.shape}")
        counts = self._counts(input, mask)
        number = np.maximum(counts.sum(self._time, keepdims=True), 1).astype(input.dtype)
        output = (kept(input, counts) / number).sum(self._time)
        return output, lambda grad: kept(np.expand_dims(grad, self._time) / number, counts)


class GlobalMaxPool1d(_Pooling):
    """The maximum over time of the steps that count; zeros if none does.

    Where several are equal, the gradient goes to the first.

    Args:
        batch_first: whether sequences are [B,T,*], and not [T,B,*].
        masked: whether a mask is heeded; Keras' GlobalMaxPooling1D heeds none.

    Example:
        >>> import numpy as np, pyrnn.nn as nn
        >>> x = np.array([[[1.0], [2.0], [9.0]]])
        >>> nn.GlobalMaxPool1d(batch_first=True)(x, mask=np.array([[True, True, False]]))
        array([[2.]])
    """

    def _masked(self, input: Array, mask: Array | None) -> tuple[Array, Back]:
        if not input.shape[self._time]:
            raise ValueError(f"GlobalMaxPool1d: a sequence without steps has no maximum, got shape {input.shape}")
        counts = self._counts(input, mask)
        counts = np.broadcast_to(counts, input.shape)
        best = np.where(counts, input, -np.inf).argmax(self._time, keepdims=True)
        # Where all that count are -inf, the best may be one that does not count: then the first that does.
        first = counts.argmax(self._time, keepdims=True)
        place = np.where(np.take_along_axis(counts, best, self._time), best, first)
        there: Array = np.asarray(counts.any(self._time, keepdims=True))
        found = kept(np.take_along_axis(input, place, self._time), there)

        def back(grad: Array) -> Array:
            total = np.zeros_like(input)
            np.put_along_axis(total, place, kept(np.expand_dims(grad, self._time), there), self._time)
            return total

        return found.squeeze(self._time), back
