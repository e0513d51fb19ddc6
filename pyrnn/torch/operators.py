"""`torch.ops.pyrnn.recurrence` is a call of the kernels as one operator, for torch.compile and torch.export.

Calls outside of a graph go through autograd.py, which has less overhead.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.library import custom_op
from torch.utils.weak import WeakIdKeyDictionary

from pyrnn import _core
from pyrnn.checks.arguments import MOST_LAYERS, check_size
from pyrnn.core.facts import GATES_OF_CELL, IS_PAIR

from .call import Call, Inputs, compute, must_replay, recorded_gradients, replayed_gradients
from .composed import Network
from .counters import count_kernels
from .kernels import pack, spec_of


class Handle(np.ndarray[Any, Any]):
    """Memory that belongs to a tensor and refers to a tape, so that the tape lives as long as the tensor's memory."""

    tape: _core.Tape


# Maps addresses to handles. A copy of a handle has another address, and an exported graph makes no tape: backward then
# computes the tape again.
_handles: weakref.WeakValueDictionary[int, Handle] = weakref.WeakValueDictionary()
# Maps a network's first weight to its packed weights.
_packed: WeakIdKeyDictionary = WeakIdKeyDictionary()


def sizes_of(network: Network, weights: list[Tensor]) -> tuple[int, int]:
    """Returns H, and the size of the recurrent state: P, or H without a projection."""
    gates = GATES_OF_CELL.get(network.mode, "?")  # the kernels refuse an unknown cell by name
    return len(weights[0]) // len(gates), weights[1].shape[1]


def kernels_of(network: Network, weights: list[Tensor]) -> _core.Weights:
    """Returns the packed weights, which stay in a cache while the first weight lives."""
    if len(weights) < 2 or any(weight.dim() != 2 for weight in weights[:2]):
        shapes = [tuple(weight.shape) for weight in weights[:2]]
        raise RuntimeError(
            f"weights should begin with two matrices, weight_ih_l0 and weight_hh_l0, got shapes {shapes}"
        )
    check_size("num_layers", network.num_layers, MOST_LAYERS)
    known = _packed.get(weights[0], None)  # type: ignore[no-untyped-call]
    if known is not None and known[0] == network and known[1].holds(weights):
        return known[1]  # type: ignore[no-any-return]
    hidden_size, recurrent_size = sizes_of(network, weights)
    proj_size = recurrent_size if recurrent_size != hidden_size else 0
    packed = pack(spec_of(network, weights[0].shape[1], hidden_size, proj_size), weights)
    _packed[weights[0]] = network, packed
    return packed


def call_of(arguments: tuple[Any, ...]) -> tuple[Call, Inputs]:
    """Makes Call, without packed weights, and Inputs of the operators' arguments, which are in the order of CALL."""
    x, initial, resets, weights, masks, active, reset, hold, all_states, every, *network = arguments
    if not 0 <= every < 2**31:
        raise RuntimeError(f"every should be from 0, for no checkpoints, to {2**31 - 1}, got {every}")
    call = Call(Network(*network), None, False, tuple(masks or ()), active, hold, reset, all_states, every)
    return call, Inputs(x, tuple(initial or ()), tuple(resets or ()), weights)


def arguments_of(call: Call, inputs: Inputs) -> tuple[Any, ...]:
    """Inverts `call_of`."""
    tensors = inputs.x, list(inputs.initial), list(inputs.reset_state), inputs.weights, list(call.masks)
    return *tensors, call.active, call.reset, call.hold, call.all_states, call.every, *call.network


# Lists are optional, because AOTInductor passes an empty list as None.
CALL = (
    "Tensor x, Tensor[]? initial, Tensor[]? reset_state, Tensor[] weights, Tensor[]? masks, Tensor? active, "
    "Tensor? reset, bool hold, bool all_states, int every, str mode, bool bias, int num_layers, bool bidirectional, "
    "str activation, str recurrent_activation, bool peephole"
)


@custom_op("pyrnn::recurrence", mutates_args=(), device_types="cpu", schema=f"({CALL}, bool record) -> Tensor[]")
def recurrence(*arguments: Any) -> list[Tensor]:
    """Returns output, h, for an LSTM c, with all_states the cell states, and a handle of the tape (empty if none)."""
    *of_call, record = arguments
    call, inputs = call_of(tuple(of_call))
    count_kernels()
    outputs, tape = compute(call._replace(kernels=kernels_of(call.network, inputs.weights)), inputs, record)
    memory = np.zeros(1 if record else 0, np.int64).view(Handle)
    handle = torch.from_numpy(memory)
    if tape is not None:
        memory.tape = tape
        _handles[handle.data_ptr()] = memory
    return [*outputs, handle]


@recurrence.register_fake
def _(*arguments: Any) -> list[Tensor]:
    call, inputs = call_of(arguments[:-1])
    x, weights, network = inputs.x, inputs.weights, call.network
    hidden_size, recurrent_size = sizes_of(network, weights)
    directions = 1 + network.bidirectional
    runs, batch = network.num_layers * directions, x.shape[1:-1]
    found = [x.new_empty(*x.shape[:-1], directions * recurrent_size), x.new_empty(runs, *batch, recurrent_size)]
    if IS_PAIR[network.mode]:
        found.append(x.new_empty(runs, *batch, hidden_size))
    if call.all_states:
        found.append(x.new_empty(*x.shape[:-1], directions * hidden_size))
    if x.shape[-1] != weights[0].shape[1]:
        raise RuntimeError(
            f"input.size(-1) must be equal to input_size. Expected {weights[0].shape[1]}, got {x.shape}"
        )
    for state, expected in zip(inputs.initial, found[1:], strict=False):
        if state.shape != expected.shape:
            raise RuntimeError(f"Expected hidden size {tuple(expected.shape)}, got {list(state.shape)}")
    return [*found, x.new_empty(1 if arguments[-1] else 0, dtype=torch.int64)]


@custom_op(
    "pyrnn::recurrence_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor handle, Tensor?[] grads, {CALL}) -> Tensor[]",
)
def recurrence_backward(handle: Tensor, grads: list[Tensor | None], *arguments: Any) -> list[Tensor]:
    """Returns the gradients of x, the initial state, the reset state and the weights, one after the other."""
    call, inputs = call_of(arguments)
    memory = _handles.get(handle.data_ptr()) if len(handle) else None
    tape = memory.tape if memory is not None else None
    if tape is None:
        tape = compute(call._replace(kernels=kernels_of(call.network, inputs.weights)), inputs, True)[1]
    counts = len(inputs.initial), len(inputs.reset_state)
    return recorded_gradients(call, tape, counts, grads, [True] * len(inputs.flat()))


@recurrence_backward.register_fake
def _(handle: Tensor, grads: Any, *arguments: Any) -> list[Tensor]:
    return [torch.empty_like(t, memory_format=torch.contiguous_format) for t in call_of(arguments)[1].flat()]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    call, given = call_of(inputs[:-1])
    ctx.call = call._replace(masks=(), active=None, reset=None)  # save_for_backward saves these tensors
    ctx.counts = len(given.initial), len(given.reset_state), len(given.weights), len(call.masks)
    ctx.flags = call.active is not None, call.reset is not None
    flags = [flags for flags in (call.active, call.reset) if flags is not None]
    ctx.save_for_backward(output[-1], *given.flat(), *call.masks, *flags)
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, grads: list[Tensor | None]) -> tuple[Any, ...]:
    handle, *flat = ctx.saved_tensors
    initial, resets, weights, masks = ctx.counts
    inputs = Inputs.of(flat[: 1 + initial + resets + weights], initial, resets)
    rest = flat[1 + initial + resets + weights :]
    flags = iter(rest[masks:])
    active, reset = (next(flags) if given else None for given in ctx.flags)
    call = ctx.call._replace(masks=tuple(rest[:masks]), active=active, reset=reset)
    if must_replay(grads[:-1]) and not torch.compiler.is_compiling():
        found = replayed_gradients(call, inputs, grads[:-1], [t.requires_grad for t in inputs.flat()])
    else:
        found = recurrence_backward(handle, grads[:-1], *arguments_of(call, inputs))
    of_weights = found[1 + initial + resets :]
    of_states = found[1 : 1 + initial], found[1 + initial : 1 + initial + resets]
    return found[0], *of_states, of_weights, [None] * masks, *[None] * 13


recurrence.register_autograd(_backward, setup_context=_keep)


def run_operator(call: Call, inputs: Inputs) -> tuple[Tensor, ...]:
    """Does the same as `autograd.run`, as one node of a graph."""
    # An exported graph makes no tape, because it may run without gradients; backward computes the tape again.
    record = torch.is_grad_enabled() and not torch.compiler.is_exporting()
    found = recurrence(*arguments_of(call, inputs), record)
    return tuple(found[:-1])


def backward_operator(call: Call, inputs: Inputs, grads: Any) -> list[Tensor]:
    """Computes the gradients of the inputs, as one node of a graph, without a tape."""
    if call.is_step:
        states = tuple(state.unsqueeze(0) for state in inputs.initial)
        sequence = Inputs(inputs.x.unsqueeze(0), states, (), inputs.weights)
        seeds = (None, *(grad if grad is None else grad.unsqueeze(0) for grad in grads))
        found = backward_operator(call._replace(is_step=False), sequence, seeds)
        count = 1 + len(states)
        return [*(grad.squeeze(0) for grad in found[:count]), *found[count:]]
    handle = inputs.x.new_empty(0, dtype=torch.int64)
    return list(recurrence_backward(handle, list(grads), *arguments_of(call, inputs)))
