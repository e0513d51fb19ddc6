"""The class that a drop-in's module had before, found from the class that it has now."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

OURS = ("_packed", "_accelerated")  # attributes that a module has only while it is a drop-in


def replaced_class(kind: type) -> type | None:
    """Returns the class that `accelerate` replaced by `kind`; None if it makes no modules of class `kind`."""
    if is_parametrized(kind):
        base = replaced_class(kind.__bases__[0])
        return base and parametrized(kind, base)
    found: type | None = vars(kind).get("_replaced") or vars(kind).get("_original")
    return found


def is_parametrized(kind: type) -> bool:
    """Whether torch.nn.utils.parametrize made this class, for a module whose weights are computed at each read."""
    return "__getstate__" in vars(kind) and kind.__name__ == f"Parametrized{kind.__bases__[0].__name__}"


def parametrized(kind: type, base: type) -> type:
    """Returns the class that torch.nn.utils.parametrize would have made of `base` where it made `kind`.

    parametrize takes the first base class of such a class for the class to return to, so no class may stand between.
    """
    replaced: type | None = vars(kind).get("_replaced")
    if replaced and replaced.__bases__[0] is base and computed(replaced) == computed(kind):
        return replaced
    fields = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(f"Parametrized{base.__name__}", (base,), {**fields, "_replaced": kind, "__deepcopy__": deep_copy})


def computed(kind: type) -> set[str]:
    """Returns the names of the weights that a class of parametrize computes."""
    return {name for name, value in vars(kind).items() if isinstance(value, property)}


def deep_copy(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """Copies a module with all its attributes but the packed weights, as torch copies a parametrized module."""
    copied = memo[id(module)] = object.__new__(type(module))
    fields = {name: value for name, value in vars(module).items() if name != "_packed"}
    copied.__dict__ = copy.deepcopy(fields, memo)
    return copied


def put_back(module: nn.Module, kind: type) -> None:
    """Gives a module the class that it had, and takes away what only drop-ins have."""
    for name in OURS:
        vars(module).pop(name, None)
    object.__setattr__(module, "__class__", kind)  # a subclass may have a __setattr__ of its own


def as_replaced(module: nn.Module, kind: type) -> nn.Module:
    """Returns an object of the class that a module had, which shares its attributes."""
    found: nn.Module = object.__new__(kind)
    found.__dict__.update((name, value) for name, value in vars(module).items() if name not in OURS)
    return found
