"""RNN, LSTM, GRU and their cells: torch's classes, whose calls the kernels run where they can."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._dynamo import eval_frame
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

from .. import _core
from .call import Call, Rows, run
from .coverage import bad_cell_call, bad_layer_call, bad_weights, special_mode
from .packing import known_weights, packed_weights

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of a cell


class DropIn(nn.Module):
    """What the six share. Nothing of it is part of a state_dict, a pickle or a copy."""

    def refusal(self, input: Any, hx: Any = None) -> str | None:
        """Why torch itself has to run a call, or None if the kernels do."""
        raise NotImplementedError

    def __prepare_scriptable__(self) -> nn.Module:
        """What torch.jit.script compiles in place of this: torch's own module, with the same parameters."""
        original = copy.copy(self)
        kinds = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
        original.__class__ = next(kind for kind in kinds if isinstance(self, kind))  # type: ignore[assignment]
        return original

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self.__dict__.pop("_packed", None)  # torch swaps parameters only if nobody else holds them
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[no-untyped-call]
        state.pop("_packed", None)
        return state


class Layer(DropIn):
    """What RNN, LSTM and GRU share."""

    def refusal(self, input: Any, hx: Any = None) -> str | None:
        reason = special_mode()
        if reason is None:
            self.follow_weights()
            reason = bad_weights(self._flat_weights) or bad_layer_call(self, input, hx)  # type: ignore[arg-type]
        return reason

    def covered(self: Any, input: Any, hx: Any) -> _core.Weights | None:
        """The packed weights, or None if torch itself has to run the call: `refusal`, quicker."""
        if special_mode() is not None:
            return None
        self.follow_weights()
        weights = self._flat_weights
        known = known_weights(self, weights)
        if (known is None and bad_weights(weights) is not None) or bad_layer_call(self, input, hx) is not None:
            return None
        return packed_weights(self, self.spec(), weights) if known is None else known

    def flatten_parameters(self: Any) -> None:
        """Forgets the packed weights: for who edited a few numbers of one through `.data`, which nothing tells."""
        self.__dict__.pop("_packed", None)
        super().flatten_parameters()  # type: ignore[misc]

    def follow_weights(self: Any) -> None:
        parameters = self._parameters
        refs = self._flat_weight_refs
        for ref, name in zip(refs, self._flat_weights_names, strict=False):
            if ref is None or ref() is not parameters.get(name):  # parametrized, or indeed changed
                return self._update_flat_weights()  # type: ignore[no-any-return]

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        kernels = self.covered(input, hx)
        if kernels is None:
            self.check_packed_input(input)
            return super().forward(input, hx)
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        rows = Rows.of(input.batch_sizes) if packed else None
        if packed and hx is not None:
            hx = self.permute_hidden(hx, input.sorted_indices)
        is_pair = self.mode == "LSTM"
        weights = self._flat_weights
        call = Call(
            self.mode.lower(),
            self.bias,
            self.num_layers,
            self.bidirectional,
            self.batch_first and not packed,
            False,
            kernels,
            self.masks(x, rows),
            rows,
        )
        output, *final = run(call, x, () if hx is None else hx if is_pair else (hx,), weights)
        hidden = tuple(final) if is_pair else final[0]
        if not packed:
            return output, hidden
        whole = PackedSequence(output, input.batch_sizes, input.sorted_indices, input.unsorted_indices)
        return whole, self.permute_hidden(hidden, input.unsorted_indices)

    def check_packed_input(self: Any, input: Any) -> None:
        """torch's check, where torch leaves it out (LSTM) and may read out of bounds."""
        if isinstance(input, PackedSequence) and input.data.dtype is self._flat_weights[0].dtype:
            self.check_input(input.data, input.batch_sizes)

    def spec(self: Any) -> tuple[Any, ...]:
        sizes = (self.input_size, self.hidden_size, self.num_layers)
        return self.mode.lower(), *sizes, self.bidirectional, self.bias, self.proj_size

    def masks(self: Any, x: Tensor, rows: Rows | None) -> tuple[Tensor, ...]:
        """The factors torch would draw, with the same use of its generator."""
        if not (self.training and self.dropout and self.num_layers > 1):
            return ()
        steps, batch = x.shape[:-1] if x.dim() == 3 else (len(x), 1)
        shape = (batch, steps) if self.batch_first and x.dim() == 3 else (steps, batch)
        width = (self.proj_size or self.hidden_size) * (1 + self.bidirectional)
        ones = torch.ones(*(shape if rows is None else (len(rows.places),)), width, dtype=x.dtype)
        with torch.no_grad():
            return tuple(dropout(ones, self.dropout, True) for _ in range(self.num_layers - 1))


# Dynamo refuses to trace these layers, as it refuses torch's; nor may it trace the functions they call. The decorator
# torch.compiler.disable would import all of dynamo.
_skip = eval_frame._FrameAction.SKIP
eval_frame.set_code_exec_strategy(Layer.forward.__code__, eval_frame._FrameExecStrategy(_skip, _skip))


class Cell(DropIn):
    """What RNNCell, LSTMCell and GRUCell share."""

    _mode = ""

    def refusal(self, input: Any, hx: Any = None) -> str | None:
        reason = special_mode()
        if reason is None:
            weights, _ = self.weights()
            reason = bad_weights(weights) or bad_cell_call(self, input, hx, self._mode == "lstm")
        return reason

    def weights(self: Any) -> tuple[list[Any], bool]:
        parameters = self._parameters  # quicker than getattr, but without what is parametrized
        found = [parameters[name] if name in parameters else getattr(self, name) for name in NAMES]
        bias = found[2] is not None or found[3] is not None
        return found if bias else found[:2], bias

    def mode(self: Any) -> str:
        return self._mode or f"rnn_{self.nonlinearity}"

    def covered(self: Any, input: Any, hx: Any, weights: list[Any], bias: bool) -> _core.Weights | None:
        """The packed weights, or None if torch itself has to run the call: `refusal`, quicker."""
        if special_mode() is not None:
            return None
        known = known_weights(self, weights)
        bad = known is None and bad_weights(weights) is not None
        if bad or bad_cell_call(self, input, hx, self._mode == "lstm") is not None:
            return None
        spec = (self.mode(), self.input_size, self.hidden_size, 1, False, bias)
        return packed_weights(self, spec, weights) if known is None else known

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        weights, bias = self.weights()
        kernels = self.covered(input, hx, weights, bias)
        if kernels is None:
            self.check_matrix_state(input, hx)
            return super().forward(input, hx)
        is_pair = self._mode == "lstm"
        call = Call(self.mode(), bias, 1, False, False, True, kernels)
        final = run(call, input, () if hx is None else hx if is_pair else (hx,), weights)
        return final if is_pair else final[0]

    def check_matrix_state(self, input: Any, hx: Any) -> None:
        """RuntimeError where torch, unbatched, reads out of bounds or takes H rows for a batch."""
        if not isinstance(input, Tensor) or input.dim() != 1:
            return
        for i, part in enumerate(hx if isinstance(hx, (tuple, list)) else (hx,)):
            if isinstance(part, Tensor) and part.dim() == 2:
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got shape {tuple(part.shape)}, expected "
                    f"{self.hidden_size}: for an unbatched 1-D input hx should be 1-D"
                )


class RNN(Layer, nn.RNN):
    """`torch.nn.RNN` on the kernels: same arguments, attributes, state_dict and results."""


class LSTM(Layer, nn.LSTM):
    """`torch.nn.LSTM` on the kernels: same arguments, attributes, state_dict and results.

    Example:
        >>> import torch, pyrnn.torch
        >>> lstm = pyrnn.torch.LSTM(3, 5, batch_first=True)
        >>> output, (h, c) = lstm(torch.zeros(2, 7, 3))
        >>> output.shape, isinstance(lstm, torch.nn.LSTM)
        (torch.Size([2, 7, 5]), True)
    """


class GRU(Layer, nn.GRU):
    """`torch.nn.GRU` on the kernels: same arguments, attributes, state_dict and results."""


class RNNCell(Cell, nn.RNNCell):
    """`torch.nn.RNNCell` on the kernels: same arguments, attributes, state_dict and results."""


class LSTMCell(Cell, nn.LSTMCell):
    """`torch.nn.LSTMCell` on the kernels: same arguments, attributes, state_dict and results."""

    _mode = "lstm"


class GRUCell(Cell, nn.GRUCell):
    """`torch.nn.GRUCell` on the kernels: same arguments, attributes, state_dict and results."""

    _mode = "gru"
