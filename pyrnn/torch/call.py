"""A call on tensors and its gradients, by the kernels, which work on tensors in place, or by torch's operators.

Letters in shapes: T time, B batch, I inputs, H hidden units, P hidden units or projections, D directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrnn import _core

from .composed import Network, Steps, compose
from .coverage import PLAIN
from .private import is_legacy_batch, special_mode

Tensors = tuple[Tensor, ...]


class Call(NamedTuple):
    """The parts of a call that have no gradients."""

    network: Network
    kernels: _core.Weights | None
    is_step: bool = False  # x is [B,I] and states [B,*]: one step of a cell
    masks: Tensors = ()  # dropout's factors on each layer's output but the last, [T,B,D*P]
    active: Tensor | None = None  # bool [T,B] ([T] without a batch): False leaves the state alone
    hold: bool = False  # the output where active is False: the state, not zero
    reset: Tensor | None = None  # bool, as active: True sets the state to the reset state before the step
    all_states: bool = False  # return the cell states of all steps too
    every: int = 0  # k: keep only the state before each k-th step, and compute the rest in backward; 0 keeps all


class Inputs(NamedTuple):
    """The tensors of a call that may have gradients; x is [T,B,I], [T,I] or [B,I]."""

    x: Tensor
    initial: Tensors  # (), (h,) or (h, c)
    reset_state: Tensors
    weights: list[Tensor]

    def flat(self) -> Tensors:
        return self.x, *self.initial, *self.reset_state, *self.weights

    @staticmethod
    def of(flat: Any, initial: int, resets: int) -> Inputs:
        """Inverts `flat`, given the numbers of initial states and of reset states."""
        x, *rest = flat
        return Inputs(x, tuple(rest[:initial]), tuple(rest[initial : initial + resets]), rest[initial + resets :])


def parts_of(hx: Any, is_pair: bool) -> Tensors:
    """Returns a state as none, one or two tensors; raises ValueError for a wrong pair."""
    if hx is None:
        return ()
    if not is_pair:
        return (hx,)
    if type(hx) not in (tuple, list) or len(hx) != 2:
        raise ValueError("hx should be a pair (h, c)")
    return tuple(hx)


def compute(call: Call, inputs: Inputs, record: bool) -> tuple[Tensors, _core.Tape | None]:
    """Runs the kernels; returns the outputs and the tape.

    The outputs are for a layer (output, h) or (output, h, c), and with all_states the cell states of all steps; for a
    cell (h,) or (h, c).
    """
    assert call.kernels is not None
    y, final, all_states, tape = call.kernels.run(
        inputs.x,
        inputs.initial,
        False,
        call.masks,
        record,
        call.active,
        call.hold,
        call.reset,
        inputs.reset_state,
        call.all_states,
        call.every if record else 0,
        call.is_step,
    )
    if call.is_step:
        return tuple(final), tape
    return (y, *final) if all_states is None else (y, *final, all_states), tape


def run_composed(call: Call, inputs: Inputs) -> Tensors:
    """Computes the outputs of `compute` by torch's operators: for any dtype, on any device, under any transform."""
    x, active, reset = inputs.x, call.active, call.reset
    initial, reset_state = inputs.initial, inputs.reset_state
    batch_axis = 0 if call.is_step else 1 if x.dim() == 2 else None  # the axis to insert: time of a step, or batch
    if batch_axis is not None:
        x = x.unsqueeze(batch_axis)
        initial = tuple(state.unsqueeze(batch_axis) for state in initial)
        reset_state = tuple(state.unsqueeze(batch_axis) for state in reset_state)
        active, reset = (flags if flags is None else flags.unsqueeze(1) for flags in (active, reset))
    steps = Steps(active, call.hold, reset, reset_state)
    output, final, all_states = compose(call.network, x, initial, inputs.weights, call.masks, steps)
    outputs = final if call.is_step else (output, *final)
    if call.all_states and all_states is not None:
        outputs = (*outputs, all_states)
    return outputs if batch_axis is None else tuple(part.squeeze(batch_axis) for part in outputs)


def must_replay(grads: Any) -> bool:
    """Whether backward needs its own derivative or a batch of gradients, which the kernels cannot compute."""
    return (
        torch.is_grad_enabled()
        or special_mode() is not None
        or any(grad is not None and (type(grad) not in PLAIN or is_legacy_batch(grad)) for grad in grads)
    )


def recorded_gradients(
    call: Call, tape: Any, counts: tuple[int, int], grads: Any, needed: Sequence[bool]
) -> list[Tensor]:
    """Computes the gradients of the inputs, flat, by the kernels; those not needed may be anything."""
    output, states, all_states = None, grads, None
    if not call.is_step:
        output, *states = grads[:-1] if call.all_states else grads
        all_states = grads[-1] if call.all_states else None
    wants_weights = any(needed[1 + sum(counts) :])
    dx, initial, weights, reset_state, _ = tape.backward(output, states, all_states, False, needed[0], wants_weights)
    found = [dx, *initial[: counts[0]], *reset_state[: counts[1]], *weights]
    return found if wants_weights else found + [None] * (len(needed) - len(found))


def replayed_gradients(call: Call, inputs: Inputs, grads: Any, needed: Any) -> list[Tensor | None]:
    """Computes the gradients of the inputs, flat, by torch's operators, so that they are differentiable themselves."""
    create = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast("cpu", enabled=False):
        # If one input was computed from another, its gradient must not flow into the other; aliases prevent that.
        aliases = [t.view_as(t) if t.requires_grad else t for t in inputs.flat()]
        outputs = run_composed(call, Inputs.of(aliases, len(inputs.initial), len(inputs.reset_state)))
        pairs = [(out, grad) for out, grad in zip(outputs, grads, strict=True) if grad is not None]
        wanted = [alias for alias, need in zip(aliases, needed, strict=True) if need]
        outs, seeds = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(outs, wanted, seeds, create_graph=create, allow_unused=True))
    return [next(found) if need else None for need in needed]
