"""This module keeps the packed weights of each module, and packs them again when they change."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from torch import Tensor, is_grad_enabled

from pyrnn import _core

from .composed import Network
from .counters import count_kernels, count_torch
from .coverage import bad_weights
from .drop_in import DropIn, are_plain
from .private import autocasts


def spec_of(network: Network, input_size: int, hidden_size: int, proj_size: int) -> _core.Spec:
    """Returns the network and its sizes, as the kernels take them."""
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
    """The things that all calls of a module share until its weights change."""

    network: Network
    weights: _core.Weights
    weights_of: Callable[[Any], Any]  # picks all weights out of the module's parameters, in order
    quick: Callable[..., Any]  # runs a call without a tape


def packed_weights(module: DropIn, weights: list[Tensor]) -> Packed:
    """Returns the packed weights of the last call, or new ones if any number of the weights has changed since.

    It compares the numbers themselves, because an edit through `.data`, a NumPy view or another process leaves no
    other sign. It raises RuntimeError if the kernels cannot read the weights.
    """
    packed: Packed | None = module.__dict__.get("_packed")
    if packed is None or not packed.weights.holds(weights):
        if reason := bad_weights(weights):
            raise RuntimeError(reason)
        kernels = pack(module.spec(), weights)
        quick = _core.quick(kernels, module.__dict__.get("batch_first", False), module.is_cell)
        packed = Packed(module.network(), kernels, itemgetter(*module.weight_names()), quick)
        module.__dict__["_packed"] = packed
    return packed


def served(module: DropIn, special: str | None, input: Any, hx: Any, *keywords: Any) -> Any:
    """Returns the result of a call that the kernels run, or None if torch has to run it, and counts the call.

    Args:
        module: the module that is called.
        special: what `special_mode` returned.
        input: the call's input.
        hx: the call's initial state.
        *keywords: of a layer, the call's other arguments.
    """
    reason = special
    if special is None:
        try:
            found = on_kernels(module, input, hx, *keywords)
        except Exception:
            reason = module.refusal(input, hx)
            if reason is None:
                raise
        else:
            count_kernels()
            return found
    count_torch(str(reason))
    return None


def on_kernels(module: DropIn, input: Any, hx: Any, *keywords: Any) -> Any:
    """Returns the result of a call, by the kernels; raises any exception if they do not cover it."""
    if not are_plain(input, hx):
        raise TypeError("an argument is no plain tensor")
    weights = module.weights()
    packed = packed_weights(module, weights)
    if not autocasts():
        return module.on_kernels(packed, weights, input, hx, *keywords)
    cast = module.in_float32(weights, input, hx, not any(part.given() for part in keywords))
    return cast.cast(module.on_kernels(packed, weights, cast.input, cast.hx, *keywords), module.is_cell)


def inferred(module: DropIn, x: Any, hx: Any) -> Any:
    """Returns the result of a call without gradients, computed on the packed weights of the last call.

    It returns None if the weights have changed, gradients are enabled, or the call is not a plain one. The whole call
    is one C function: for one step of one sequence, Python code around the kernels takes as long as they do.
    """
    fields = module.__dict__
    packed: Packed | None = fields.get("_packed")
    if packed is None or is_grad_enabled() or not are_plain(x, hx):
        return None
    try:
        return packed.quick(packed.weights_of(fields["_parameters"]), x, hx)
    except KeyError:  # a weight is parametrized
        return None


def pack(spec: _core.Spec, weights: list[Tensor]) -> _core.Weights:
    """Packs the weights; raises RuntimeError, as torch does, if one has a wrong shape."""
    try:
        return _core.Weights.pack(spec, weights)
    except ValueError as error:
        raise RuntimeError(str(error)) from error
