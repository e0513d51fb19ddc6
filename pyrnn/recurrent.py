"""What RNN, LSTM and GRU share: the call, its reverse mode, the packed weights.

Letters in shapes: T time, B batch, I input_size, H hidden_size, P proj_size or H, L layers, D directions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import _core
from .module import Array, Module
from .options import check_bools, check_options, float_dtype


class Gradients(NamedTuple):
    """What a pullback returns: gradients with respect to the input, the initial state and the parameters."""

    input: Array
    state: Any
    parameters: dict[str, Array]


class Pullback:
    """The reverse-mode derivative of one call, made by `vjp`. It may be called more than once."""

    def __init__(self, tape: _core.Tape, names: Sequence[str], is_pair: bool) -> None:
        self._tape, self._names, self._is_pair = tape, names, is_pair

    def __call__(self, grad_output: Array | None = None, grad_state: Any = None) -> Gradients:
        """Gradients of a loss, given its gradients with respect to what the call returned.

        Args:
            grad_output: shaped as the output; None for zero.
            grad_state: shaped as the final state (for the LSTM a pair, either part of which may be None);
                None for zero.

        Returns:
            Gradients: `.input` shaped as the input, `.state` as the initial state, `.parameters` by name.

        Raises:
            TypeError: if a gradient is not a NumPy array.
            ValueError: if its shape or dtype is wrong.
        """
        if grad_output is not None and not isinstance(grad_output, np.ndarray):
            raise TypeError(f"grad_output should be a NumPy array, got {type(grad_output).__name__}")
        parts = state_parts(grad_state, self._is_pair, "grad_state")
        grad_input, grad_initial, parameters = self._tape.backward(grad_output, parts)
        state = tuple(grad_initial) if self._is_pair else grad_initial[0]
        return Gradients(grad_input, state, dict(zip(self._names, parameters, strict=True)))


class Packing(Module):
    """A module whose parameters the kernels read in packed form: a private cache, made at the next call."""

    def _spec(self) -> _core.Spec:
        raise NotImplementedError

    def _weights(self) -> _core.Weights:
        parameters = self._parameters
        packed = self.__dict__.get("_packed")
        if packed is None or packed[0] is not parameters:
            packed = (parameters, _core.Weights(self._spec(), list(parameters.values())))
            self.__dict__["_packed"] = packed
        weights: _core.Weights = packed[1]
        return weights


class Recurrent(Packing):
    """What RNN, LSTM and GRU share. `mode` names the cell of the kernels."""

    _is_pair = False

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        dtype: DTypeLike,
        seed: int | None,
    ) -> None:
        super().__init__()
        check_options(input_size, hidden_size, num_layers, dropout)
        check_bools(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._random = np.random.default_rng(seed)
        for name, shape in self._spec().parameters:
            self._add_parameter(name, initial(self._random, shape, hidden_size, float_dtype(dtype)))

    def __call__(self, input: Array, state: Any = None) -> tuple[Array, Any]:
        """Runs the layers over a sequence.

        Args:
            input: [T,B,I], [B,T,I] with batch_first, or [T,I]; of the layer's dtype; read in place.
            state: the initial hidden state [L*D,B,P] ([L*D,P] without a batch); for the LSTM a pair (h, c), c of
                [L*D,B,H]; None for zeros.

        Returns:
            The output of the last layer, [T,B,D*P] in the input's layout, and the final state, shaped as `state`.

        Raises:
            TypeError: if input or state is not a NumPy array.
            ValueError: if the dtype or the number of dimensions is wrong.
            RuntimeError: if a size is wrong, as in torch.
        """
        output, final = self._run(input, state, record=False)
        return output, tuple(final) if self._is_pair else final[0]

    def vjp(self, input: Array, state: Any = None) -> tuple[Array, Any, Pullback]:
        """Runs the layers and returns (output, state, pullback): see `__call__` and `Pullback`.

        Keeps the gates of every step, about T*B*L*D*(slots + 2)*H numbers with 4 slots (RNN: 1).
        """
        output, final, tape = self._run(input, state, record=True)
        pullback = Pullback(tape, list(self._parameters), self._is_pair)
        return output, tuple(final) if self._is_pair else final[0], pullback

    def _run(self, input: Array, state: Any, record: bool) -> tuple[Any, ...]:
        if not isinstance(input, np.ndarray):
            raise TypeError(f"{type(self).__name__}: input should be a NumPy array, got {type(input).__name__}")
        parts = state_parts(state, self._is_pair, "the state")
        if any(part is None for part in parts):
            raise TypeError("the state should be a pair (h, c) of NumPy arrays, got None in it")
        masks = self._dropout_masks(input) if self.training and self.dropout and self.num_layers > 1 else []
        return self._weights().run(input, parts, self.batch_first, masks, record)

    def _dropout_masks(self, input: Array) -> list[Array]:
        """Factors 0 or 1/(1-p) on the output of every layer but the last, [T,B,D*P]."""
        if not 0 <= self.dropout <= 1:
            raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {self.dropout}")
        if input.ndim not in (2, 3):
            return []  # the call itself says what is wrong
        steps, batch = input.shape[:2] if input.ndim == 3 else (input.shape[0], 1)
        if self.batch_first and input.ndim == 3:
            steps, batch = batch, steps
        width = (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)
        scale = 1 / (1 - self.dropout) if self.dropout < 1 else 0.0
        dtype = self._parameters["weight_ih_l0"].dtype
        return [
            (self._random.random((steps, batch, width)) >= self.dropout).astype(dtype) * dtype.type(scale)
            for _ in range(self.num_layers - 1)
        ]

    def _spec(self) -> _core.Spec:
        return _core.Spec(
            self.mode,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.bidirectional,
            self.bias,
            self.proj_size,
        )

    def extra_repr(self) -> str:
        shown = [str(self.input_size), str(self.hidden_size)]
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, default in {**defaults, "bidirectional": False, "reset_after": True}.items():
            value = getattr(self, name, default)
            if value != default:
                shown.append(f"{name}={value}")
        return ", ".join(shown)


def initial(random: np.random.Generator, shape: Sequence[int], fan: int, dtype: np.dtype[Any]) -> Array:
    """torch's initial distribution, U(-1/sqrt(fan), 1/sqrt(fan))."""
    bound = 1 / math.sqrt(fan)
    return random.uniform(-bound, bound, shape).astype(dtype)


def state_parts(state: Any, is_pair: bool, what: str) -> list[Any]:
    """[], [h] or [h, c]; TypeError for anything but arrays (or None, inside a pair)."""
    if state is None:
        return []
    if is_pair:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            got = f"{len(state)} parts" if isinstance(state, (tuple, list)) else type(state).__name__
            raise TypeError(f"{what} should be a pair (h, c) of NumPy arrays, got {got}")
        parts = list(state)
    else:
        parts = [state]
    for part in parts:
        if part is not None and not isinstance(part, np.ndarray):
            raise TypeError(f"{what} should be made of NumPy arrays, got {type(part).__name__}")
    return parts
