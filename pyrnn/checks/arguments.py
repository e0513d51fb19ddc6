"""Checks the arguments of constructors and calls, with torch's exceptions and sentences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from .quoting import brief

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # Importing it at run time would take a tenth of the time of `import pyrnn`.


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Returns the dtype in native byte order if it is float32 or float64; None means float32, as in torch.

    Raises:
        TypeError: if NumPy does not know the dtype.
        ValueError: if it is another dtype.
    """
    try:
        found = np.dtype(np.float32 if dtype is None else dtype)
    except Exception:  # NumPy raises several kinds, each in its own words.
        raise TypeError(f"dtype should be float32 or float64, got {brief(dtype)}") from None
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype should be float32 or float64, got {found}")
    return found


# These are the largest sizes that csrc/engine/spec.cpp allows: the kernels count in 32 bits.
MOST = 2**31 - 1
MOST_UNITS = MOST // 64
MOST_LAYERS = 2**16 - 1


def check_size(name: str, value: Any, most: float = MOST) -> None:
    """Refuses, as torch does, a size that is no positive int, and one above `most`, which kernels cannot count."""
    check_int(name, value, most)
    if value <= 0:
        raise ValueError(f"{name} must be greater than zero, got {brief(value)}")


def is_int(value: Any) -> bool:
    """Tells whether a value is an int of Python or NumPy; a bool is not one."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Tells whether a value is an int or a float of Python or NumPy; a bool is not one."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def check_int(name: str, value: Any, most: float = math.inf, least: float = -math.inf) -> None:
    """Raises TypeError for a value that is not an int, and ValueError for one above `most` or below `least`."""
    if not is_int(value):
        raise TypeError(f"{name} should be of type int, got: {type(value).__name__}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, got {brief(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {brief(value)}")


def check_seed(seed: Any) -> None:
    """Raises TypeError or ValueError for a value that is neither None nor an int of at least 0."""
    if seed is not None:
        check_int("seed", seed, least=0)


def check_not_negative(name: str, value: Any, finite: bool = True) -> float:
    """Returns the value as a float.

    Raises:
        TypeError: if it is not a number; a string, bytes or a bool is not one.
        ValueError: if it is below 0 or NaN, or if it is infinite and `finite` is True.
    """
    expected = f"{name} should be a {'finite ' if finite else ''}number of at least 0"
    try:
        number = None if isinstance(value, (str, bytes, bool, np.bool_)) else float(value)
    except (TypeError, ValueError):
        number = None
    except OverflowError:  # The integer exceeds the largest float.
        number = math.inf if value > 0 else -math.inf
    if number is None:
        raise TypeError(f"{expected}, got {brief(value)} of {type(value).__name__}.")
    if not number >= 0 or (finite and number == math.inf):
        raise ValueError(f"{expected}, got {brief(value)}.")
    return number


def check_nonlinearity(nonlinearity: str) -> str:
    """Returns the name if it is "tanh" or "relu", and raises ValueError otherwise."""
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"Unknown nonlinearity {brief(str(nonlinearity))}. Select from 'tanh' or 'relu'.")
    return nonlinearity


def check_bools(**options: Any) -> None:
    """Raises TypeError for an option that is not a bool."""
    for name, value in options.items():
        if not isinstance(value, bool):
            raise TypeError(f"{name} should be of type bool, got: {type(value).__name__}")


def check_names(**options: Any) -> None:
    """Raises TypeError for an option that is not a string."""
    for name, value in options.items():
        if not isinstance(value, str):
            raise TypeError(f"{name} should be of type str, got: {type(value).__name__}")


def check_masked_output(value: Any) -> bool:
    """Tells whether the output at a masked step is the held state; raises ValueError unless it is "zero" or "hold"."""
    if value not in ("zero", "hold"):
        raise ValueError(f'masked_output should be "zero" or "hold", got {brief(value)}')
    return bool(value == "hold")


def check_flags(name: str, value: Any, shape: tuple[int, ...], kind: type = np.ndarray) -> None:
    """Raises TypeError or ValueError unless the value is None or an array of bool of this shape."""
    check_arrays(kind, **{name: value})
    if value is not None and (str(value.dtype) not in ("bool", "torch.bool") or tuple(value.shape) != shape):
        raise ValueError(
            f"{name} should be an array of bool of shape {shape}, got {value.dtype} of shape {tuple(value.shape)}"
        )


def check_arrays(kind: type = np.ndarray, /, **values: Any) -> None:
    """Raises TypeError for a value that is neither None nor an array of this kind: np.ndarray or torch.Tensor."""
    for name, value in values.items():
        if value is not None:
            check_array(name, value, kind)


def check_array(name: str, value: Any, kind: type = np.ndarray) -> None:
    """Raises TypeError unless the value is an array of this kind and no MaskedArray, whose mask would be lost."""
    if type(value) is kind:
        return
    if not isinstance(value, kind):
        expected, todo = ("a NumPy array", "; write np.asarray(...)") if kind is np.ndarray else ("a tensor", "")
        raise TypeError(f"{name} should be {expected}, got {type(value).__name__}{todo}")
    if kind is np.ndarray and isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a MaskedArray, and its mask would be ignored: fill it with .filled(value), and say which "
            "steps count with mask= where the layer takes one"
        )


def check_options(input_size: Any, hidden_size: Any, num_layers: Any, dropout: Any) -> None:
    """Checks a layer's sizes and dropout in torch's order, and warns if dropout has no effect."""
    if not is_number(dropout) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed, "
            f"got {brief(dropout)}"
        )
    check_size("input_size", input_size, MOST_UNITS)
    check_size("hidden_size", hidden_size, MOST_UNITS)
    check_size("num_layers", num_layers, MOST_LAYERS)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            UserWarning,
            stacklevel=4,
        )


def _arguments(layer: Any) -> tuple[str, ...]:
    return tuple(signature(layer).parameters)


# It returns the names of the arguments of a class or function; the cache saves the 30 us that `signature` takes.
arguments_of: Callable[[Any], tuple[str, ...]] = lru_cache(maxsize=256)(_arguments)
