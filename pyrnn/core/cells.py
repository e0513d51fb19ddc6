"""RNNCell, LSTMCell and GRUCell compute one time step on NumPy arrays, as torch.nn's cells do on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import (
    MOST_UNITS,
    check_array,
    check_arrays,
    check_bools,
    check_nonlinearity,
    check_size,
    float_dtype,
)
from pyrnn.checks.arrays import Array
from pyrnn.weights.state_dict import OPTIONS

from .initial import Random
from .making import known
from .packing import Specified
from .pullback import Gradients, Pullback, state_parts

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`


class Cell(Specified):
    """Base class of the three cells: one layer and one step; its parameters have no suffix `_l0`."""

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, bias: bool, dtype: DTypeLike, seed: int | None
    ) -> None:
        super().__init__()
        check_size("input_size", input_size, MOST_UNITS)
        check_size("hidden_size", hidden_size, MOST_UNITS)
        check_bools(bias=bias)
        self.mode, self.input_size, self.hidden_size, self.bias = mode, input_size, hidden_size, bias
        random = Random(seed)
        spec = self._spec()
        self.__dict__["_is_pair"] = spec.has_cell_state
        for name, shape in spec.parameters:
            value = random.uniform(shape, hidden_size, float_dtype(dtype))
            self._add_parameter(name.removesuffix("_l0"), value)

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in self.config().items() if name in OPTIONS}

    def _spec(self) -> _core.Spec:
        return _core.Spec.make(self.mode, self.input_size, self.hidden_size, bias=self.bias)

    def __call__(self, input: Array, hx: Any = None) -> Any:
        """One step.

        Args:
            input: [B,I] or [I], of the cell's dtype.
            hx: h of [B,H] or [H]; for LSTMCell a pair (h, c); None for zeros.

        Returns:
            The new state, shaped as `hx`.

        Raises:
            TypeError: if input or hx is not a NumPy array.
            ValueError: if a number of dimensions or the dtype is wrong.
            RuntimeError: if a size is wrong, as in torch.
        """
        _, final, _, _ = self._run(input, hx, record=False)
        return self._state_of(final)

    def vjp(self, input: Array, hx: Any = None) -> tuple[Array, Any, Callable[..., Gradients]]:
        """Computes one step and returns a function for its gradients.

        Args:
            input: as in a call.
            hx: as in a call.

        Returns:
            h after the step, the state after the step, and a pullback. The pullback takes the loss's gradients with
            respect to these two, either of which may be None for zero, and returns `Gradients`: `.input`, `.state`
            (with respect to the state before the step) and `.parameters`.

        Raises:
            TypeError, ValueError, RuntimeError: as a call.
        """
        output, final, _, tape = self._run(input, hx, record=True)
        whole = Pullback(tape, list(self._parameters), self._is_pair)

        def pullback(grad_output: Array | None = None, grad_state: Any = None) -> Gradients:
            check_arrays(grad_output=grad_output)
            parts = [
                None if part is None else part[None] for part in state_parts(grad_state, self._is_pair, "grad_state")
            ]
            grad_output = None if grad_output is None else grad_output[None]
            grads = whole(grad_output, (tuple(parts) if self._is_pair else parts[0]) if parts else None)
            before = [grads.state] if not self._is_pair else list(grads.state)
            return Gradients(grads.input[0], self._state_of(before), grads.parameters)

        return output[0], self._state_of(final), pullback

    def _state_of(self, parts: list[Array]) -> Any:
        return (parts[0][0], parts[1][0]) if self._is_pair else parts[0][0]

    def _run(self, input: Array, hx: Any, record: bool) -> tuple[Any, ...]:
        name = type(self).__name__
        if type(input) is not np.ndarray:
            check_array(f"{name}: input", input)
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[-1]} expected {self.input_size}")
        parts = state_parts(hx, self._is_pair, "hx")
        for i, part in enumerate(parts):
            self._check_hidden(input, part, i)
        return self._weights().run(input[None], [part[None] for part in parts], False, [], record)

    def _check_hidden(self, input: Array, hidden: Array, i: int) -> None:
        if hidden is None:
            raise TypeError("hx should be a pair (h, c) of NumPy arrays, got None in it")
        if hidden.ndim not in (1, 2):
            what = f"hx[{i}]" if self._is_pair else "hidden"
            raise ValueError(f"{type(self).__name__}: Expected {what} to be 1D or 2D, got {hidden.ndim}D instead")
        if hidden.ndim != input.ndim or hidden.shape[-1] != self.hidden_size:
            got = hidden.shape[-1] if hidden.ndim == input.ndim else f"shape {hidden.shape}"
            raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {got}, expected {self.hidden_size}")
        if hidden.shape[:-1] != input.shape[:-1]:
            raise RuntimeError(
                f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {hidden.shape[0]}"
            )

    def extra_repr(self) -> str:
        shown = f"{self.input_size}, {self.hidden_size}"
        for name, default in {"bias": True, "nonlinearity": "tanh", "reset_after": True}.items():
            value = getattr(self, name, default)
            if value != default:
                shown += f", {name}={value}"
        return shown


@known
class RNNCell(Cell):
    """One step of an Elman RNN: torch.nn.RNNCell on NumPy arrays.

        h' = f(W_ih x + b_ih + W_hh h + b_hh)        f = tanh or relu

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        bias: whether the cell has the biases b_ih and b_hh.
        nonlinearity: f, "tanh" or "relu".
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> pyrnn.RNNCell(3, 5, seed=0)(np.zeros((2, 3), np.float32)).shape
        (2, 5)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.__dict__["nonlinearity"] = check_nonlinearity(nonlinearity)
        super().__init__(f"rnn_{nonlinearity}", input_size, hidden_size, bias, dtype, seed)


@known
class LSTMCell(Cell):
    """One step of an LSTM: torch.nn.LSTMCell on NumPy arrays.

    `LSTM` displays the equations and names the order of the gates in the rows of the weights.

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        bias: whether the cell has the biases b_ih and b_hh.
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> h, c = pyrnn.LSTMCell(3, 5, seed=0)(np.zeros((2, 3), np.float32))
        >>> h.shape, c.shape
        ((2, 5), (2, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__("lstm", input_size, hidden_size, bias, dtype, seed)


@known
class GRUCell(Cell):
    """One step of a GRU: torch.nn.GRUCell on NumPy arrays.

    `GRU` displays the equations and names the order of the gates in the rows of the weights.

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        bias: whether the cell has the biases b_ih and b_hh.
        reset_after: whether the reset gate multiplies after the product with W_hn (True, as in torch) or before it.
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> h, _, pullback = pyrnn.GRUCell(3, 5, seed=0).vjp(np.zeros((2, 3), np.float32))
        >>> pullback(np.ones_like(h)).state.shape
        (2, 5)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        check_bools(reset_after=reset_after)
        self.__dict__["reset_after"] = reset_after
        super().__init__("gru" if reset_after else "gru_reset_before", input_size, hidden_size, bias, dtype, seed)
