"""Stream: sequences that arrive step by step, with a state that is kept between calls."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_array, check_arrays, check_flags, check_masked_output

from .pullback import state_parts


class Stream:
    """The state of `batch` running sequences; made by `layer.stream(batch)`.

    All memory is taken at construction: a step allocates nothing but its output, and not that with `out`. The steps
    of a stream are the same bits as a call over the whole sequence, however they are cut. One thread at a time.

    Example:
        >>> import numpy as np, pyrnn
        >>> gru = pyrnn.GRU(3, 5, seed=0)
        >>> x = np.random.default_rng(0).standard_normal((7, 2, 3), np.float32)
        >>> stream = gru.stream(batch=2)
        >>> y = np.stack([stream.step(x_t) for x_t in x])
        >>> bool((y == gru(x)[0]).all())
        True
    """

    _kind: type = np.ndarray  # of what goes in and comes out

    def __init__(
        self, weights: _core.Weights, batch: int, is_pair: bool, batch_first: bool, masked_output: str = "zero"
    ) -> None:
        if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)):
            raise TypeError(f"batch should be of type int, got: {type(batch).__name__}")
        if not 0 <= batch < 2**31:
            raise ValueError(f"batch should be from 0 to {2**31 - 1}, got {batch}")
        self._weights = weights
        self._stream = _core.Stream.make(weights, batch)
        self.batch, self._is_pair, self._batch_first = batch, is_pair, batch_first
        self._hold = check_masked_output(masked_output)

    def step(self, input: Any, out: Any = None, *, active: Any = None, masked_output: str = "default") -> Any:
        """One step of all sequences.

        Args:
            input: [B,I], of the layer's dtype.
            out: where the output goes, [B,P], contiguous; None for a new array. It may share memory with input, which
                is copied then.
            active: bool [B]; a row marked False keeps its state. None for all.
            masked_output: the output of such a row: "zero", or "hold" for its state; by default, what the layer was
                made with.

        Returns:
            The output of the last layer, [B,P]; `out` if it was given.

        Raises:
            ValueError: if a shape or dtype is wrong.
        """
        check_array("input", input, self._kind)
        check_arrays(self._kind, out=out)
        if input.ndim != 2:
            raise ValueError(f"stream.step: expected input of shape (batch, input_size), got {tuple(input.shape)}")
        check_flags("active", active, (self.batch,), self._kind)
        return self._stream.run(input, out, active, self._holds(masked_output))

    def run(self, input: Any, *, mask: Any = None, masked_output: str = "default") -> Any:
        """Several steps: input [T,B,I] ([B,T,I] if the layer is batch_first), output likewise; T = 0 is fine.

        `mask` is bool, [T,B] or [B,T]: a step marked False leaves its row's state alone.
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
        """Sets the state to zero: of all sequences, or of those marked True in mask, bool [B]."""
        check_flags("mask", mask, (self.batch,), self._kind)
        self._stream.reset(mask)

    @property
    def state(self) -> Any:
        """The state as a call returns it, h [L,B,P] or for the LSTM (h, c): a copy. Assign to replace it."""
        parts = self._stream.state()
        return tuple(parts) if self._is_pair else parts[0]

    @state.setter
    def state(self, state: Any) -> None:
        parts = state_parts(state, self._is_pair, "state", self._kind)
        if not parts or any(part is None for part in parts):
            raise TypeError("state should be made of arrays; use reset() for zeros")
        self._stream.set_state(parts)

    def clone(self) -> Stream:
        """A second stream that goes on from the same state, independently, with the same weights."""
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
