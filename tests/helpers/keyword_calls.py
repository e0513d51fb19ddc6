"""Drawn calls with keywords, as the drop-ins and as the layers for NumPy take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import drawn
import numpy as np
import torch
from cases import class_name
from drawn import Call
from drop_ins import tensors_of
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import pyrnn.torch as drop_in

COMMON = tuple(cell for cell in drawn.CELLS if cell != "gru_reset_before")  # torch has no such GRU
Groups = dict[str, dict[str, Tensor]]


def in_tensors(value: Any) -> Any:
    """Turns the arrays of a call, or of any nested value, into tensors."""
    if isinstance(value, Call):
        fields = {name: in_tensors(getattr(value, name)) for name in ("x", "states", "loss", "options")}
        return replace(value, **fields)
    return tree_map(lambda part: torch.tensor(part) if isinstance(part, np.ndarray) else part, value)


def in_arrays(value: Any) -> Any:
    return tree_map(lambda part: part.detach().numpy() if isinstance(part, Tensor) else part, value)


def module_of(call: Call, layer: Any) -> Any:
    """A drop-in with the weights of a NumPy layer."""
    config, kind = call.config, getattr(drop_in, class_name(call.config.cell))
    dtype = getattr(torch, np.dtype(config.dtype).name)
    made = kind(config.I, config.H, **config.options(), **call.chosen, dtype=dtype)
    made.load_state_dict(in_tensors(layer.state_dict()))
    return made


def leaves_of(call: Call, module: nn.Module, names: Any) -> Groups:
    """The leaves of a call in tensors that gradients are taken of, in the groups of `Call.vjp`."""
    groups = {"input": {"x": call.x}, "parameters": {name: module.get_parameter(name) for name in names}}
    for name, parts in (("state", call.states), ("reset_state", call.options.get("reset_state", ()))):
        if parts:
            groups[name] = dict(zip("hc", parts, strict=False))
    return groups


def differentiated(call: Call, layer: Any, module: nn.Module, create_graph: bool = False) -> tuple[Any, Any]:
    """Computes the results of `call.vjp(layer)` by torch's autograd."""
    call = in_tensors(call)
    groups = leaves_of(call, module, layer.parameters())
    inputs = [leaf.requires_grad_() for group in groups.values() for leaf in group.values()]
    result = call.run(module)
    seeds = list(tensors_of([call.loss["output"], call.loss["state"], call.loss.get("cell_states")]))
    # If no step is active, the outputs depend on no leaf.
    found = iter(
        torch.autograd.grad(parts_of(result), inputs, seeds, create_graph=create_graph, materialize_grads=True)
    )
    slopes = {group: {name: next(found) for name in values} for group, values in groups.items()}
    return in_arrays((result, slopes))


def parts_of(result: Any) -> tuple[Tensor, ...]:
    """The output and h, and for the LSTM c and all cell states."""
    return tuple(tensors_of(list(result)))
