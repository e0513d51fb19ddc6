"""A stream runs sequences that arrive step by step, and keeps their state between calls."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_array, check_arrays, check_flags, check_int, check_masked_output

from .pullback import state_parts


class Stream:
    """A batch of running sequences and their state; made by `layer.stream(batch)`.

    The constructor allocates all memory: a step allocates only its output, and with `out` not even that. However a
    sequence is cut into calls, a stream computes the same bits as one call over the whole sequence. Only one thread
    may use a stream at a time.

    Example:
        >>> import numpy as np, pyrnn
        >>> gru = pyrnn.GRU(3, 5, seed=0)
        >>> x = np.random.default_rng(0).standard_normal((7, 2, 3), np.float32)
        >>> stream = gru.stream(batch=2)
        >>> y = np.stack([stream.step(x_t) for x_t in x])
        >>> bool((y == gru(x)[0]).all())
        True
    """

    _kind: type = np.ndarray  # the type of inputs, outputs and states

    def __init__(
        self, weights: _core.Weights, batch: int, is_pair: bool, batch_first: bool, masked_output: str = "zero"
    ) -> None:
        check_int("batch", batch)
        if not 0 <= batch < 2**31:
            raise ValueError(f"batch should be from 0 to {2**31 - 1}, got {batch}")
        self._weights = weights
        self._stream = _core.Stream.make(weights, batch)
        self.batch, self._is_pair, self._batch_first = batch, is_pair, batch_first
        self._hold = check_masked_output(masked_output)

    def step(self, input: Any, out: Any = None, *, active: Any = None, masked_output: str = "default") -> Any:
        """Computes one step of all sequences.

        Args:
            input: [B,I], of the layer's dtype.
            out: an array [B,P], contiguous, that receives the output; None for a new array. It may share memory with
                input, which is copied then.
            active: bool [B]; a row marked False keeps its state. None for all True.
            masked_output: the output of such a row: "zero", or "hold" for its state; by default the layer's own
                `masked_output`.

        Returns:
            The output of the last layer, [B,P]; `out` if it was given.

        Raises:
            TypeError: if an argument is not an array.
            ValueError: if a shape or dtype is wrong.
        """
        check_array("input", input, self._kind)
        check_arrays(self._kind, out=out)
        if input.ndim != 2:
            raise ValueError(f"stream.step: expected input of shape (batch, input_size), got {tuple(input.shape)}")
        check_flags("active", active, (self.batch,), self._kind)
        return self._stream.run(input, out, active, self._holds(masked_output))

    def run(self, input: Any, *, mask: Any = None, masked_output: str = "default") -> Any:
        """Computes several steps of all sequences.

        Args:
            input: [T,B,I], or [B,T,I] if the layer is batch_first; of the layer's dtype. T may be 0.
            mask: bool, [T,B] or [B,T] as the input: a step marked False keeps its row's state. None for all True.
            masked_output: the output at such a step: "zero", or "hold" for the state; by default the layer's own
                `masked_output`.

        Returns:
            The output of the last layer, [T,B,P] or [B,T,P].

        Raises:
            TypeError: if an argument is not an array.
            ValueError: if a shape or dtype is wrong.
        """
        check_array("input", input, self._kind)
        if input.ndim != 3:
            raise ValueError(f"stream.run: expected input of 3 dimensions, got shape {tuple(input.shape)}")
        check_flags("mask", mask, tuple(input.shape[:2]), self._kind)
        hold = self._holds(masked_output)
        if not self._batch_first:
            return self._stream.run(input, None, mask, hold)
        turned = None if mask is None else mask.T
        return self._stream.run(input.swapaxes(0, 1), None, turned, hold).swapaxes(0, 1)

    def _holds(self, masked_output: str) -> bool:
        return self._hold if masked_output == "default" else check_masked_output(masked_output)

    def reset(self, mask: Any = None) -> None:
        """Sets the state of all sequences to zero, or only of those marked True in mask, bool [B]."""
        check_flags("mask", mask, (self.batch,), self._kind)
        self._stream.reset(mask)

    @property
    def state(self) -> Any:
        """A copy of the state as a call returns it, h [L,B,P] or for the LSTM (h, c). Assign to replace the state."""
        parts = self._stream.state()
        return tuple(parts) if self._is_pair else parts[0]

    @state.setter
    def state(self, state: Any) -> None:
        parts = state_parts(state, self._is_pair, "state", self._kind)
        if not parts or any(part is None for part in parts):
            raise TypeError("state should be made of arrays; use reset() for zeros")
        self._stream.set_state(parts)

    def clone(self) -> Stream:
        """Makes a second stream that goes on from the same state with the same weights, independently of this one."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._stream = _core.Stream.make(self._weights, self.batch)
        other.state = self.state
        return other

    def __copy__(self) -> Stream:
        return self.clone()

    def __deepcopy__(self, memo: Any) -> Stream:
        return self.clone()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a stream cannot be pickled; keep its layer and its state, and set the state of layer.stream(batch)"
        )
