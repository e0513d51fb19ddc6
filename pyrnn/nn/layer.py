"""What the layers of pyrnn.nn share: the call and its reverse mode out of one function, and the checks of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..module import Array, Module
from ..options import check_flags
from ..pullback import Gradients

Back = Callable[[Array], Any]
Way = Callable[[Array], Gradients]


class Layer(Module):
    """Base class: a subclass gives `_forward`, the output and the way back from its gradient.

    Attributes:
        ends_mask: whether a mask goes no further than this layer: its output has no time axis, or another one.
        takes_mask: whether a call takes `mask=`.
    """

    ends_mask = False
    takes_mask = False

    def _forward(self, input: Array) -> tuple[Array, Back]:
        """The output, and a function from its gradient to that of the input, or to `Gradients`."""
        raise NotImplementedError

    def __call__(self, input: Array) -> Array:
        """The output for an input; see the class for shapes.

        Raises:
            TypeError: if the input is not a NumPy array, or not of floating point.
            ValueError: if its shape does not fit.
        """
        return self._forward(self._array(input))[0]

    def vjp(self, input: Array) -> tuple[Array, Way]:
        """The output, and a pullback from its gradient to `.input` and `.parameters` (`.state` is None)."""
        output, back = self._forward(self._array(input).copy())  # the caller's may change before the pullback runs
        return output, pullback_of(output, back)

    def _array(self, input: Any) -> Array:
        return check_array(self, input)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.config().items())


class MaskedLayer(Layer):
    """A layer whose call takes a mask as well: `_forward` has it as its second argument."""

    takes_mask = True
    batch_first: bool

    def _masked(self, input: Array, mask: Array | None) -> tuple[Array, Back]:
        raise NotImplementedError

    def _forward(self, input: Array, mask: Array | None = None) -> tuple[Array, Back]:
        check_flags("mask", mask, input.shape[:2])
        return self._masked(input, mask)

    def __call__(self, input: Array, *, mask: Array | None = None) -> Array:
        """The output for an input; see the class for shapes.

        Args:
            input: a sequence, [T,B,*], or [B,T,*] with batch_first.
            mask: bool [T,B], or [B,T] with batch_first: the steps that count; None for all.

        Raises:
            TypeError: if the input is not a NumPy array of floating point, or the mask not an array.
            ValueError: if a shape does not fit.
        """
        return self._forward(self._array(input), mask)[0]

    def vjp(self, input: Array, *, mask: Array | None = None) -> tuple[Array, Way]:
        """The output, and a pullback from its gradient to `.input` and `.parameters` (`.state` is None)."""
        output, back = self._forward(self._array(input), mask)
        return output, pullback_of(output, back)

    def _array(self, input: Any) -> Array:
        return check_array(self, input, axes=3)

    @property
    def _time(self) -> int:
        return 1 if self.batch_first else 0


def pullback_of(output: Array, back: Back) -> Way:
    """A pullback out of `back`, which checks the gradient that it is given."""
    shape = output.shape

    def pullback(grad_output: Array) -> Gradients:
        if not isinstance(grad_output, np.ndarray) or grad_output.shape != shape:
            got = getattr(grad_output, "shape", type(grad_output).__name__)
            raise ValueError(f"grad_output should be an array of the output's shape, {shape}, got {got}")
        found = back(grad_output)
        return found if isinstance(found, Gradients) else Gradients(found, None, {})

    return pullback


def check_array(layer: Module, input: Any, axes: int = 0) -> Array:
    """The input back, if it is an array of floating point of at least so many axes."""
    name = type(layer).__name__
    if not isinstance(input, np.ndarray):
        raise TypeError(f"{name}: input should be a NumPy array, got {type(input).__name__}")
    if input.dtype.kind != "f":
        raise TypeError(f"{name}: input should be of floating point, got dtype {input.dtype}; use .astype('float32')")
    if input.ndim < axes:
        raise ValueError(f"{name}: input should have at least {axes} axes, got shape {input.shape}")
    return input
