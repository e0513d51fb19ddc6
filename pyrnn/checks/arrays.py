"""Makes NumPy arrays from what a caller gives in their place: lists, tensors, tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from .placeholder import Placeholder
from .quoting import brief, escaped, quoted

Array = np.ndarray[Any, np.dtype[Any]]

_NUMBERS = (int, float, np.number, np.bool_)


def to_array(value: Any, name: str) -> Array:
    """Makes a NumPy array of real numbers from an array-like; it reads torch tensors without importing torch."""
    if isinstance(value, Placeholder):
        raise TypeError(f"{quoted(name)} is {value!r}; expected an array of real numbers")
    if hasattr(value, "detach"):  # It is a tensor: NumPy has no bfloat16, and refuses tensors that need gradients.
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{escaped(name)} is a MaskedArray, and its mask would be lost; fill it with .filled(value)")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{escaped(name)} should be an array of real numbers, got dtype {array.dtype}")
    return array


def as_array(value: Any, what: str) -> Array:
    """Makes a NumPy array of numbers or bools from an array, a list, a tensor or a DataFrame.

    Args:
        value: the array-like. An array of numbers or bools is returned itself, not copied.
        what: the name of the value in error messages.

    Returns:
        An array of float, int, unsigned int or bool. torch's bfloat16 becomes float32.

    Raises:
        TypeError: if the value is a masked or sparse array, or does not hold real numbers.
        ValueError: if it is a list whose parts have different lengths.

    >>> as_array([[1, 2], [3, 4]], "inputs").shape
    (2, 2)
    """
    _refuse_masks(value, what)
    if hasattr(value, "toarray"):
        raise TypeError(f"{what} should be a dense array, got {type(value).__name__}; write .toarray()")
    if hasattr(value, "detach"):  # It is a tensor, which may need a gradient or lie on a GPU.
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has no bfloat16.
            value = value.float()
    try:
        array = np.asarray(value)
    except ValueError as error:  # NumPy speaks of an inhomogeneous shape; _ragged says what to do.
        raise ValueError(_ragged(what)) from error
    if array.dtype.kind == "O":
        array = _of_objects(array, value, what)
    if array.dtype.kind in "SU":
        raise TypeError(
            f"{what} should be numbers, got text such as {brief(str(array.flat[0] if array.size else '')[:40])}; "
            "encode it as numbers; labels become class indices by names, y = np.unique(labels, return_inverse=True)"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} should be an array of real numbers, got dtype {array.dtype}")
    return array


def _refuse_masks(value: Any, what: str) -> None:
    parts = value if isinstance(value, (list, tuple)) else ()
    if isinstance(value, np.ma.MaskedArray) or any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(
            f"{what} should be a plain array, got a MaskedArray: its mask would be dropped. Write .filled(value), and "
            "give the steps that count to the network as mask=, or mark them for nn.Masking(value)"
        )


def _of_objects(array: Array, value: Any, what: str) -> Array:
    """Converts an array of objects to float64 if they are all numbers."""
    if not array.ndim:
        raise TypeError(f"{what} should be an array of numbers, got {type(value).__name__}")
    strange = next((item for item in array.flat if not isinstance(item, _NUMBERS)), None)
    if isinstance(strange, (list, tuple, np.ndarray)):
        raise ValueError(_ragged(what))
    if isinstance(strange, str):
        return array.astype(str)
    if strange is not None or any(item is None for item in array.flat):
        raise TypeError(
            f"{what} should hold numbers alone, got an object of {type(strange).__name__} among them; "
            "fill or drop such rows, and encode categories as numbers"
        )
    return array.astype(np.float64)


def _ragged(what: str) -> str:
    return (
        f"{what} should be one array, got parts of different shapes; pad the sequences to one length, and give the "
        "steps that count as mask=, or mark them for nn.Masking(value)"
    )
