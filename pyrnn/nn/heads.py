"""These layers make one vector of a sequence: its last step, mean or maximum."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools
from pyrnn.checks.arrays import Array

from .layer import Back, MaskedLayer, kept


class LastStep(MaskedLayer):
    """Returns the last step of a sequence; with a mask the last step marked True, zeros if there is none.

    At the last step the reverse direction of a bidirectional layer has seen one step only. For the last step that each
    direction computes, use `Bidirectional` with return_sequences=False.

    Args:
        batch_first: whether sequences are [B,T,*] rather than [T,B,*].

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
        if mask is None:  # saves 10 us of indexing
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
    """Base class of the mean and the maximum over time."""

    ends_mask = True

    def __init__(self, batch_first: bool = False, masked: bool = True) -> None:
        super().__init__()
        check_bools(batch_first=batch_first, masked=masked)
        self.batch_first, self.masked = batch_first, masked

    def _counts(self, input: Array, mask: Array | None) -> Array:
        """Returns a bool array that broadcasts to the input's shape and is True for the elements to pool."""
        if mask is None or not self.masked:
            mask = np.ones(input.shape[:2], bool)
        return mask.reshape(*mask.shape, *[1] * (input.ndim - 2))


class GlobalAveragePool1d(_Pooling):
    """Averages over time; with a mask over the steps marked True, zeros if there is none.

    Args:
        batch_first: whether sequences are [B,T,*] rather than [T,B,*].
        masked: whether the layer follows a mask; False averages over all steps.

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
    """Returns the maximum over time; with a mask over the steps marked True, zeros if there is none.

    The gradient goes to the first of several equal maxima.

    Args:
        batch_first: whether sequences are [B,T,*] rather than [T,B,*].
        masked: whether the layer follows a mask; Keras' GlobalMaxPooling1D does not.

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
        # If all unmasked steps are -inf, argmax may have chosen a masked one; the first unmasked one replaces it.
        first = counts.argmax(self._time, keepdims=True)
        place = np.where(np.take_along_axis(counts, best, self._time), best, first)
        there: Array = np.asarray(counts.any(self._time, keepdims=True))
        found = kept(np.take_along_axis(input, place, self._time), there)

        def back(grad: Array) -> Array:
            total = np.zeros_like(input)
            np.put_along_axis(total, place, kept(np.expand_dims(grad, self._time), there), self._time)
            return total

        return found.squeeze(self._time), back
