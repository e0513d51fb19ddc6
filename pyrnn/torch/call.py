"""One call of the kernels on tensors: read and written in place, differentiable.

Letters in shapes: T time, B batch, I inputs, H hidden units or projections, N rows of packed data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import _VF, Tensor
from torch.autograd import Function

from .. import _core
from .coverage import PLAIN, is_batched, special_mode

Array = NDArray[Any]


class Rows(NamedTuple):
    """Where the rows of packed data lie in [T,B]: step t holds one of each of the first batch_sizes[t] sequences."""

    batch_sizes: Tensor
    active: Array  # bool [T,B]
    places: Array  # of its True elements in [T*B]

    @staticmethod
    def of(batch_sizes: Tensor) -> Rows:
        sizes = batch_sizes.numpy()
        active = np.arange(sizes[0]) < sizes[:, None]
        return Rows(batch_sizes, active, np.flatnonzero(active))

    def pad(self, data: Array) -> Array:
        """[N,I] to [T,B,I], with zeros between."""
        padded = np.zeros((self.active.size, data.shape[1]), data.dtype)
        padded[self.places] = data[: len(self.places)]
        return padded.reshape(*self.active.shape, -1)

    def pack(self, padded: Array, rows: int) -> Array:
        """[T,B,I] to [rows,I]; rows beyond N are zero."""
        data = padded.reshape(self.active.size, -1).take(self.places, 0)
        return (
            data
            if rows == len(data)
            else np.concatenate([data, np.zeros((rows - len(data), data.shape[1]), data.dtype)])
        )


class Call(NamedTuple):
    """What a call is made of besides its tensors."""

    mode: str
    bias: bool
    layers: int
    bidirectional: bool
    batch_first: bool
    is_cell: bool
    weights: _core.Weights
    masks: tuple[Tensor, ...] = ()  # factors of each layer's output but the last: [T,B,H], or [N,H] if packed
    rows: Rows | None = None


def read(call: Call, sequence: Array) -> Array:
    """A sequence as the kernels take it: time first, or [1,B,I] for a cell."""
    if call.rows is not None:
        return call.rows.pad(sequence)
    if call.is_cell:
        return sequence[None]
    return sequence.transpose(1, 0, 2) if call.batch_first and sequence.ndim == 3 else sequence


def written(call: Call, sequence: Array, rows: int) -> Tensor:
    if call.rows is not None:
        return torch.from_numpy(call.rows.pack(sequence, rows))
    if call.is_cell:
        return torch.from_numpy(sequence[0])
    found = torch.from_numpy(sequence)
    return found.transpose(0, 1) if call.batch_first and sequence.ndim == 3 else found


def array_of(tensor: Tensor) -> Array:
    return (tensor.detach() if tensor.requires_grad else tensor).numpy()


def compute(call: Call, x: Tensor, states: Any, record: bool) -> tuple[tuple[Tensor, ...], Any]:
    """(output, h or h and c) of a layer or (h or h and c) of a cell, and the tape."""
    initial = [array_of(state) for state in states]
    if call.is_cell:
        initial = [state[None] for state in initial]
    rows = call.rows
    masks = [mask.numpy() if rows is None else rows.pad(mask.numpy()) for mask in call.masks]
    active = None if rows is None else rows.active
    y, final, _, tape = call.weights.run(read(call, array_of(x)), initial, False, masks, record, active)
    if call.is_cell:
        return tuple([torch.from_numpy(part[0]) for part in final]), tape
    output = written(call, y, 0 if rows is None else len(rows.places))
    return (output, *[torch.from_numpy(part) for part in final]), tape


def run(call: Call, x: Tensor, states: Any, weights: list[Tensor]) -> tuple[Tensor, ...]:
    """What `compute` gives, differentiable where something asks for it."""
    if torch.is_grad_enabled() and (
        x.requires_grad or any(w.requires_grad for w in weights) or any(s.requires_grad for s in states)
    ):
        found: tuple[Tensor, ...] = Recurrence.apply(call, len(states), x, *states, *weights)  # type: ignore[no-untyped-call]
        return found
    return compute(call, x, states, False)[0]


class Recurrence(Function):
    """The kernels' own reverse mode; torch's operators where a derivative of the derivative is asked for."""

    @staticmethod
    def forward(ctx: Any, call: Call, states: int, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        outputs, ctx.tape = compute(call, x, rest[:states], True)
        ctx.call, ctx.states = call, states
        ctx.pointers = [weight.data_ptr() for weight in rest[states:]]
        ctx.save_for_backward(x, *rest)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # raises if one was modified
        needed = ctx.needs_input_grad[2:]
        weights = tensors[1 + ctx.states :]
        replayed = (
            torch.is_grad_enabled()
            or special_mode() is not None
            or any(grad is not None and (type(grad) not in PLAIN or is_batched(grad)) for grad in grads)
            # The kernels pack what backward needs from where the weights were.
            or [weight.data_ptr() for weight in weights] != ctx.pointers
        )
        gradients = replayed_gradients if replayed else recorded_gradients
        found = gradients(ctx, tensors, grads, needed)
        return None, None, *found


def recorded_gradients(ctx: Any, tensors: Any, grads: Any, needed: Any) -> list[Tensor | None]:
    call: Call = ctx.call
    arrays = [None if grad is None else grad.numpy() for grad in grads]
    output, final = (None, arrays) if call.is_cell else (arrays[0], arrays[1:])
    if call.is_cell:
        final = [None if part is None else part[None] for part in final]
    elif output is not None:
        output = read(call, output)
    dx, initial, parameters, _, _ = ctx.tape.backward(output, final)
    if not torch._C._autograd._get_current_graph_task_keep_graph():
        ctx.tape = None  # large, and saved_tensors refuses a second backward
    if call.is_cell:
        initial = [part[0] for part in initial]
    found = [written(call, dx, len(tensors[0])) if needed[0] else None]
    arrays = [*initial[: ctx.states], *parameters]
    return found + [torch.from_numpy(a) if wanted else None for a, wanted in zip(arrays, needed[1:], strict=True)]


def replayed_gradients(ctx: Any, tensors: Any, grads: Any, needed: Any) -> list[Tensor | None]:
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases cut the paths by which one input may depend on another.
        aliases = [t.view_as(t) if t.requires_grad else t for t in tensors]
        outputs = replay(ctx.call, aliases[0], aliases[1 : 1 + ctx.states], aliases[1 + ctx.states :])
        pairs = [(out, grad) for out, grad in zip(outputs, grads, strict=True) if grad is not None]
        wanted = [alias for alias, need in zip(aliases, needed, strict=True) if need]
        outs, seeds = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(outs, wanted, seeds, create_graph=create, allow_unused=True))
    return [next(found) if need else None for need in needed]


def replay(call: Call, x: Tensor, states: list[Tensor], weights: list[Tensor]) -> tuple[Tensor, ...]:
    """The call again, by torch's operators, layer by layer for the sake of the masks."""
    unbatched = x.dim() == 1 + (not call.is_cell) and call.rows is None
    if call.is_cell:
        x, states = x.unsqueeze(0), [state.unsqueeze(0) for state in states]
    elif call.batch_first and not unbatched and call.rows is None:
        x = x.transpose(0, 1)
    if unbatched:
        x, states = x.unsqueeze(1), [state.unsqueeze(1) for state in states]
    directions, each = 1 + call.bidirectional, len(weights) // call.layers
    finals = []
    if call.rows is not None:
        x = x[: len(call.rows.places)]
    if not states:
        states = zero_states(call, x, weights)
    for layer in range(call.layers):
        if layer and call.masks:
            x = x * call.masks[layer - 1]
        initial = [state[layer * directions : (layer + 1) * directions] for state in states]
        x, *final = replay_layer(call, x, initial, weights[layer * each : (layer + 1) * each])
        finals.append(final)
    final = [torch.cat(parts) for parts in zip(*finals, strict=True)]
    if unbatched:
        x, final = x.squeeze(1), [part.squeeze(1) for part in final]
    if call.is_cell:
        return tuple(part.squeeze(0) for part in final)
    return x.transpose(0, 1) if call.batch_first and not unbatched and call.rows is None else x, *final


def zero_states(call: Call, x: Tensor, weights: list[Tensor]) -> list[Tensor]:
    runs = call.layers * (1 + call.bidirectional)
    batch = x.shape[1] if call.rows is None else int(call.rows.batch_sizes[0])
    widths = (weights[1].shape[1], weights[0].shape[0] // 4)  # of h, and of the LSTM's c
    return [x.new_zeros(runs, batch, width) for width in widths[: 1 + (call.mode == "lstm")]]


def replay_layer(call: Call, x: Tensor, states: list[Tensor], weights: list[Tensor]) -> tuple[Tensor, ...]:
    operator = getattr(_VF, call.mode)
    hx = states if call.mode == "lstm" else states[0]
    options = (call.bias, 1, 0.0, True, call.bidirectional)
    if call.rows is not None:
        found: tuple[Tensor, ...] = operator(x, call.rows.batch_sizes, hx, weights, *options)
        return found
    found = operator(x, hx, weights, *options, False)
    return found
