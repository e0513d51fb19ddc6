"""Layers of torch.nn that are built from a Config, and their gradients as NumPy arrays."""

from __future__ import annotations

import numpy as np
import reference
import torch
from cases import Array, Config, as_given, as_states, class_name


def torch_layer(config: Config) -> torch.nn.RNNBase:
    torch.manual_seed(3)
    kind = getattr(torch.nn, class_name(config.cell))
    layer = kind(config.I, config.H, **config.options(), dtype=getattr(torch, np.dtype(config.dtype).name))
    assert isinstance(layer, torch.nn.RNNBase)
    return layer


def torch_vjp(
    module: torch.nn.Module,
    x: Array,
    states: tuple[Array, ...] | None,
    dy: Array | None,
    dstates: tuple[Array, ...],
) -> tuple[Array | None, tuple[Array, ...], reference.Gradients]:
    """Output, states and gradients of a torch layer, or with dy=None of a torch cell, as NumPy arrays."""
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *(states or ()))]
    result = module(inputs[0], as_given(tuple(inputs[1:]))) if states else module(inputs[0])
    outputs = as_states(result) if dy is None else (result[0], *as_states(result[1]))
    seeds = [torch.tensor(v) for v in ((() if dy is None else (dy,)) + dstates)]
    weights = dict(module.named_parameters())
    # torch has no gradient for an unused parameter, as weight_hr when only c has a gradient; it counts as zero.
    found = torch.autograd.grad(outputs, [*inputs, *weights.values()], seeds, materialize_grads=True)
    arrays = [g.numpy() for g in found]
    named = dict(zip(weights, arrays[len(inputs) :], strict=True))
    values = tuple(v.detach().numpy() for v in outputs)
    gradients = reference.Gradients(arrays[0], tuple(arrays[1 : len(inputs)]), named)
    return (None, values, gradients) if dy is None else (values[0], values[1:], gradients)
