"""Modules of torch's classes become drop-ins, one at a time."""

from __future__ import annotations

import sys
from multiprocessing.reduction import ForkingPickler
from typing import Any

from torch import nn

from . import traceable as traceable_classes
from .cells import GRUCell, LSTMCell, RNNCell
from .classes import is_parametrized, replaced_class
from .drop_in import DropIn
from .layers import GRU, LSTM, RNN
from .subclasses import accelerated_class

CELLS: dict[type[nn.Module], type[DropIn]] = {nn.RNNCell: RNNCell, nn.LSTMCell: LSTMCell, nn.GRUCell: GRUCell}
DROP_INS: dict[type[nn.Module], type[DropIn]] = {nn.RNN: RNN, nn.LSTM: LSTM, nn.GRU: GRU, **CELLS}
# Not for subclasses of torch's classes: they are instances of torch's classes, which dynamo refuses.
TRACEABLE: dict[type[nn.Module], type[DropIn]] = {kind._original: kind for kind in traceable_classes.OTHERS} | CELLS
# For programs that set torch._dynamo.config.allow_rnn.
ALLOWED: dict[type[nn.Module], type[DropIn]] = {kind._original: kind for kind in traceable_classes.ALLOWED} | CELLS
KINDS: tuple[type[nn.Module], ...] = (*DROP_INS, DropIn)


def allows_rnn() -> bool:
    """Whether dynamo is told to trace instances of torch's recurrent classes."""
    config = sys.modules.get("torch._dynamo.config")  # importing dynamo takes a second
    return bool(getattr(config, "allow_rnn", False))


def class_for(module: nn.Module, traceable: bool) -> type | str | None:
    """Returns the class that makes a module a drop-in, the reason why it is left as it is, or None if it is one."""
    kind = type(module)
    if isinstance(module, DropIn):
        before = replaced_class(kind)
        if before is None or is_parametrized(kind):
            return None
        kind = before
    original = next(base for base in kind.__mro__ if base in DROP_INS)
    allowed = traceable and allows_rnn()
    classes = ALLOWED if allowed else TRACEABLE if traceable and kind is original else DROP_INS
    drop_in = classes[original]
    if not isinstance(module, DropIn) and (reason := clash(module, drop_in)):
        return reason
    found = accelerated_class(kind, drop_in)
    return None if found is type(module) else found


def clash(module: nn.Module, drop_in: type[DropIn]) -> str | None:
    """Says which attribute of a module keeps it from becoming a drop-in; None if none does."""
    fields = vars(module)
    if "forward" in fields:
        return "its forward was replaced by hand"
    names = {*fields, *fields["_modules"], *fields["_parameters"], *fields["_buffers"]}
    if found := sorted(names & drop_in._own_names):
        return f"it has an attribute {found[0]}, a name that pyrnn's modules use"
    return None


def put_in(module: nn.Module, kind: type) -> str | None:
    """Makes a module a drop-in of class `kind`; returns a reason if Python refuses the change."""
    is_new = not isinstance(module, DropIn)
    try:
        object.__setattr__(module, "__class__", kind)  # a subclass may have a __setattr__ of its own
    except TypeError as error:
        return f"its class cannot be changed: {error}"
    if not is_parametrized(kind):  # pickle refuses these
        ForkingPickler.register(kind, across_processes)
    if is_new:
        vars(module)["_accelerated"] = True
    return None


def across_processes(module: DropIn) -> Any:
    """Reduces a module for another process, where it is a drop-in too; pickle alone would make it torch's module."""
    make, arguments, *rest = module.__reduce_ex__(2)
    if arguments[:1] != (replaced_class(type(module)),):  # made by hand, or by the subclass's own __reduce__
        return make, arguments, *rest
    drop_in = next(base for base in type(module).__mro__ if "_original" in vars(base))
    return remade, (arguments[0], drop_in), *rest


def remade(kind: type, drop_in: type[DropIn]) -> nn.Module:
    """Makes the empty module that another process has reduced."""
    found = accelerated_class(kind, drop_in)
    module: nn.Module = object.__new__(kind if isinstance(found, str) else found)
    if isinstance(module, DropIn):
        vars(module)["_accelerated"] = True
    return module
