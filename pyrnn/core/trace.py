"""A trace holds every gate and state of a call, and computes how its gradients flow through time."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arguments import check_arrays, check_int
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import MOST_NAMES, brief

from .facts import FACTS
from .pullback import state_parts

if TYPE_CHECKING:
    from pathlib import Path

    from .recurrent import Recurrent

DIRECTIONS = ("forward", "reverse")


class TraceKeyError(KeyError):
    """A KeyError that prints its message as it is; str() of a KeyError would print the message's repr."""

    def __str__(self) -> str:
        return str(self.args[0])


class Fields(SimpleNamespace):
    """The gates and states of one layer and direction, as attributes."""

    def __getattr__(self, name: str) -> Any:  # Python calls it when ordinary look-up fails
        raise AttributeError(f"no {brief(name)} in this layer of the trace, which has {', '.join(vars(self))}")


class Trace:
    """Every gate and state of a call; made by `layer.trace(x)`.

    `trace[layer, "forward"]` and `trace[layer, "reverse"]` have one array [T,B,H] for each gate and state, in the
    order of time: i, f, g, o, c, h for an LSTM, r, z, n, h for a GRU, h for an RNN. With a projection h is [T,B,P]. At
    steps that a mask left out all are zero.

    Attributes:
        output: the output, as a call returns it.
        state: the final state, as a call returns it.

    Example:
        >>> import numpy as np, pyrnn
        >>> lstm = pyrnn.LSTM(3, 5, num_layers=2, seed=0)
        >>> trace = lstm.trace(np.ones((7, 2, 3), np.float32))
        >>> trace[1, "forward"].f.shape
        (7, 2, 5)
        >>> norms = trace.gradients(np.ones_like(trace.output))
        >>> norms[1, "forward"].h.shape, norms[0, "forward"].c.shape
        ((7,), (7,))
    """

    def __init__(self, layer: Recurrent, output: Array, state: Any, tape: _core.Tape, active: Array | None) -> None:
        self.output, self.state = output, state
        self._tape, self._layer, self._batch_first = tape, layer, layer.batch_first and output.ndim == 3
        self._active = None if active is None else self._by_time(active)

    def __getitem__(self, key: tuple[int, str]) -> Fields:
        layer, reverse = self._place(key)
        slots = self._tape.slots(layer * self._directions + reverse)
        slots = slots[::-1] if reverse else slots
        cell = FACTS[self._layer.mode]
        fields = {name: slots[:, :, i] for i, name in enumerate(cell.slots) if name in (*cell.gates, *cell.states)}
        last = layer + 1 == self._layer.num_layers
        shown = self._by_time(self.output) if last else self._tape.input(layer + 1)
        width = shown.shape[-1] // self._directions
        fields["h"] = shown[..., reverse * width : (reverse + 1) * width]
        if self._active is not None:
            fields = {name: np.where(self._active[..., None], value, 0) for name, value in fields.items()}
        return Fields(**fields)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yields the keys, layer by layer, forward before reverse."""
        return ((i, name) for i in range(self._layer.num_layers) for name in DIRECTIONS[: self._directions])

    def gradients(self, grad_output: Array | None = None, grad_state: Any = None) -> dict[tuple[int, str], Any]:
        """Measures how much a loss depends on each step, by the norms of dLoss/dh_t and, for the LSTM, dLoss/dc_t.

        Args:
            grad_output: the loss's gradient with respect to the output, or None for zero.
            grad_state: the loss's gradient with respect to the final state, or None for zero.

        Returns:
            A dict that maps (layer, direction) to an object with `.h` and `.c` (None without a cell state): arrays
            [T], in the order of time, of Euclidean norms over batch and units. Norms that shrink towards the first
            step show that the gradient vanishes.

        Raises:
            TypeError, ValueError: if a gradient is of a wrong type, shape or dtype.
        """
        norms = {}
        for key, arrays in self._flow(grad_output, grad_state).items():
            flow = [np.sqrt((a**2).sum(axis=(1, 2))) for a in arrays]
            norms[key] = SimpleNamespace(h=flow[0], c=flow[1] if len(flow) > 1 else None)
        return norms

    def _flow(self, grad_output: Array | None, grad_state: Any = None) -> dict[tuple[int, str], list[Array]]:
        """Computes dLoss/dh_t [T,B,P] and, for the LSTM, dLoss/dc_t [T,B,H], in the order of time, as float64."""
        check_arrays(grad_output=grad_output)
        parts = state_parts(grad_state, self._layer._is_pair, "grad_state")
        all_states = self._tape.backward(grad_output, parts, None, True, False, False)[4]
        return {
            key: [(a[::-1] if key[1] == "reverse" else a).astype(np.float64) for a in arrays]
            for key, arrays in zip(self, all_states, strict=True)
        }

    def plot(
        self,
        path: str | Path | None = None,
        *,
        key: tuple[int, str] = (0, "forward"),
        row: int = 0,
        grad_output: Array | None = None,
    ) -> Any:
        """Draws the gates of one layer and direction over time, and the norms of the gradients (matplotlib).

        Args:
            path: the file to write, or None.
            key: the layer and direction.
            row: the index of the sequence in the batch.
            grad_output: the gradient, with respect to the output, of the loss whose gradients are drawn; None for the
                loss that sums the output of the last step.

        Returns:
            The matplotlib figure.

        Raises:
            ImportError: if matplotlib is not installed.
            ValueError: if row is out of range.
        """
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError('drawing needs matplotlib: pip install "pyrnn-cpu[plot]"') from error
        fields = vars(self[key])
        batch = fields["h"].shape[1]
        check_int("row", row)
        if not 0 <= row < batch:
            raise ValueError(f"row should be from 0 to {batch - 1}, the sequences of the batch, got {row}")
        figure = Figure(figsize=(9, 1.5 * len(fields) + 2.5), layout="constrained")
        axes = figure.subplots(len(fields) + 1, 1, sharex=True, squeeze=False)[:, 0]
        figure.suptitle(f"{type(self._layer).__name__}, layer {key[0]}, {key[1]}, sequence {row}")
        for axis, (name, values) in zip(axes, fields.items(), strict=False):
            self._draw(axis, name, values[:, row], row)
        if grad_output is None:
            grad_output = np.zeros_like(self.output)
            self._by_time(grad_output)[-1] = 1
        for name, gradient in zip(("dLoss/dh", "dLoss/dc"), self._flow(grad_output)[key], strict=False):
            norm = np.sqrt((gradient[:, row] ** 2).sum(axis=1))
            axes[-1].plot(np.arange(len(norm)), np.where(norm > 0, norm, np.nan), label=f"|{name}|")
            if norm.any():
                axes[-1].set_yscale("log")
        axes[-1].set(xlabel="step", ylabel="gradient\nnorm")
        axes[-1].legend(loc="best", frameon=False)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure

    def _draw(self, axis: Any, name: str, values: Array, row: int) -> None:
        """Draws one field of one sequence, units against time; steps that a mask left out are grey."""
        if self._active is not None:
            values = np.where(self._active[:, row, None], values, np.nan)
        top = float(np.nanmax(np.abs(values), initial=1e-9))
        if name in "ifozr" and self._layer.recurrent_activation == "sigmoid":
            scale: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
        else:
            scale = {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
        axis.set_facecolor("0.8")
        image = axis.imshow(values.T, aspect="auto", interpolation="nearest", **scale)
        axis.set_ylabel(f"{name}\n(unit)")
        axis.figure.colorbar(image, ax=axis, pad=0.01)

    def _place(self, key: tuple[int, str]) -> tuple[int, int]:
        if not isinstance(key, tuple) or isinstance(key[0], float) or key not in tuple(self):
            every = [repr(each) for each in self]
            known = ", ".join(every[:MOST_NAMES]) + (
                f" and {len(every) - MOST_NAMES} more" if every[MOST_NAMES:] else ""
            )
            raise TraceKeyError(
                f"no {brief(key)} in this trace, which has {known}; its gates and states are attributes, as in "
                f'trace[0, "forward"].h'
            )
        return key[0], DIRECTIONS.index(key[1])

    @property
    def _directions(self) -> int:
        return 2 if self._layer.bidirectional else 1

    def _by_time(self, array: Array) -> Array:
        """Returns the array, which is laid out as the input, as [T,B,...]."""
        if self.output.ndim == 2:
            return array[:, None]
        return array.swapaxes(0, 1) if self._batch_first else array
