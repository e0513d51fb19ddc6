"""`accelerate` puts the drop-ins into a model, `restore` takes them out again, `explain` says who runs a call."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase

from pyrnn.checks.arguments import check_bools

from . import traceable as traceable_classes
from .cells import GRUCell, LSTMCell, RNNCell
from .drop_in import DropIn
from .layers import GRU, LSTM, RNN
from .private import is_transforming
from .registered import NOT_REGISTERED, SCRIPTED, check_module, check_no_graph, unregistered
from .report import AccelerateReport, report_of

DROP_INS: dict[type[nn.Module], type[nn.Module]] = {
    nn.RNN: RNN,
    nn.LSTM: LSTM,
    nn.GRU: GRU,
    nn.RNNCell: RNNCell,
    nn.LSTMCell: LSTMCell,
    nn.GRUCell: GRUCell,
}
TRACEABLE = {**DROP_INS, nn.RNN: traceable_classes.RNN, nn.LSTM: traceable_classes.LSTM, nn.GRU: traceable_classes.GRU}
NAMES = {original.__name__ for original in DROP_INS}
ORIGINALS = {drop_in: original for classes in (DROP_INS, TRACEABLE) for original, drop_in in classes.items()}


def accelerate(model: nn.Module, *, inplace: bool = True, traceable: bool = False) -> AccelerateReport:
    """Swaps every recurrent layer and cell of a model for its drop-in.

    Parameters, hooks, the training flag and all other attributes stay the same objects, so an optimizer goes on
    working. Only modules of exactly torch's classes are swapped, because a subclass may compute anything.

    torch's quantize_dynamic finds layers by their exact class: it makes torch's layers int8 and leaves drop-ins float.
    Call `restore(model)` before it.

    Args:
        model: any module, or a recurrent layer itself.
        inplace: False to swap in a deep copy.
        traceable: True for classes that `torch.compile` traces without a graph break. torch.compile refuses instances
            of nn.RNN, nn.LSTM and nn.GRU, so these classes are none: `isinstance(m, nn.LSTM)` is False. Drop-ins that
            are in the model already are swapped too.

    Returns:
        An `AccelerateReport`: the model, what was swapped, what was left and why; `print` shows it as a table. Layers
        in plain lists and dicts, which torch does not register, are among those left.

    Raises:
        TypeError: if the model is no module, or is compiled by TorchScript.
        RuntimeError: if torch traces or compiles a model at the moment.

    Example:
        >>> import torch, pyrnn.torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.GRU(8, 16))
        >>> pyrnn.torch.accelerate(model)
        AccelerateReport(swapped={'1': 'GRU'}, left={})
        >>> pyrnn.torch.restore(model)
        ['1']
    """
    check_bools(inplace=inplace, traceable=traceable)
    check_module(model, "accelerate")
    check_no_graph("accelerate")
    model = model if inplace else copy.deepcopy(model)
    classes, swapped, left = TRACEABLE if traceable else DROP_INS, {}, {}
    for name, module in model.named_modules():
        drop_in = classes.get(ORIGINALS.get(type(module), type(module)))
        if drop_in is type(module):
            continue
        if drop_in is not None and "forward" in module.__dict__:
            left[name] = "its forward was replaced by hand"
        elif drop_in is not None:
            swapped[name] = drop_in.__name__
            module.__class__ = drop_in
        elif isinstance(module, (RNNBase, RNNCellBase)):
            left[name] = f"{type(module).__name__} is a subclass of torch's class"
        elif getattr(module, "original_name", None) in NAMES and isinstance(module, torch.jit.ScriptModule):
            left[name] = SCRIPTED
    for name, module in unregistered(model):
        if isinstance(module, (RNNBase, RNNCellBase)) and not isinstance(module, DropIn):
            left[name] = NOT_REGISTERED
    return report_of(model, swapped, left)


def restore(model: nn.Module) -> list[str]:
    """Undoes `accelerate`, in place.

    A drop-in with activations or peepholes that torch's classes lack stays.

    Args:
        model: a module that `accelerate` has changed.

    Returns:
        The names of the modules that are torch's again.

    Raises:
        TypeError: if the model is no module.
        RuntimeError: if torch traces or compiles a model at the moment.

    Example:
        >>> import torch, pyrnn.torch
        >>> layer = pyrnn.torch.GRU(3, 5)
        >>> pyrnn.torch.restore(layer), type(layer) is torch.nn.GRU
        ([''], True)
    """
    check_module(model, "restore")
    check_no_graph("restore")
    names = []
    for name, module in model.named_modules():
        original = ORIGINALS.get(type(module))
        if original is not None and isinstance(module, DropIn) and module.is_standard():
            names.append(name)
            module.__class__ = original
            module.__dict__.pop("_packed", None)
    return names


def explain(module: nn.Module, input: Any, hx: Any = None, **keywords: Any) -> str:
    """Says in a sentence who would run the call `module(input, hx, **keywords)`, and why. It does not run the call.

    Args:
        module: a drop-in, or any other module.
        input: the call's input.
        hx: the call's initial state.
        **keywords: the call's other arguments.

    Returns:
        A sentence that begins with "pyrnn's kernels", "torch's own" if torch's class runs the call, or "torch's
        operators" if they compute the equations one by one.

    Raises:
        TypeError: if `module` is no module.

    Example:
        >>> import torch, pyrnn.torch
        >>> pyrnn.torch.explain(pyrnn.torch.GRU(3, 5).half(), torch.zeros(7, 2, 3).half())
        "torch's own: the weights are of torch.float16; the kernels know float32 and float64."
    """
    check_module(module, "explain")
    if not isinstance(module, DropIn):
        return f"torch's own: {type(module).__name__} is not a drop-in; see accelerate()."
    reason = module.refusal(input, hx, **keywords)
    if reason is None:
        return "pyrnn's kernels: the call is covered."
    if keywords or not module.is_standard() or is_transforming():
        return f"torch's operators, step by step: {reason}."
    return f"torch's own: {reason}."
