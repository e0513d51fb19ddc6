"""The weights of a module in packed form, made anew when they change."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrnn import _core

from .call import parts_of
from .composed import Network
from .coverage import bad_weights


def spec_of(network: Network, input_size: int, hidden_size: int, proj_size: int) -> _core.Spec:
    """The network and its sizes as the kernels take them."""
    return _core.Spec.make(
        network.mode,
        input_size,
        hidden_size,
        network.num_layers,
        network.bidirectional,
        network.bias,
        proj_size,
        network.activation,
        network.recurrent_activation,
        network.peephole,
    )


class Packed(NamedTuple):
    """What the calls of a module have in common."""

    network: Network
    weights: _core.Weights


def packed_weights(module: Any, weights: list[Tensor]) -> Packed:
    """The packed weights of the last call, or new ones if a number of them has changed since.

    The numbers themselves are looked at: an edit through `.data`, a NumPy view or by another process leaves no other
    sign. RuntimeError if the kernels cannot read them.
    """
    packed: Packed | None = module.__dict__.get("_packed")
    if packed is None or not packed.weights.holds(weights):
        if reason := bad_weights(weights):
            raise RuntimeError(reason)
        packed = module.__dict__["_packed"] = Packed(module.network(), pack(module.spec(), weights))
    return packed


def inferred(
    module: Any, weights: list[Tensor], x: Tensor, hx: Any, is_pair: bool, batch_first: bool, is_step: bool
) -> tuple[Tensor, Any] | None:
    """Output and final state, as the caller has it, of a call without a tape, on the weights of the last call.

    None if gradients may be asked for, or if the weights have changed. One call of the kernels does all: at one step
    of one sequence what Python does before and between costs as much as they do.
    """
    packed: Packed | None = module.__dict__.get("_packed")
    if packed is None or torch.is_grad_enabled():
        return None
    found = packed.weights.run_if_holds(weights, x, parts_of(hx, is_pair), batch_first, is_step)
    if found is None:
        return None
    return found[0], tuple(found[1]) if is_pair else found[1][0]


def pack(spec: _core.Spec, weights: list[Tensor]) -> _core.Weights:
    """Packs the weights; RuntimeError, as in torch, if one is of another shape."""
    try:
        return _core.Weights.pack(spec, weights)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
