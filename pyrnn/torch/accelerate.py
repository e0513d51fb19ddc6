"""Puts the drop-ins into a model and takes them out again."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase

from .modules import GRU, LSTM, RNN, DropIn, GRUCell, LSTMCell, RNNCell

DROP_INS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
ORIGINALS = {drop_in: original for original, drop_in in DROP_INS.items()}


@dataclass(frozen=True)
class Report:
    """What `accelerate` did.

    Attributes:
        model: the model with the drop-ins in it.
        swapped: by name in the model ("" is the model itself), the class of what was swapped.
        left: by name, why a recurrent module was left as it is.
    """

    model: nn.Module = field(repr=False)
    swapped: dict[str, str]
    left: dict[str, str]


def accelerate(model: nn.Module, *, inplace: bool = True) -> Report:
    """Swaps every recurrent layer and cell of a model for its drop-in.

    Parameters, hooks, the training flag and all else stay the very objects they are, so an optimizer goes on. Only
    modules of exactly torch's classes are swapped: a subclass may have changed anything.

    Args:
        model: any module, or a recurrent layer itself.
        inplace: False to swap in a deep copy.

    Returns:
        A `Report`: the model, what was swapped, what was left and why.

    Example:
        >>> import torch, pyrnn.torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GRU(8, 16))
        >>> pyrnn.torch.accelerate(model)
        Report(swapped={'1': 'GRU'}, left={})
        >>> pyrnn.torch.restore(model)
        ['1']
    """
    model = model if inplace else copy.deepcopy(model)
    swapped, left = {}, {}
    for name, module in model.named_modules():
        drop_in = DROP_INS.get(type(module))
        if drop_in is not None and "forward" in module.__dict__:
            left[name] = "its forward was replaced by hand"
        elif drop_in is not None:
            swapped[name] = drop_in.__name__
            module.__class__ = drop_in
        elif isinstance(module, (RNNBase, RNNCellBase)) and not isinstance(module, DropIn):
            left[name] = f"{type(module).__name__} is a subclass of torch's class"
    return Report(model, swapped, left)


def restore(model: nn.Module) -> list[str]:
    """Undoes `accelerate`, in place, and returns the names of the modules that are torch's again."""
    names = []
    for name, module in model.named_modules():
        original = ORIGINALS.get(type(module))
        if original is not None:
            names.append(name)
            module.__class__ = original
            module.__dict__.pop("_packed", None)
    return names


def explain(module: nn.Module, *args: Any) -> str:
    """Says in a sentence which way a call `module(*args)` would go, and why. It is not made.

    Example:
        >>> import torch, pyrnn.torch
        >>> pyrnn.torch.explain(pyrnn.torch.GRU(3, 5).half(), torch.zeros(7, 2, 3).half())
        "torch's own: the weights are of torch.float16; the kernels know float32 and float64."
    """
    if not isinstance(module, DropIn):
        return f"torch's own: {type(module).__name__} is not a drop-in; see accelerate()."
    reason = module.refusal(*args)
    return "pyrnn's kernels: the call is covered." if reason is None else f"torch's own: {reason}."
