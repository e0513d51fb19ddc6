"""A pullback computes the gradients of one call in reverse mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_arrays
from pyrnn.checks.arrays import Array


class Gradients(NamedTuple):
    """The gradients that a pullback returns.

    Attributes:
        input: with respect to the input, of its shape.
        state: with respect to the initial state, of its shape; for the LSTM a pair. None for a layer without a state.
        parameters: with respect to each parameter, by name.
        reset_state: with respect to `reset_state`, of its shape; None if the call had no reset.
    """

    input: Array
    state: Any
    parameters: dict[str, Array]
    reset_state: Any = None


class Pullback:
    """The reverse-mode derivative of one call, made by `vjp`. It may be called more than once."""

    def __init__(self, tape: _core.Tape, names: Sequence[str], is_pair: bool) -> None:
        self._tape, self._names, self._is_pair = tape, names, is_pair

    def __call__(
        self, grad_output: Array | None = None, grad_state: Any = None, grad_states: Array | None = None
    ) -> Gradients:
        """Computes the gradients of a loss from its gradients with respect to what the call returned.

        Args:
            grad_output: shaped as the output; None for zero.
            grad_state: shaped as the final state (for the LSTM a pair, either part of which may be None);
                None for zero.
            grad_states: shaped as the cell states of all steps (`return_states=True`); None for zero.

        Returns:
            `Gradients`, each shaped as the value it belongs to; `.parameters` is a dict by name.

        Raises:
            TypeError: if a gradient is not a NumPy array.
            ValueError: if its shape or dtype is wrong.
        """
        check_arrays(grad_output=grad_output, grad_states=grad_states)
        if grad_states is not None and not self._is_pair:
            raise ValueError("grad_states belongs to an LSTM: other cells have no cell state")
        parts = state_parts(grad_state, self._is_pair, "grad_state")
        grad_input, initial, parameters, reset, _ = self._tape.backward(grad_output, parts, grad_states)
        return Gradients(
            grad_input,
            state_of(initial, self._is_pair),
            dict(zip(self._names, parameters, strict=True)),
            state_of(reset, self._is_pair) if reset else None,
        )


def state_of(parts: Sequence[Array], is_pair: bool) -> Any:
    """Returns h alone, or for a pair the tuple (h, c)."""
    return tuple(parts) if is_pair else parts[0]


def state_parts(state: Any, is_pair: bool, what: str, kind: type = np.ndarray) -> list[Any]:
    """Splits a state into [], [h] or [h, c]; raises TypeError for other than arrays of `kind` (or None, in a pair)."""
    kinds = "NumPy arrays" if kind is np.ndarray else "tensors"
    if state is None:
        return []
    if is_pair:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            got = f"{len(state)} parts" if isinstance(state, (tuple, list)) else type(state).__name__
            raise TypeError(f"{what} should be a pair (h, c) of {kinds}, got {got}")
        parts = list(state)
    else:
        parts = [state]
    for part in parts:
        if part is not None and not isinstance(part, kind):
            raise TypeError(f"{what} should be made of {kinds}, got {type(part).__name__}")
        check_arrays(kind, **{what: part})
    return parts
