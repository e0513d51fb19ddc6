"""Layer, the base class of pyrnn.nn, makes call and pullback out of one function, and checks their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.checks.arguments import check_array, check_flags
from pyrnn.checks.arrays import Array
from pyrnn.checks.quiet import quiet
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.pullback import Gradients
from pyrnn.core.recurrent import Recurrent

Back = Callable[[Array], Any]
Way = Callable[[Array], Gradients]
Recorded = tuple[Array, None, Way]  # what `vjp` returns
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Layer(Module):
    """Base class of the layers: a subclass defines `_forward`, which returns an output and a function for gradients.

    Subclasses of MaskedLayer define `_masked` instead.

    Attributes:
        ends_mask: whether a mask ends at this layer, because its output has no time axis, or another one.
        takes_mask: whether a call takes `mask=`.
    """

    ends_mask = False
    takes_mask = False

    def _forward(self, input: Array) -> tuple[Array, Back]:
        """Returns the output, and a function that maps its gradient to that of the input, or to `Gradients`."""
        raise NotImplementedError

    @quiet
    def __call__(self, input: Array) -> Array:
        """Computes the output; the class says which shapes it takes.

        Raises:
            TypeError: if the input is not a NumPy array, or not of floating point.
            ValueError: if its shape does not fit.
        """
        return self._forward(self._array(input))[0]

    @quiet
    def vjp(self, input: Array) -> Recorded:
        """Returns the output, and a pullback from its gradient to `.input` and `.parameters` (`.state` is None)."""
        # The caller's array may change before the pullback runs.
        output, back = self._forward(self._array(input).copy())
        return output, None, pullback_of(output, back)

    def _array(self, input: Any) -> Array:
        return float_array(self, input)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.config().items())


class MaskedLayer(Layer):
    """Base class of the layers whose call takes a mask; a subclass defines `_masked(input, mask)`."""

    takes_mask = True
    batch_first: bool

    def _masked(self, input: Array, mask: Array | None) -> tuple[Array, Back]:
        raise NotImplementedError

    def _forward(self, input: Array, mask: Array | None = None) -> tuple[Array, Back]:
        check_flags("mask", mask, input.shape[:2])
        return self._masked(input, mask)

    @quiet
    def __call__(self, input: Array, *, mask: Array | None = None) -> Array:
        """Computes the output; the class says which shapes it takes.

        Args:
            input: a sequence, [T,B,*], or [B,T,*] with batch_first.
            mask: bool [T,B], or [B,T] with batch_first, True for the steps that count; None for all.

        Returns:
            The output, without the time axis.

        Raises:
            TypeError: if the input is not a NumPy array of floating point, or the mask not an array.
            ValueError: if a shape does not fit.
        """
        return self._forward(self._array(input), mask)[0]

    @quiet
    def vjp(self, input: Array, *, mask: Array | None = None) -> Recorded:
        """Returns the output, and a pullback from its gradient to `.input` and `.parameters` (`.state` is None)."""
        output, back = self._forward(self._array(input), mask)
        return output, None, pullback_of(output, back)

    def _array(self, input: Any) -> Array:
        array = float_array(self, input)
        if array.ndim < 3:
            raise shape_error(self, "(batch, time, *)" if self.batch_first else "(time, batch, *)", array)
        return array

    @property
    def _time(self) -> int:
        return 1 if self.batch_first else 0


def pullback_of(output: Array, back: Back) -> Way:
    """Makes a pullback of `back`: it checks the gradient that it is given and returns `Gradients`."""
    shape, dtype = output.shape, output.dtype

    def pullback(grad_output: Array) -> Gradients:
        check_array("grad_output", grad_output)
        if grad_output.shape != shape or (dtype.kind == "f" and grad_output.dtype != dtype):
            raise ValueError(
                f"grad_output should be an array of the output's shape and dtype, {shape} of {dtype}, got "
                f"{grad_output.shape} of {grad_output.dtype}"
            )
        return _gradients(back, np.asarray(grad_output))

    return pullback


@quiet
def _gradients(back: Back, grad_output: Array) -> Gradients:
    found = back(grad_output)
    return found if isinstance(found, Gradients) else Gradients(np.asarray(found), None, {})


def plain_array(layer: Module, input: Any) -> Array:
    """Returns the input as a plain array of any dtype; raises TypeError for what is no array, or a masked array."""
    check_array(f"{type(layer).__name__}: input", input)
    return np.asarray(input)  # so that `*` of a numpy.matrix is elementwise


def float_array(layer: Module, input: Any) -> Array:
    """Returns the input as a plain array; raises TypeError for anything but float32 and float64."""
    array = plain_array(layer, input)
    if array.dtype not in FLOATS:
        raise TypeError(
            f"{type(layer).__name__}: input should be of float32 or float64, got dtype {array.dtype}; use "
            ".astype('float32')"
        )
    return array


def kept(values: Array, keep: Array) -> Array:
    """Returns the values where `keep` is True, and 0 elsewhere, even in place of NaN or infinity.

    np.where does the same with branches, which the CPU mispredicts: a ReLU's gradient of 16,384 numbers takes it 100
    us, this function 6 us.
    """
    bits = np.dtype(f"i{values.itemsize}")
    every = np.negative(keep.view(np.int8)).astype(bits)  # -1 has all bits set
    found: Array = (values.view(bits) & every).view(values.dtype)
    return found


def shape_error(layer: Module, wanted: str, array: Array, hint: str = "") -> ValueError:
    """Makes the error for an input whose axes do not fit."""
    return ValueError(f"{type(layer).__name__}: expected input of shape {wanted}, got {array.shape}{hint}")


class Naming:
    """A block that adds a note with the layer's name to errors; contextlib's would take 1 us more for each layer."""

    def __init__(self, name: str, layer: Module) -> None:
        self.name, self.layer = name, layer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Exception):
            error.add_note(f"in layer {brief(self.name)} of the Sequential, {type(self.layer).__name__}")


def options_beside(layer: Module, mask: Array | None) -> dict[str, Any]:
    """Returns the keywords for a call of the layer whose input has this mask."""
    heeds = isinstance(layer, Recurrent) or getattr(layer, "takes_mask", False)
    return {"mask": mask} if heeds and mask is not None else {}


def mask_after(layer: Module, input: Array, mask: Array | None) -> Array | None:
    """Returns the mask of the layer's output, given the mask of its input."""
    if hasattr(layer, "make_mask") and (made := layer.make_mask(input)) is not None:
        mask = made
    if mask is None or getattr(layer, "ends_mask", False):
        return None
    return layer.pass_mask(mask) if hasattr(layer, "pass_mask") else mask
