"""Recurrent is the base class of RNN, LSTM and GRU: their call, its gradients, traces and streams.

Letters in shapes: T time, B batch, I input_size, H hidden_size, P proj_size or H, L layers, D directions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import (
    MOST_UNITS,
    check_array,
    check_arrays,
    check_bools,
    check_int,
    check_masked_output,
    check_names,
    check_options,
    check_size,
    float_dtype,
)
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.weights.state_dict import OPTIONS as STATE_OPTIONS

from .initial import Random
from .packing import Specified
from .pullback import Pullback, state_of, state_parts
from .steps import active_steps, extent

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`

    from .stream import Stream
    from .trace import Trace

OPTIONS = ("lengths", "mask", "masked_output", "reset", "reset_state")  # options of single steps


class Recurrent(Specified):
    """Base class of RNN, LSTM and GRU; `mode` is the name that the kernels give the cell."""

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
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        peephole: bool = False,
        masked_output: str = "zero",
    ) -> None:
        super().__init__()
        check_masked_output(masked_output)
        check_options(input_size, hidden_size, num_layers, dropout)
        check_int("proj_size", proj_size, MOST_UNITS)
        check_bools(bias=bias, batch_first=batch_first, bidirectional=bidirectional, peephole=peephole)
        check_names(activation=activation, recurrent_activation=recurrent_activation)
        self.mode, self.input_size, self.hidden_size, self.num_layers = mode, input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.activation, self.recurrent_activation, self.peephole = activation, recurrent_activation, peephole
        self.masked_output = masked_output
        self._random = Random(seed)
        spec = self._spec()
        self.__dict__["_is_pair"] = spec.has_cell_state
        for name, shape in spec.parameters:
            self._add_parameter(name, self._random.uniform(shape, hidden_size, float_dtype(dtype)))

    def __call__(
        self,
        input: Array,
        hx: Any = None,
        *,
        lengths: Any = None,
        mask: Array | None = None,
        masked_output: str = "default",
        reset: Array | None = None,
        reset_state: Any = None,
        return_states: bool = False,
    ) -> tuple[Any, ...]:
        """Runs the layers over a batch of sequences.

        Args:
            input: [T,B,I], [B,T,I] with batch_first, or [T,I]; of the layer's dtype; read in place.
            hx: the initial hidden state [L*D,B,P] ([L*D,P] without a batch); for the LSTM a pair (h, c), c of
                [L*D,B,H]; None for zeros.
            lengths: [B] integers from 0 to T, in any order: each sequence ends after so many steps. Outputs past
                the end are zero (or as masked_output says), the final state is that at the end, and the reverse
                direction starts there. Work is done for the steps that are left.
            mask: bool, [T,B] or [B,T] or [T] as the input is: a step marked False leaves the state alone (padding
                in front, holes in the middle), in both directions.
            masked_output: what the output of such a step is: "zero", or "hold" for the state that was left alone;
                by default, what the layer was made with.
            reset: bool, laid out as `mask`: before a step marked True the row's state of every layer becomes zero,
                or `reset_state`. Not for bidirectional layers.
            reset_state: shaped as `hx`.
            return_states: also return the cell states of all steps of the last layer (LSTM only).

        Returns:
            The output of the last layer, [T,B,D*P] in the input's layout, the final state, shaped as `hx`, and
            with return_states the cell states, [T,B,D*H] in the input's layout.

        Raises:
            TypeError: if an argument is not a NumPy array.
            ValueError: if a dtype, a number of dimensions or the shape of lengths, mask or reset is wrong.
            RuntimeError: if a size is wrong, as in torch.

        Example:
            >>> import numpy as np, pyrnn
            >>> y, h = pyrnn.GRU(3, 5, seed=0)(np.ones((7, 2, 3), np.float32), lengths=[7, 4])
            >>> bool((y[3, 1] == h[0, 1]).all()), bool((y[4:, 1] == 0).all())
            (True, True)
        """
        asked = self._asked(input, lengths, mask, masked_output, reset, reset_state, return_states)
        output, final, states, _ = self._run(input, hx, False, asked)
        final = state_of(final, self._is_pair)
        return (output, final, states) if return_states else (output, final)

    def vjp(
        self,
        input: Array,
        hx: Any = None,
        *,
        lengths: Any = None,
        mask: Array | None = None,
        masked_output: str = "default",
        reset: Array | None = None,
        reset_state: Any = None,
        return_states: bool = False,
        checkpoint: int | None = None,
    ) -> tuple[Any, ...]:
        """Runs the layers as a call does; returns its outputs followed by a `Pullback`, which computes the gradients.

        It takes the arguments of a call, raises the same errors, and keeps the gates of every step: 7 T B H numbers
        for each layer and direction of an LSTM, 5 T B H for a GRU, 2 T B H for an RNN. The pullback takes 4 T B H more
        (RNN: 1).

        With `checkpoint=k` it keeps only the state before every k-th step. The pullback then computes the rest again,
        k steps at a time: the same bits in about a third more time, with memory for k + T / k steps, which is least at
        k = sqrt(T). The input is not copied then: do not change it before the pullback has run. The inputs of all
        layers but the first are kept even so.
        """
        asked = self._asked(input, lengths, mask, masked_output, reset, reset_state, return_states)
        if checkpoint is not None:
            check_size("checkpoint", checkpoint, math.inf)  # a number above T acts as T
            asked["every"] = min(checkpoint, 2**31 - 1)
        output, final, states, tape = self._run(input, hx, True, asked)
        pullback = Pullback(tape, list(self._parameters), self._is_pair)
        final = state_of(final, self._is_pair)
        return (output, final, states, pullback) if return_states else (output, final, pullback)

    def trace(self, input: Array, hx: Any = None, **options: Any) -> Trace:
        """Runs the layers and keeps every gate and state of every layer and direction: see `Trace`.

        It takes the arguments of a call except return_states, and raises the same errors.
        """
        from .trace import Trace

        for name in options:
            if name not in OPTIONS:
                raise TypeError(
                    f"{type(self).__name__}.trace() does not take {brief(name)}, only hx, {', '.join(OPTIONS)}"
                )
        asked = self._asked(input, **options)
        output, final, _, tape = self._run(input, hx, True, asked, dropout=False)
        active = asked["active"].copy() if asked.get("active") is not None else None  # the caller's may change
        return Trace(self, output, state_of(final, self._is_pair), tape, active)

    def stream(self, batch: int = 1) -> Stream:
        """Makes a `Stream` of `batch` running sequences, which holds their state and this layer's present weights.

        Raises:
            TypeError, ValueError: if batch is no number from 0 to 2**31 - 1, or the layer is bidirectional.
        """
        from .stream import Stream

        return Stream(self._weights(), batch, self._is_pair, self.batch_first, self.masked_output)

    def _asked(
        self,
        input: Array,
        lengths: Any = None,
        mask: Array | None = None,
        masked_output: str = "default",
        reset: Array | None = None,
        reset_state: Any = None,
        return_states: bool = False,
    ) -> dict[str, Any]:
        """Returns the keywords of a call in the form that the kernels take."""
        hold = check_masked_output(self.masked_output if masked_output == "default" else masked_output)
        if lengths is None and mask is None and reset is None and reset_state is None and return_states is False:
            return {}  # a plain call at T = 1 takes 4 us with all keywords, 2.5 us without
        check_bools(return_states=return_states)
        if reset_state is not None and reset is None:
            raise ValueError("reset_state is given without reset: say at which steps with reset=")
        if return_states and not self._is_pair:
            raise ValueError(f"return_states is for the LSTM's cell states; the states of a {type(self).__name__} "
                             "are its output")  # fmt: skip
        parts = state_parts(reset_state, self._is_pair, "reset_state")
        check_arrays(mask=mask, reset=reset, **{f"reset_state[{i}]": part for i, part in enumerate(parts)})
        if lengths is not None:
            within = active_steps(input, self.batch_first, lengths)
            # A reset past the end of a sequence has no effect either. The kernels refuse wrong shapes.
            mask, reset = (
                flags & within if flags is not None and flags.dtype == bool and flags.shape == within.shape else flags
                for flags in (within if mask is None else mask, reset)
            )
        return {
            "active": mask,
            "hold": hold,
            "reset": reset,
            "reset_state": parts,
            "all_cell_states": return_states,
        }

    def _run(
        self, input: Array, hx: Any, record: bool, asked: dict[str, Any], dropout: bool = True
    ) -> tuple[Any, ...]:
        if type(input) is not np.ndarray:  # saves 0.2 us: the name for the error is then not formatted
            check_array(f"{type(self).__name__}: input", input)
        parts = state_parts(hx, self._is_pair, "hx")
        if any(part is None for part in parts):
            raise TypeError("hx should be a pair (h, c) of NumPy arrays, got None in it")
        dropping = dropout and self.training and self.dropout and self.num_layers > 1
        masks = self._dropout_masks(input) if dropping else []
        return self._weights().run(input, parts, self.batch_first, masks, record, **asked)

    def _dropout_masks(self, input: Array) -> list[Array]:
        """Draws factors 0 or 1/(1-p) for the output of every layer but the last, [T,B,D*P]."""
        if not 0 <= self.dropout <= 1:
            raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {self.dropout}")
        if input.ndim not in (2, 3):
            return []  # the kernels raise the error
        steps, batch = extent(input, self.batch_first)
        width = (2 if self.bidirectional else 1) * (self.proj_size or self.hidden_size)
        scale = 1 / (1 - self.dropout) if self.dropout < 1 else 0.0
        dtype = self._parameters["weight_ih_l0"].dtype
        return [
            (self._random.random((steps, batch, width)) >= self.dropout).astype(dtype) * dtype.type(scale)
            for _ in range(self.num_layers - 1)
        ]

    def _options(self) -> dict[str, Any]:
        config = self.config()
        return {name: config[name] for name in STATE_OPTIONS if name in config}

    def _spec(self) -> _core.Spec:
        return _core.Spec.make(
            self.mode,
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.bidirectional,
            self.bias,
            self.proj_size,
            self.activation,
            self.recurrent_activation,
            self.peephole,
        )

    def extra_repr(self) -> str:
        shown = [str(self.input_size), str(self.hidden_size)]
        defaults: dict[str, Any] = {
            "proj_size": 0,
            "num_layers": 1,
            "nonlinearity": "tanh",
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
        }
        defaults |= {"bidirectional": False, "reset_after": True, "activation": "tanh"}
        defaults |= {"recurrent_activation": "sigmoid", "peephole": False, "masked_output": "zero"}
        for name, default in defaults.items():
            value = getattr(self, name, default)
            if value != default:
                shown.append(f"{name}={value}")
        return ", ".join(shown)
