"""RNNCell, LSTMCell and GRUCell are torch's classes, whose calls the kernels run where they can."""

from __future__ import annotations

import inspect
import math
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.profiler import record_function

from pyrnn import _core
from pyrnn.core.facts import IS_PAIR

from .autograd import run
from .call import Call, Inputs, parts_of, run_composed
from .composed import Network
from .counters import count_kernels, count_torch
from .coverage import bad_cell_call
from .drop_in import DropIn, check_sizes
from .kernels import Packed, inferred, served, spec_of
from .private import COMPILING, autocasts, is_profiling, is_transforming, special_mode

FUSED: dict[str, Any] = {"tanh": torch.rnn_tanh_cell, "relu": torch.rnn_relu_cell}  # torch's functions for one step
# With gradients, the kernels run an RNNCell's step of at least so many multiply-adds. With AVX-512 they are 1.3 times
# as fast as torch's at B,I,H = 32,64,128, and slower at 128,16,32; with AVX2 they are nowhere faster.
RECORDED_FROM = 2**19 if _core.isa().startswith("avx512") else math.inf
AS_FAST = "gradients may be asked for, and torch records them as fast"
NAMES = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
of_cell = itemgetter(*NAMES)


class CellDropIn(DropIn):
    """Base class of RNNCell, LSTMCell and GRUCell."""

    _mode = ""
    is_cell = True

    def _name_of_cell(self) -> str:
        return self._mode or f"rnn_{self.nonlinearity}"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__signature__ = inspect.signature(cls._original)  # type: ignore[attr-defined]  # skip_init looks for device=

    def __init__(self, input_size: int, hidden_size: int, *args: Any, **kwargs: Any) -> None:
        check_sizes(input_size, hidden_size)
        super().__init__(input_size, hidden_size, *args, **kwargs)

    def weight_names(self: Any) -> list[str]:
        return NAMES if self.network().bias else NAMES[:2]

    def network(self: Any) -> Network:
        has_bias = self.bias_ih is not None or self.bias_hh is not None
        return Network(self._name_of_cell(), has_bias, 1, False)

    def weights(self: Any) -> list[Any]:
        """Returns the weights in torch's order, without missing biases."""
        parameters = self._parameters  # faster than getattr; parametrized weights are not in it
        found = [parameters[name] if name in parameters else getattr(self, name) for name in NAMES]
        return found if found[2] is not None or found[3] is not None else found[:2]

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        special = special_mode()
        if special is None and not is_profiling() and not autocasts():
            found = inferred(self, input, hx)
            if found is not None:
                count_kernels()
                return found
        if special is not COMPILING and is_profiling():
            with record_function(f"pyrnn.torch.{type(self).__name__}"):
                return self.called(special, input, hx)
        return self.called(special, input, hx)

    def called(self: Any, special: str | None, input: Any, hx: Any) -> Any:
        """Computes a call by the kernels, or as torch does if they do not cover it."""
        if isinstance(input, Proxy):
            return self.symbolic(input, hx, {})
        if special is not COMPILING:
            found = served(self, special, input, hx)
            if found is not None:
                return found
        if special is not None and is_transforming():
            return self.computed(run_composed, None, self.weights(), input, hx)
        self.check_matrix_state(input, hx)
        return self._original.forward(self, input, hx)

    def on_kernels(self: Any, packed: Packed, weights: Any, input: Any, hx: Any, *keywords: Any) -> Any:
        return self.computed(run, packed, weights, input, hx)

    def spec(self: Any) -> _core.Spec:
        """Returns the network and its sizes, as the kernels take them."""
        return spec_of(self.network(), self.input_size, self.hidden_size, 0)

    def computed(self: Any, execute: Any, packed: Packed | None, weights: Any, input: Any, hx: Any) -> Any:
        """Computes a call with `execute`, on a batch of one if the input has no batch."""
        is_pair = IS_PAIR[self._name_of_cell()]
        initial = parts_of(hx, is_pair)
        if unbatched := input.dim() == 1:
            input, initial = input.unsqueeze(0), tuple(state.unsqueeze(0) for state in initial)
        call = Call(self.network(), None, True) if packed is None else Call(packed.network, packed.weights, True)
        final = execute(call, Inputs(input, initial, (), weights))
        if unbatched:
            final = tuple(part.squeeze(0) for part in final)
        return final if is_pair else final[0]

    def bad_call(self: Any, input: Any, hx: Any) -> str | None:
        return bad_cell_call(self, input, hx, IS_PAIR[self._name_of_cell()])

    def check_matrix_state(self: Any, input: Any, hx: Any) -> None:
        """Raises RuntimeError for a 2-D state with a 1-D input, where torch would read out of bounds."""
        if not isinstance(input, Tensor) or input.dim() != 1:
            return
        for i, part in enumerate(hx if isinstance(hx, (tuple, list)) else (hx,)):
            if isinstance(part, Tensor) and part.dim() == 2:
                raise RuntimeError(
                    f"hidden{i} has inconsistent hidden_size: got shape {tuple(part.shape)}, expected "
                    f"{self.hidden_size}: for an unbatched 1-D input hx should be 1-D"
                )


class RNNCell(CellDropIn, nn.RNNCell):
    """`torch.nn.RNNCell` on the kernels: same arguments, attributes, state_dict and results.

    With gradients enabled, torch runs small steps: its two products and a tanh are as fast as the kernels there.
    `RECORDED_FROM` is the size from which the kernels run them.

    Example:
        >>> import torch, pyrnn.torch
        >>> pyrnn.torch.RNNCell(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
    """

    _original = nn.RNNCell

    def is_torchs(self: Any, input: Tensor) -> bool:
        if not torch.is_grad_enabled():
            return False
        batch = input.shape[0] if input.dim() == 2 else 1
        # A traced graph should fit any batch, and a comparison with its symbolic size would fix the size.
        if torch.compiler.is_compiling() or not isinstance(batch, int):
            return True
        is_small: bool = batch * self.hidden_size * (self.input_size + self.hidden_size) < RECORDED_FROM
        return is_small and not autocasts()  # under autocast torch is slow

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        if isinstance(input, Tensor) and self.is_torchs(input) and not is_transforming():
            if not torch.compiler.is_compiling():
                count_torch(AS_FAST)
            if type(hx) is Tensor and input.dim() == hx.dim() == 2:  # skips torch's checks, 5 % of a step at H=16
                try:
                    return FUSED[self.nonlinearity](input, hx, *of_cell(self._parameters))
                except KeyError:  # a weight is parametrized
                    pass
            self.check_matrix_state(input, hx)
            return nn.RNNCell.forward(self, input, hx)
        return super().forward(input, hx)

    def refusal(self: Any, input: Any, hx: Any = None, **keywords: Any) -> str | None:
        reason = super().refusal(input, hx)
        if reason is None and self.is_torchs(input):
            return AS_FAST
        return reason


class LSTMCell(CellDropIn, nn.LSTMCell):
    """`torch.nn.LSTMCell` on the kernels: same arguments, attributes, state_dict and results.

    Example:
        >>> import torch, pyrnn.torch
        >>> h, c = pyrnn.torch.LSTMCell(3, 5)(torch.zeros(2, 3))
        >>> h.shape, c.shape
        (torch.Size([2, 5]), torch.Size([2, 5]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
    """

    _original, _mode = nn.LSTMCell, "lstm"


class GRUCell(CellDropIn, nn.GRUCell):
    """`torch.nn.GRUCell` on the kernels: same arguments, attributes, state_dict and results.

    Example:
        >>> import torch, pyrnn.torch
        >>> pyrnn.torch.GRUCell(3, 5)(torch.zeros(2, 3)).shape
        torch.Size([2, 5])

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
    """

    _original, _mode = nn.GRUCell, "gru"
