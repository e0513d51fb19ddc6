"""`accelerate` puts the drop-ins into a model, `restore` takes them out again, `explain` says who runs a call."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.modules.rnn import RNNBase, RNNCellBase

from pyrnn.checks.arguments import check_bools

from .classes import put_back, replaced_class
from .drop_in import DropIn
from .private import is_transforming
from .registered import NOT_REGISTERED, SCRIPTED, check_module, check_no_graph, unregistered
from .report import AccelerateReport, report_of
from .swap import DROP_INS, KINDS, class_for, put_in

NAMES = {original.__name__ for original in DROP_INS}


def accelerate(model: nn.Module, *, inplace: bool = True, traceable: bool = False) -> AccelerateReport:
    """Swaps every recurrent layer and cell of a model for its drop-in.

    Parameters, hooks, the training flag and all other attributes stay the same objects, so an optimizer goes on
    working. A module of a subclass of torch's class is swapped too if its forward is torch's or calls
    `super().forward`: it gets a class of the same name that derives from its own. It is left if the subclass overrides
    a method that the kernels replace, such as `permute_hidden`, or uses `_VF` or the flat list of weights.

    Copies of a swapped module are drop-ins. A pickle, so also a file of `torch.save(model)`, holds the class from
    before, and opens where pyrnn is not installed; after loading it, call `accelerate` again.

    torch's quantize_dynamic finds layers by their exact class: it makes torch's layers int8 and leaves drop-ins float.
    Call `restore(model)` before it.

    Args:
        model: any module, or a recurrent layer itself.
        inplace: False to swap in a deep copy.
        traceable: True for classes that `torch.compile` traces without a graph break. torch.compile refuses instances
            of nn.RNN, nn.LSTM and nn.GRU, so these classes are none: `isinstance(m, nn.LSTM)` is False, and subclasses
            become drop-ins of the plain kind. If `torch._dynamo.config.allow_rnn` is True at this call, all of them
            are traceable and instances of torch's classes. Drop-ins that are in the model already are swapped too.

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
    swapped, left = {}, {}
    for name, module in model.named_modules():
        if isinstance(module, KINDS):
            found = class_for(module, traceable)
            if isinstance(found, type):
                found = put_in(module, found) or found
            if isinstance(found, str):
                left[name] = found
            elif found is not None:
                swapped[name] = found.__name__
        elif isinstance(module, (RNNBase, RNNCellBase)):
            left[name] = f"{type(module).__name__} is a recurrence of its own, none of torch's six"
        elif getattr(module, "original_name", None) in NAMES and isinstance(module, torch.jit.ScriptModule):
            left[name] = SCRIPTED
    for name, module in unregistered(model):
        if isinstance(module, (RNNBase, RNNCellBase)) and not isinstance(module, DropIn):
            left[name] = NOT_REGISTERED
    return report_of(model, swapped, left)


def restore(model: nn.Module) -> list[str]:
    """Undoes `accelerate` and `patched`, in place: modules have the classes and attributes from before.

    A drop-in with activations or peepholes that torch's classes lack stays. One that was made by its own name, as in
    `pyrnn.torch.GRU(3, 5)`, becomes torch's.

    Args:
        model: a module that `accelerate` has changed.

    Returns:
        The names of the modules that have their former classes again.

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
        replaced = replaced_class(type(module)) if isinstance(module, DropIn) and module.is_standard() else None
        if replaced is not None:
            names.append(name)
            put_back(module, replaced)
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
