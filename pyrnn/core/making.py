"""Holds what a loader needs before it makes layers: the classes that files may name, and a limit of parameters.

`import pyrnn` imports this module, and leaves `architecture` and `file` for their first use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pyrnn.checks.arrays import Array

if TYPE_CHECKING:
    from pyrnn.checks.budget import Budget

    from .module import Module

Layer = TypeVar("Layer", bound="Module")

# Type names to classes; the modules of pyrnn.core and pyrnn.nn fill it. A class of one's own may be added: it needs
# config().
LAYERS: dict[str, type[Module]] = {}

_LARGER = "parameters of shape {} are larger than the file that should hold them: they"
_SKIPPED: ContextVar[bool] = ContextVar("initial parameters are zeros", default=False)
_BUDGET: ContextVar[Budget | None] = ContextVar("what the parameters of modules may take", default=None)


def known(layer_class: type[Layer]) -> type[Layer]:
    """Decorates a class that files may name."""
    LAYERS[layer_class.__name__] = layer_class
    return layer_class


@contextmanager
def loading(budget: Budget | None = None) -> Iterator[None]:
    """Inside the block, layers are made for a loader, which replaces all their parameters.

    They are zeros. Nothing is drawn, and numpy.random, which NumPy imports when it is asked for, is not imported: 9 ms
    of the 24 that it took to load a small LSTM.

    Args:
        budget: all parameters and buffers are spent from it, for sizes that come from a file; None for no limit.
    """
    skipped, limited = _SKIPPED.set(True), _BUDGET.set(budget)
    try:
        yield
    finally:
        _SKIPPED.reset(skipped)
        _BUDGET.reset(limited)


def is_loading() -> bool:
    """Whether a loader makes the layers: their weights and their order are the file's."""
    return _SKIPPED.get()


def check_room(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """ValueError if an array of this shape, not made yet, is more than the budget allows; MemoryError if vast."""
    size = math.prod(shape) * dtype.itemsize
    budget = _BUDGET.get()
    if budget is not None:
        budget.check(size, _LARGER.format(tuple(shape)))
    if size >= 2**60:  # where NumPy speaks of its own names
        raise MemoryError(f"not enough memory: parameters of shape {tuple(shape)} take {size} bytes")


def spend(value: Array) -> None:
    """Takes the array's bytes from the budget; ValueError if they are more than it has."""
    budget = _BUDGET.get()
    if budget is not None:
        budget.spend(value.nbytes, _LARGER.format(value.shape))
