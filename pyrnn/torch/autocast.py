"""Under autocast the kernels compute in float32, and results have the dtype that torch gives them.

torch computes such calls in bfloat16 or float16. float32 is faster on the kernels, and more exact. A float64 call is
not changed, as autocast changes none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .private import onednn_is_fast, onednn_runs

NOT_CAST = (
    "autocast is on, under which the kernels take weights of float32, an input and a state of float32 or of "
    "autocast's dtype, and no LSTM for which this CPU has instructions of that dtype"
)


class Float32Call(NamedTuple):
    """The arguments of a call in float32, and the dtypes of its results."""

    input: Any
    hx: Any
    of_output: torch.dtype  # of the output and h
    of_cell_state: torch.dtype

    def cast(self, result: Any, is_cell: bool) -> Any:
        """Returns the result of a layer or a cell in torch's dtypes."""
        if isinstance(result, Tensor):  # h of a cell
            return result.to(self.of_output)
        if is_cell:
            return tuple(part.to(self.of_output) for part in result)
        output, state, *states = result
        if not isinstance(state, tuple):
            return to(output, self.of_output), state.to(self.of_output)
        h, c = state
        state = h.to(self.of_output), c.to(self.of_cell_state)
        return to(output, self.of_output), state, *(to(part, self.of_cell_state) for part in states)


def to(value: Any, dtype: torch.dtype) -> Any:
    """Converts a tensor, a packed sequence or a tuple of tensors; None stays None."""
    if isinstance(value, PackedSequence):
        return PackedSequence(value.data.to(dtype), *value[1:])
    if isinstance(value, (tuple, list)):
        return tuple(part.to(dtype) for part in value)
    return value if value is None else value.to(dtype)


def in_float32(
    mode: str, has_projection: bool, is_cell: bool, weight: Tensor, input: Any, hx: Any, is_torchs: bool
) -> Any:
    """Returns a `Float32Call`, or None if torch should run the call: other dtypes, or an LSTM that oneDNN runs faster.

    Args:
        mode: "lstm", "gru", "rnn_tanh" or "rnn_relu".
        has_projection: whether the LSTM has proj_size.
        is_cell: whether the module is a cell.
        weight: the first weight of the module.
        input: the call's input, which is a tensor or a packed sequence.
        hx: the call's initial state.
        is_torchs: whether torch's class could run the call: it has no keywords and no chosen activations.
    """
    low = torch.get_autocast_dtype("cpu")
    x = input.data if isinstance(input, PackedSequence) else input
    parts = hx if isinstance(hx, (tuple, list)) else (x if hx is None else hx,)
    given = parts[0].dtype if parts else low
    if {x.dtype, *(part.dtype for part in parts)} == {torch.float64} and weight.dtype is torch.float64:
        return Float32Call(input, hx, torch.float64, torch.float64)
    allowed = torch.float32, low
    if weight.dtype is not torch.float32 or x.dtype not in allowed or given not in allowed:
        return None
    if any(part.dtype is not given for part in parts):
        return None
    # torch casts the results of matrix products alone. An RNN's state is such a product under tanh; the state of the
    # others is a sum of products with the state before, which has the dtype that the caller gave it.
    of_output = of_cell_state = low if mode.startswith("rnn") else given
    if mode == "lstm" and has_projection:
        of_output = low
    elif mode == "lstm" and not is_cell and x is input and x.numel() and onednn_runs(x.dtype):
        if is_torchs and onednn_is_fast(low) and not (torch.compiler.is_compiling() and torch.is_grad_enabled()):
            # With AVX512-BF16 oneDNN takes 0.6 of the float32 kernels' time at T,B,I,H = 50,32,128,256 on one thread.
            # torch.compile cannot trace its gradients.
            return None
        of_output = of_cell_state = low  # oneDNN has one dtype for all
    return Float32Call(to(input, torch.float32), to(hx, torch.float32), of_output, of_cell_state)
