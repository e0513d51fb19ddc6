"""Backward computes the required gradients alone: these are torch's, and frozen weights and inputs have none."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from drop_ins import CELLS, DTYPES, LAYERS, Results, assert_same, pair, tensors_of
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

FROZEN = {
    "no weight": slice(0),
    "all weights": slice(None),
    "the first": slice(1),
    "all but the first": slice(1, None),
    "every other": slice(0, None, 2),
}
TWO: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in LAYERS + CELLS},
    **{f"two layers of {name}": (name, TWO) for name in LAYERS},
    **{f"packed {name}": (name, {"num_layers": 2, "bidirectional": True}) for name in LAYERS},
    "projected": ("LSTM", {"proj_size": 2, **TWO}),
}
Gradients = list[Tensor | None]


def arguments(kind: str, dtype: torch.dtype, of_input: bool, of_state: bool) -> tuple[Any, list[Tensor]]:
    """The arguments of a call, and the tensors in them: an input and its initial state."""
    torch.manual_seed(2)
    name, options = KINDS[kind]
    runs = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    shape = (2, 3) if "Cell" in kind else (8, 3) if "packed" in kind else (4, 2, 3)
    x = torch.randn(*shape, dtype=dtype).requires_grad_(of_input)
    batch = 4 if options.get("batch_first") else 2
    widths = (options.get("proj_size", 5), 5)[: 1 + ("LSTM" in name)]
    leading = () if "Cell" in kind else (runs,)
    states = [torch.randn(*leading, batch, width, dtype=dtype).requires_grad_(of_state) for width in widths]
    given = PackedSequence(x, torch.tensor([2, 2, 2, 1, 1])) if "packed" in kind else x
    return (given, tuple(states) if "LSTM" in name else states[0]), [x, *states]


def differentiated(module: nn.Module, kind: str, dtype: torch.dtype, *asked: bool) -> tuple[list[Tensor], Gradients]:
    """Calls the module, differentiates, and returns outputs and the gradients of input, states and weights."""
    args, leaves = arguments(kind, dtype, *asked)
    outputs = [part for part in tensors_of(module(*args)) if part.is_floating_point()]
    leaves = [*leaves, *module.parameters()]
    needed = any(leaf.requires_grad for leaf in leaves)
    assert all(part.requires_grad == needed for part in outputs)
    if needed:
        torch.stack([(i + 1) * part.sin().sum() for i, part in enumerate(outputs)]).sum().backward()
    return outputs, [leaf.grad for leaf in leaves]


def present(found: tuple[list[Tensor], Gradients]) -> Results:
    return found[0], [grad for grad in found[1] if grad is not None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("frozen", FROZEN)
@pytest.mark.parametrize("kind", KINDS)
def test_requested_gradients_are_torchs_and_the_rest_are_none(kind: str, frozen: str, dtype: torch.dtype) -> None:
    name, options = KINDS[kind]
    _, whole = differentiated(pair(name, 3, 5, **options, dtype=dtype)[1], kind, dtype, True, True)
    for asked in product((True, False), repeat=2):
        theirs, ours = pair(name, 3, 5, **options, dtype=dtype)
        for module in (theirs, ours):
            for weight in list(module.parameters())[FROZEN[frozen]]:
                weight.requires_grad_(False)
        found, expected = (differentiated(module, kind, dtype, *asked) for module in (ours, theirs))
        wanted = [*asked[:1], *asked[1:] * (1 + ("LSTM" in name)), *(w.requires_grad for w in ours.parameters())]
        for gradients in (found[1], expected[1]):
            assert [gradient is not None for gradient in gradients] == wanted
        assert_same(present(found), present(expected), DTYPES[dtype])
        for one, other in zip(found[1], whole, strict=True):
            assert one is None or (other is not None and torch.equal(one, other))
