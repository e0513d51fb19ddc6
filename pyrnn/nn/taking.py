"""Callers give a network integers, lists and tables; here they become arrays of the dtype that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyrnn.checks.arguments import is_int
from pyrnn.checks.arrays import Array, as_array
from pyrnn.checks.quoting import brief
from pyrnn.core.linear import Linear
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent

from .bidirectional import Bidirectional
from .embedding import Embedding
from .layer import Layer
from .layout import is_ours
from .shape import Flatten, Permute, RepeatVector, Reshape, Reverse

MOVING = (Flatten, Permute, RepeatVector, Reshape, Reverse)  # layers that take any dtype, and return it

# Maps methods that users of Keras look for to advice on what to write.
KERAS = {
    "compile": 'loss and optimizer go to pyrnn.train.fit(model, (x, y), loss="mse", optimizer="adam", epochs=10)',
    "fit": "write pyrnn.train.fit(model, (x, y), epochs=10)",
    "evaluate": "write pyrnn.train.mse_loss(model.predict(x), y)[0], or with another loss",
    "forward": "write model(x)",
}


def dtype_taken(model: Module) -> np.dtype[Any] | None:
    """Returns float32 or float64 if the network's first layer takes floats only; None if it may take integers."""
    first = _first(model)
    if first is None or not is_ours(first) or isinstance(first, Embedding):
        return None
    if not isinstance(first, (Recurrent, Linear, Bidirectional, Layer)):
        return None
    known = [value.dtype for value in (*first.parameters().values(), *model.parameters().values())]
    return next((dtype for dtype in known if dtype.kind == "f"), np.dtype(np.float32))


def as_input(model: Module, value: Any, what: str = "inputs") -> Array:
    """Returns the array with which to call a network.

    Args:
        model: the network.
        value: an array, list, tensor or DataFrame.
        what: the name of the value in errors.

    Raises:
        TypeError, ValueError: as `as_array`.
    """
    array, dtype = as_array(value, what), dtype_taken(model)
    return array if dtype is None else array.astype(dtype, copy=False)


def axes_of(batch_axis: Any) -> tuple[int, int]:
    """Returns the axes that count the samples in inputs and outputs, given one number or a pair of them."""
    pair = batch_axis if isinstance(batch_axis, tuple) else (batch_axis, batch_axis)
    if len(pair) != 2 or not all(map(is_int, pair)):
        raise TypeError(
            f"batch_axis should be an int, or a pair of them for inputs and outputs, got {brief(batch_axis)}"
        )
    return int(pair[0]), int(pair[1])


def _first(model: Module) -> Module | None:
    """Returns the first layer that computes something; it looks into networks in the network too."""
    for layer in getattr(model, "_leaves", lambda: [("", model)])():
        if not isinstance(layer[1], MOVING):
            found: Module = layer[1]
            return found
    return None
