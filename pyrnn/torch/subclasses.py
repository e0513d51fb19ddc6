"""A subclass of torch's layer or cell becomes a drop-in by a class that puts the drop-in between the two.

For `class Mine(nn.LSTM)` the new class has the bases Mine and `pyrnn.torch.LSTM`. In its method resolution order the
drop-in follows Mine and precedes nn.LSTM, so `super().forward` in Mine calls the drop-in, and `isinstance` is true of
Mine and of nn.LSTM.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakValueDictionary

from torch import nn

from .classes import is_parametrized, parametrized
from .drop_in import DropIn

# A class that uses one of these computes something of its own from torch's flat list of weights.
PRIVATE = {"_VF", "_flat_weights", "_flat_weight_refs", "_flat_weights_names", "_all_weights"}
# The methods of torch's classes that a subclass may override, because the drop-ins leave them to it.
FREE = {"extra_repr", "flatten_parameters", "forward", "reset_parameters", "_apply"}
OF_TORCH = nn.RNN.forward.__code__.co_filename
MADE: WeakValueDictionary[tuple[type, type], type] = WeakValueDictionary()


class NoHook(nn.Module):
    """First base class of a class made here if the subclass has a hook, which may keep a list of classes."""

    def __init_subclass__(cls, **_: Any) -> None:
        """Does nothing, because the subclass's hook has run for the subclass itself."""


def accelerated_class(kind: type, drop_in: type[DropIn]) -> type | str:
    """Returns the class for modules of class `kind`, `drop_in._original` or a subclass, or why there is none."""
    if kind is drop_in._original:
        return drop_in
    if is_parametrized(kind):
        base = accelerated_class(kind.__bases__[0], drop_in)
        return base if isinstance(base, str) else parametrized(kind, base)
    made = MADE.get((kind, drop_in))
    if made is not None:
        return made
    if reason := reason_against(kind, drop_in):
        return reason
    try:
        fields = {name: getattr(kind, name) for name in ("__module__", "__qualname__", "__doc__")}
        fields |= {"_replaced": kind, "__signature__": inspect.signature(kind)}
        fields["__reduce_ex__"] = DropIn.__reduce_ex__  # before one of the subclass, which it calls
        has_hook = any("__init_subclass__" in vars(base) for base in kind.__mro__[:-1])
        made = type(kind)(kind.__name__, (NoHook, kind, drop_in) if has_hook else (kind, drop_in), fields)
    except Exception as error:  # a metaclass may raise anything
        return f"{kind.__name__} cannot be extended: {error}"
    MADE[kind, drop_in] = made
    return made


def reason_against(kind: type, drop_in: type[DropIn]) -> str | None:
    """Says why a subclass of torch's class may compute something else than a drop-in would; None if it cannot."""
    original, name = drop_in._original, kind.__name__
    torchs = {key for base in original.__mro__[:2] for key in vars(base) if not key.startswith("__")} - FREE
    for base in kind.__mro__:
        if base in original.__mro__:
            continue
        fields = vars(base)
        if found := sorted(fields.keys() & torchs):
            return f"{name} overrides {found[0]}, which the kernels replace"
        if found := sorted(fields.keys() & drop_in._own_names):
            return f"{name} defines {found[0]}, a name that pyrnn's modules use"
        if found := sorted(PRIVATE & names_in(fields.values())):
            return f"{name} uses {found[0]}, which the kernels replace"
        if "forward" in fields and not {"super", "forward"} <= names_in([fields["forward"]]):
            return f"the forward of {name} does not call super().forward"
    return None


def names_in(values: Iterable[Any]) -> set[str]:
    """Returns the names of globals and attributes that functions among the values of a class use."""
    return {name for code in codes_in(values) for name in code.co_names}


def codes_in(values: Iterable[Any]) -> Iterator[CodeType]:
    """Yields the code of each function, of the functions inside it, and of the one that a decorator wraps."""
    for value in values:
        if isinstance(value, CodeType):
            if value.co_filename == OF_TORCH:  # wrapped only to copy its signature
                continue
            yield value
            yield from codes_in(value.co_consts)
        elif isinstance(value, property):
            yield from codes_in([value.fget, value.fset, value.fdel])
        elif isinstance(value, (staticmethod, classmethod)):
            yield from codes_in([value.__func__])
        elif isinstance(value, FunctionType):
            yield from codes_in([value.__code__, getattr(value, "__wrapped__", None)])
