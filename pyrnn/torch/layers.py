"""RNN, LSTM and GRU are torch's classes, whose calls the kernels run where they can.

Letters in shapes: T time, B batch, I input_size, H hidden_size, P proj_size or H, L layers, D directions.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.utils.rnn import PackedSequence
from torch.profiler import record_function

from pyrnn import _core
from pyrnn.checks.arguments import check_bools, check_names

from .autograd import run
from .call import run_composed
from .composed import Network
from .counters import count_kernels
from .coverage import DTYPES, bad_layer_call, check_call
from .drop_in import DropIn, check_sizes
from .kernels import Packed, inferred, served, spec_of
from .keywords import NONE, Keywords
from .layer_call import call_layer
from .operators import run_operator
from .private import (
    COMPILING,
    autocasts,
    graph_break,
    is_profiling,
    is_transforming,
    skip_in_graphs,
    special_mode,
)
from .stream import TensorStream
from .trace import trace


class RecurrentDropIn(DropIn):
    """Base class of RNN, LSTM and GRU."""

    activation: str | None = "tanh"
    recurrent_activation: str = "sigmoid"
    peephole: bool = False

    def __init__(
        self: Any,
        *args: Any,
        activation: str | None = None,
        recurrent_activation: str = "sigmoid",
        peephole: bool = False,
        **kwargs: Any,
    ) -> None:
        check_sizes(*args, **kwargs)
        super().__init__(*args, **kwargs)
        check_bools(peephole=peephole)
        check_names(recurrent_activation=recurrent_activation, activation=activation or "tanh")
        if recurrent_activation != "sigmoid" and self.mode.startswith("RNN"):
            raise ValueError("recurrent_activation is for the gates of an LSTM or a GRU: an RNN has none")
        if activation not in (None, type(self).activation):
            self.activation = activation
        if recurrent_activation != "sigmoid":
            self.recurrent_activation = recurrent_activation
        if peephole:
            self.peephole = True
        self.spec()  # checks the names
        if peephole:
            self.add_peepholes()

    def add_peepholes(self: Any) -> None:
        """Adds parameters weight_peephole_l0 ... [3H] for the gates i, o, f, drawn as torch draws the others."""
        bound = 1 / math.sqrt(self.hidden_size)
        for names in self._all_weights:
            name = names[0].replace("weight_ih", "weight_peephole")
            setattr(
                self, name, nn.Parameter(self.weight_ih_l0.new_empty(3 * self.hidden_size).uniform_(-bound, bound))
            )
            names.insert(4 if self.bias else 2, name)
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        for name in self._flat_weights_names:  # moves each to the end, so that all come in this order
            self._parameters[name] = self._parameters.pop(name)
        self._init_flat_weights()

    def extra_repr(self: Any) -> str:
        chosen = (f"{name}={getattr(self, name)}" for name in ("activation", "recurrent_activation", "peephole")
                  if name in self.__dict__)  # fmt: skip
        return ", ".join((super().extra_repr(), *chosen))

    def network(self: Any) -> Network:
        mode = self.mode.lower()
        if mode.startswith("rnn") and self.activation is not None:  # it replaces the nonlinearity
            mode = "rnn_tanh"
        chosen = self.activation or "tanh", self.recurrent_activation, self.peephole
        return Network(mode, self.bias, self.num_layers, self.bidirectional, *chosen)

    def spec(self: Any) -> _core.Spec:
        """Returns the network and its sizes, as the kernels take them; raises ValueError for an unknown activation."""
        return spec_of(self.network(), self.input_size, self.hidden_size, self.proj_size)

    def forward(
        self: Any,
        input: Any,
        hx: Any = None,
        *,
        lengths: Any = None,
        mask: Tensor | None = None,
        masked_output: str = "zero",
        reset: Tensor | None = None,
        reset_state: Any = None,
        return_states: bool = False,
        checkpoint: int | None = None,
    ) -> Any:
        """Runs the layers over sequences, as torch's call, with keywords that torch lacks.

        Args:
            input: [T,B,I], [B,T,I] with batch_first, [T,I], or a PackedSequence.
            hx: the initial state [L*D,B,P], for the LSTM a pair (h, c), c of [L*D,B,H]; None for zeros.
            lengths: [B] integers from 0 to T, in any order: each sequence ends after so many steps.
            mask: bool, [T,B], [B,T] or [T] as the input is: a step marked False leaves the state alone.
            masked_output: the output of such a step: "zero", or "hold" for the state, which the step left alone.
            reset: bool, laid out as `mask`: before a step marked True, the state of that sequence becomes zero, or
                reset_state, in every layer. Not for bidirectional layers.
            reset_state: shaped as hx.
            return_states: whether to return the cell states of all steps of the last layer too, [T,B,D*H] (LSTM only).
            checkpoint: k, to keep only the state before every k-th step; backward computes the rest again.

        Returns:
            (output, hx), or (output, hx, cell states).

        Raises:
            ValueError, RuntimeError, TypeError: as torch; ValueError too for a keyword of a wrong shape or dtype.
        """
        keywords = NONE
        if not (
            lengths is mask is reset is reset_state is checkpoint is None
            and return_states is False
            and masked_output == "zero"
        ):
            keywords = Keywords(lengths, mask, masked_output, reset, reset_state, return_states, checkpoint)
        special = special_mode()
        if special is COMPILING and not torch.onnx.is_in_onnx_export():
            return self.compiled(input, hx, keywords)
        profiling = is_profiling()
        is_plain = special is None and keywords is NONE and not profiling and not autocasts()
        if is_plain and not (self.dropout and self.training):
            found = inferred(self, input, hx)
            if found is not None:
                count_kernels()
                return found
        if profiling:
            with record_function(f"pyrnn.torch.{type(self).__name__}"):
                return self.eager(special, input, hx, keywords)
        return self.eager(special, input, hx, keywords)

    def eager(self: Any, special: str | None, input: Any, hx: Any, keywords: Keywords) -> Any:
        """Computes a call outside of a graph: by the kernels, or as torch does if they do not cover it."""
        if isinstance(input, Proxy) and self.has_own_forward():
            return self.symbolic(input, hx, keywords.given())
        found = served(self, special, input, hx, keywords)
        if found is not None:
            return found
        if keywords is NONE and self.is_standard() and not is_transforming():
            self.check_packed_input(input)
            return self._original.forward(self, input, hx)
        return self.composed(input, hx, keywords)

    def on_kernels(self: Any, packed: Packed, weights: Any, input: Any, hx: Any, *keywords: Any) -> Any:
        return call_layer(self, run, packed, weights, input, hx, *keywords)

    def compiled(self: Any, input: Any, hx: Any, keywords: Keywords) -> Any:
        """Computes a call in a graph, as one operator, or as torch does if the kernels do not cover it."""
        x = input.data if isinstance(input, PackedSequence) else input
        if is_transforming():
            return self.composed(input, hx, keywords)
        weights = [getattr(self, name) for name in self._flat_weights_names]
        tensors = [x, *(() if hx is None else hx if self.mode == "LSTM" else (hx,)), *weights]
        dtype = x.dtype
        covered = dtype in DTYPES and all(t.dtype == dtype and t.device.type == "cpu" for t in tensors)
        if torch.is_autocast_enabled("cpu"):
            cast = (
                self.in_float32(weights, input, hx, keywords is NONE)
                if all(t.device.type == "cpu" for t in tensors)
                else None
            )
            if cast is not None:
                found = call_layer(self, run_operator, None, weights, cast.input, cast.hx, keywords)
                return cast.cast(found, False)
        elif covered:
            return call_layer(self, run_operator, None, weights, input, hx, keywords)
        if keywords is NONE and self.is_standard():
            if self.mode == "LSTM" and torch.is_grad_enabled():
                graph_break()  # because torch 2.13 cannot trace the gradient of its LSTM
            return self._original.forward(self, input, hx)
        return self.composed(input, hx, keywords)

    def composed(self: Any, input: Any, hx: Any, keywords: Keywords) -> Any:
        """Computes a call by torch's operators, after checks, because the operators would broadcast wrong shapes."""
        check_call(self, input, hx)
        if keywords.reset_state is not None and not isinstance(input, PackedSequence):
            check_call(self, input, keywords.reset_state)
        return call_layer(self, run_composed, None, self.weights(), input, hx, keywords)

    def weight_names(self: Any) -> list[str]:
        return self._flat_weights_names  # type: ignore[no-any-return]

    def weights(self: Any) -> list[Any]:
        """Returns all weights, in the order of the kernels."""
        parameters = self._parameters
        found = [parameters.get(name) for name in self._flat_weights_names]
        for weight in found:
            if weight is None:  # parametrized or deleted; torch reads it, because each read changes a spectral norm
                self._update_flat_weights()
                return self._flat_weights  # type: ignore[no-any-return]
        return found

    def bad_call(self: Any, input: Any, hx: Any) -> str | None:
        return bad_layer_call(self, input, hx)

    def check_packed_input(self: Any, input: Any) -> None:
        """Checks packed data as torch's RNN and GRU do; torch's LSTM omits the check and may read out of bounds."""
        if isinstance(input, PackedSequence) and input.data.dtype is self.weights()[0].dtype:
            self.check_input(input.data, input.batch_sizes)

    def stream(self: Any, batch: int = 1) -> TensorStream:
        """Makes a `TensorStream` of `batch` running sequences, with this layer's present weights."""
        return TensorStream(self, batch)

    def trace(self: Any, input: Tensor, hx: Any = None, **options: Any) -> Any:
        """Runs a call and returns its `pyrnn.Trace` on NumPy arrays; it takes the keywords of single steps too."""
        return trace(self, input, hx, options)


# torch.onnx's older exporter passes all parameters that it finds here by position; keywords would break that.
vars(RecurrentDropIn.forward)["__signature__"] = inspect.signature(lambda self, input, hx=None, **keywords: None)

# Dynamo traces neither torch's layers nor these, and must not trace the functions that they call.
skip_in_graphs(RecurrentDropIn.forward)


class RNN(RecurrentDropIn, nn.RNN):
    """`torch.nn.RNN` on the kernels: same arguments, attributes, state_dict and results.

    The constructor takes `activation=` too, as `pyrnn.RNN`; a call takes the keywords of `forward`.

    Example:
        >>> import torch, pyrnn.torch
        >>> output, h = pyrnn.torch.RNN(3, 5, activation="sigmoid")(torch.zeros(7, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
    """

    _original = nn.RNN
    activation = None


class LSTM(RecurrentDropIn, nn.LSTM):
    """`torch.nn.LSTM` on the kernels: same arguments, attributes, state_dict and results.

    The constructor takes `activation=`, `recurrent_activation=` and `peephole=` too, as `pyrnn.LSTM`; a call takes the
    keywords of `forward`.

    Example:
        >>> import torch, pyrnn.torch
        >>> lstm = pyrnn.torch.LSTM(3, 5, batch_first=True)
        >>> output, (h, c) = lstm(torch.zeros(2, 7, 3), lengths=[7, 4])
        >>> output.shape, isinstance(lstm, torch.nn.LSTM)
        (torch.Size([2, 7, 5]), True)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """

    _original = nn.LSTM


class GRU(RecurrentDropIn, nn.GRU):
    """`torch.nn.GRU` on the kernels: same arguments, attributes, state_dict and results.

    The constructor takes `activation=` and `recurrent_activation=` too, as `pyrnn.GRU`; a call takes the keywords of
    `forward`.

    Example:
        >>> import torch, pyrnn.torch
        >>> output, h = pyrnn.torch.GRU(3, 5)(torch.zeros(7, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 2, 5]), torch.Size([1, 2, 5]))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """

    _original = nn.GRU
