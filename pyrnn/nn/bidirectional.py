"""Bidirectional runs two recurrent layers, one from the front and one from the back, and merges their outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_bools
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.architecture import describe
from pyrnn.core.module import Module
from pyrnn.core.pullback import Gradients
from pyrnn.core.recurrent import Recurrent

from .layer import Recorded, pullback_of

MERGE_MODES = ("concat", "sum", "mul", "ave")


class Bidirectional(Module):
    """Runs one layer from the front and one from the back of a sequence, as Keras' layer of this name.

    RNN, LSTM and GRU with `bidirectional=True`, as in torch, are faster. Here the two layers may differ, and
    `merge_mode` says how their outputs become one. Parameters are named "forward.weight_ih_l0",
    "backward.weight_ih_l0" and so on.

    Args:
        forward: an RNN, LSTM or GRU of one direction.
        backward: such a layer for the other direction; None for one like the first with fresh weights.
        merge_mode: "concat" (side by side), "sum", "mul" (product) or "ave" (average).
        return_sequences: whether to return all steps, [T,B,*] or with batch_first [B,T,*]. Otherwise the output,
            [B,*], merges the last step that each layer computes; for the backward one that is the first of the
            sequence.
        seed: of the fresh weights; None for a fresh one.

    Raises:
        TypeError: if a layer is no RNN, LSTM or GRU.
        ValueError: if a layer is bidirectional itself, if both are the same, or if they do not fit together.

    Example:
        >>> import numpy as np, pyrnn, pyrnn.nn as nn
        >>> both = nn.Bidirectional(pyrnn.GRU(3, 4, batch_first=True), merge_mode="sum", return_sequences=False)
        >>> both(np.ones((2, 7, 3), np.float32)).shape
        (2, 4)

    Source: https://keras.io/api/layers/recurrent_layers/bidirectional/
    """

    takes_mask = True
    forward: Recurrent
    backward: Recurrent

    def __init__(
        self,
        forward: Recurrent,
        backward: Recurrent | None = None,
        merge_mode: str = "concat",
        return_sequences: bool = True,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(forward, Recurrent):
            raise TypeError(f"forward should be an RNN, LSTM or GRU, got {type(forward).__name__}")
        if backward is None:
            dtype = forward.weight_ih_l0.dtype
            backward = type(forward)(**{**forward.config(), "dtype": dtype, "seed": seed})
        if not isinstance(backward, Recurrent):
            raise TypeError(f"backward should be an RNN, LSTM or GRU, got {type(backward).__name__}")
        check_bools(return_sequences=return_sequences)
        if merge_mode not in MERGE_MODES:
            raise ValueError(f"merge_mode should be one of {', '.join(MERGE_MODES)}, got {brief(merge_mode)}")
        _check_pair(forward, backward, merge_mode)
        self.forward, self.backward = forward, backward
        self.merge_mode, self.return_sequences = merge_mode, return_sequences

    @property
    def ends_mask(self) -> bool:
        """Whether the output has no time axis, to which a mask could belong."""
        return not self.return_sequences

    def __call__(self, input: Array, *, mask: Array | None = None) -> Array:
        """Computes the merged output.

        Args:
            input: [T,B,I], or [B,T,I] with batch_first layers.
            mask: bool [T,B] or [B,T]: a step marked False leaves the state alone, in both directions.

        Returns:
            [T,B,*] or [B,T,*], or without return_sequences [B,*].

        Raises:
            TypeError, ValueError, RuntimeError: as the layers' own calls.
        """
        parts = [
            self._output(name, *layer(values, mask=flags)[:2])
            for name, layer, values, flags in self._both(input, mask)
        ]
        return self._merged(parts)

    def vjp(self, input: Array, *, mask: Array | None = None) -> Recorded:
        """Returns the output, and a pullback from its gradient to `.input` and `.parameters` (`.state` is None)."""
        ways: list[tuple[str, Callable[[Array], Gradients]]] = []
        parts = []
        for name, layer, values, flags in self._both(input, mask):
            output, final, pullback = layer.vjp(values, mask=flags)
            parts.append(self._output(name, output, final))
            ways.append((name, self._way(name, pullback, final)))
        axis = self._time

        def back(grad: Array) -> Gradients:
            parameters: dict[str, Array] = {}
            inputs = []
            for (name, way), part in zip(ways, self._split(grad, parts), strict=True):
                found = way(part)
                inputs.append(found.input if name == "forward" else np.flip(found.input, axis))
                parameters |= {f"{name}.{key}": value for key, value in found.parameters.items()}
            return Gradients(inputs[0] + inputs[1], None, parameters)

        output = self._merged(parts)
        return output, None, pullback_of(output, back)

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, with the layers as descriptions {"type", "config"}."""
        return {
            "forward": describe(self.forward),
            "backward": describe(self.backward),
            "merge_mode": self.merge_mode,
            "return_sequences": self.return_sequences,
        }

    def extra_repr(self) -> str:
        return f"merge_mode={self.merge_mode!r}, return_sequences={self.return_sequences}"

    @property
    def _time(self) -> int:
        return 1 if self.forward.batch_first else 0

    def _both(self, input: Array, mask: Array | None) -> Iterator[tuple[str, Recurrent, Array, Array | None]]:
        # This is a generator, so that the forward layer has checked the input before np.flip gets it.
        if isinstance(input, np.ndarray) and input.ndim != 3:
            raise ValueError(f"Bidirectional: input should have 3 axes, got shape {input.shape}")
        yield "forward", self.forward, input, mask
        turned = None if mask is None else np.flip(mask, self._time)
        yield "backward", self.backward, np.flip(input, self._time), turned

    def _output(self, name: str, output: Array, final: Any) -> Array:
        if not self.return_sequences:
            last: Array = (final[0] if isinstance(final, tuple) else final)[-1]
            return last
        return output if name == "forward" else np.flip(output, self._time)

    def _way(self, name: str, pullback: Callable[..., Gradients], final: Any) -> Callable[[Array], Gradients]:
        """Returns a function that maps the gradient of what `_output` returned to the gradients of the layer."""
        is_pair = isinstance(final, tuple)
        state = final[0] if is_pair else final

        def way(grad: Array) -> Gradients:
            if self.return_sequences:
                return pullback(grad if name == "forward" else np.flip(grad, self._time))
            to_state = np.zeros_like(state)
            to_state[-1] = grad
            return pullback(None, (to_state, None) if is_pair else to_state)

        return way

    def _merged(self, parts: list[Array]) -> Array:
        forward, backward = parts
        if self.merge_mode == "concat":
            return np.concatenate(parts, axis=-1)
        if self.merge_mode == "mul":
            return np.asarray(forward * backward)
        total = forward + backward
        return total if self.merge_mode == "sum" else total / 2

    def _split(self, grad: Array, parts: list[Array]) -> tuple[Array, Array]:
        forward, backward = parts
        if self.merge_mode == "concat":
            width = forward.shape[-1]
            return grad[..., :width], grad[..., width:]
        if self.merge_mode == "mul":
            return grad * backward, grad * forward
        return (grad, grad) if self.merge_mode == "sum" else (grad / 2, grad / 2)


def _check_pair(forward: Recurrent, backward: Recurrent, merge_mode: str) -> None:
    if forward is backward:
        raise ValueError("forward and backward should be two layers, got one twice; leave backward out for a new one")
    if forward.bidirectional or backward.bidirectional:
        raise ValueError(
            "the layers of a Bidirectional should have one direction each, made without bidirectional=True"
        )
    for name in ("input_size", "batch_first"):
        if getattr(forward, name) != getattr(backward, name):
            raise ValueError(f"forward and backward should have the same {name}, got {forward} and {backward}")
    widths = [layer.proj_size or layer.hidden_size for layer in (forward, backward)]
    if merge_mode != "concat" and widths[0] != widths[1]:
        raise ValueError(f"outputs of {widths[0]} and {widths[1]} features cannot be merged by {brief(merge_mode)}")
