"""torch's autograd differentiates a call of the kernels through this function."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from .call import Call, Inputs, Tensors, compute, must_replay, recorded_gradients, replayed_gradients
from .operators import backward_operator
from .private import keeps_graph


def run(call: Call, inputs: Inputs) -> Tensors:
    """Returns the outputs of `compute`, which are differentiable if some input requires a gradient."""
    if torch.is_grad_enabled():
        flat = inputs.flat()
        for tensor in flat:
            if tensor.requires_grad:
                found: Tensors = Recurrence.apply(call, inputs, *flat)  # type: ignore[no-untyped-call]
                return found
    return compute(call, inputs, False)[0]


class Recurrence(Function):
    """The kernels compute first derivatives; torch's operators compute higher ones."""

    @staticmethod
    def forward(ctx: Any, call: Call, inputs: Inputs, *flat: Tensor) -> Tensors:
        outputs, ctx.tape = compute(call, inputs, True)
        ctx.call, ctx.counts = call, (len(inputs.initial), len(inputs.reset_state))
        ctx.pointers = [weight.data_ptr() for weight in inputs.weights]
        ctx.save_for_backward(*flat)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        inputs = Inputs.of(ctx.saved_tensors, *ctx.counts)  # saved_tensors raises if one was modified
        needed = ctx.needs_input_grad[2:]
        if torch.compiler.is_compiling():  # this is compiled autograd, which cannot trace a tape
            found = backward_operator(ctx.call, inputs, grads)
            return None, None, *(grad if need else None for grad, need in zip(found, needed, strict=True))
        replayed = (
            must_replay(grads)
            # Backward packs the weights from the memory that forward read.
            or [weight.data_ptr() for weight in inputs.weights] != ctx.pointers
        )
        if replayed:
            return None, None, *replayed_gradients(ctx.call, inputs, grads, needed)
        found = recorded_gradients(ctx.call, ctx.tape, ctx.counts, grads, needed)
        if not keeps_graph():
            ctx.tape = None  # frees memory; saved_tensors refuses a second backward
        return None, None, *(grad if need else None for grad, need in zip(found, needed, strict=True))
