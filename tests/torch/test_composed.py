"""The recurrence composed of torch's operators has the numbers of torch.nn and the kernels, and all derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import plain
import torch
from cases import Array, Config
from chosen_calls import NAMES, chosen_calls
from drawn import Call, assert_result
from hypothesis import assume, given, settings
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._pytree import tree_map
from torch_close import assert_close, assert_slopes
from torch_layers import torch_layer, torch_vjp

from pyrnn.core.recurrent import Recurrent
from pyrnn.torch.composed import Network, Steps, compose

CELLS = ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru")
T, B, H = 4, 2, 3
# torch itself causes this warning at the first forward-mode derivative.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def network_of(layer: Any) -> Network:
    return Network(*(getattr(layer, name) for name in Network._fields))


def composed(call: Call, layer: Any, masks: Sequence[Tensor] = ()) -> tuple[plain.Result, dict[str, dict[str, Array]]]:
    """Computes the results of `call.vjp(layer)` by torch.func.grad."""
    options, weighted = dict(call.options), replace(call, loss=tree_map(torch.tensor, call.loss))
    states = {"state": call.states, "reset_state": options.pop("reset_state", ())}
    groups = {"input": {"x": call.x}, "parameters": layer.state_dict()}
    groups |= {name: dict(zip("hc", parts, strict=False)) for name, parts in states.items()}
    rows = plain.rows_of(call.config.T, call.config.B, **options)
    active = torch.tensor(~rows.masked) if {"lengths", "mask"} & set(options) else None
    reset = torch.tensor(rows.reset) if "reset" in options else None

    def loss(groups: dict[str, dict[str, Tensor]]) -> Any:
        (x,), weights, state, reset_to = (tuple(values.values()) for values in groups.values())
        steps = Steps(active, rows.hold, reset, reset_to)
        output, final, cells = compose(network_of(layer), x, state, weights, masks, steps)
        found = [output, *final] if cells is None else [output, *final, cells]
        return weighted.loss_of(plain.Result(output, final, cells, {})), found

    slopes, found = tree_map(Tensor.numpy, torch.func.grad(loss, has_aux=True)(tree_map(torch.tensor, groups)))
    return plain.Result(found[0], tuple(found[1:3]), found[3] if found[3:] else None, {}), slopes


@pytest.mark.parametrize("given", [True, False], ids=["state", "no-state"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize(("layers", "dropout"), [(1, 0.0), (2, 0.0), (3, 0.4)])
@pytest.mark.parametrize("cell", CELLS)
def test_composed_equations_give_torchs_numbers(
    cell: str, layers: int, dropout: float, bidirectional: bool, bias: bool, given: bool
) -> None:
    config = Config(cell, layers, bidirectional, bias=bias, given=given)
    call, theirs, ours = Call.draw(config), torch_layer(config), config.pyrnn_layer()
    dy, dstates, _ = call.loss["output"], call.loss["state"], call.loss.pop("cell_states", None)
    ours.load_state_dict(theirs.state_dict())
    theirs.dropout = dropout
    torch.manual_seed(5)
    output, states, slopes = torch_vjp(theirs, call.x, call.states or None, dy, dstates)
    torch.manual_seed(5)
    masks = [torch.dropout(torch.ones(dy.shape).double(), dropout, True) for _ in range(layers - 1) if dropout]
    result, found = composed(call, ours, masks)
    assert_result(result, plain.Result(output, states, None, {}), np.float64)
    expected = {"input": {"x": slopes.input}, "parameters": slopes.parameters}
    assert_slopes(found, expected | {"state": dict(zip("hc", slopes.states, strict=False))})


@settings(max_examples=150, deadline=None)
@given(chosen_calls().filter(lambda call: call.config.cell in CELLS))
def test_composed_equations_give_the_kernels_numbers(call: Call) -> None:
    layer = call.layer()
    expected, slopes = call.vjp(layer)
    # With unbounded gates the states may grow without limit, and the rounding errors with them.
    assume(all(np.abs(part).max() < 10 for part in (expected.output, *expected.state)))
    result, found = composed(call, layer)
    assert_result(result, expected, np.float64)
    assert_slopes(found, slopes)


@pytest.mark.parametrize("mode", ["rnn_tanh", "rnn_relu"])
@pytest.mark.parametrize("name", NAMES)
def test_activations_have_the_kernels_slopes_at_their_corners(name: str, mode: str) -> None:
    corners = np.array([-9, -3, -2.5, -1, 0, 1, 2.5, 3, 9], float).reshape(1, 9, 1)
    layer = Recurrent(mode, 1, 1, 1, False, False, 0.0, False, 0, np.float64, 0, activation=name)
    layer.load_state_dict({"weight_ih_l0": np.ones((1, 1)), "weight_hh_l0": np.ones((1, 1))})
    call = Call(Config("rnn_tanh", B=9, T=1), corners, (), {"output": corners**0, "state": (corners**0,)})
    (result, found), (expected, slopes) = composed(call, layer), call.vjp(layer)
    assert_result(result, expected, np.float64)
    assert_slopes(found, slopes)


def case(mode: str, options: str, dtype: torch.dtype = torch.float64) -> tuple[Callable[..., Any], list[Tensor]]:
    """A function of tensors alone and its arguments; the options are "none", "all" or "both ways"."""
    torch.manual_seed(1)
    plain_call, reset = options == "none", options == "all"
    cell, chosen = ("lstm_proj", {"peephole": True}) if mode == "lstm" and not plain_call else (mode, {})
    drawn = Call.draw(Config(cell, 2, not reset, T=T, B=B, I=2, H=H), chosen=chosen)
    layer, loss = drawn.layer(), drawn.loss  # its arrays have the shapes of a dropout mask and of a state
    optional = [() if plain_call else (loss["output"],), loss["state"] if reset else ()]
    groups = tree_map(torch.tensor, [(drawn.x,), drawn.states, tuple(layer.state_dict().values()), *optional])
    active = torch.tensor([[1, 1], [0, 1], [1, 1], [1, 0]]) == 1
    flags = torch.tensor([[0, 0], [1, 0], [0, 1], [0, 0]]) == 1 if reset else None

    def call(*tensors: Tensor) -> tuple[Tensor, ...]:
        rest = iter(tensors)
        (x,), states, weights, masks, reset_to = (tuple(next(rest) for _ in group) for group in groups)
        steps = Steps() if plain_call else Steps(active, reset, flags, reset_to)
        output, final, cells = compose(network_of(layer), x, states, weights, masks, steps)
        return (output, *final) if cells is None else (output, *final, cells)

    return call, [tensor.to(dtype) for group in groups for tensor in group]


every_case = pytest.mark.parametrize(
    ("mode", "options"), list(product(["rnn_tanh", "rnn_relu", "lstm", "gru"], ["none", "all", "both ways"]))
)


@every_case
def test_vmap_equals_a_loop(mode: str, options: str) -> None:
    call, inputs = case(mode, options)
    every = set(range(len(inputs)))
    for chosen in [*({index} for index in every), every]:
        many = [torch.stack([t, 2 * t, -t]) if i in chosen else t for i, t in enumerate(inputs)]
        found = torch.vmap(call, in_dims=tuple(0 if i in chosen else None for i in every))(*many)
        each = [call(*(t[row] if i in chosen else t for i, t in enumerate(many))) for row in range(3)]
        assert_close(found, tuple(map(torch.stack, zip(*each, strict=True))))


def test_vmap_over_masks_equals_a_loop() -> None:
    _, (x, h, *weights) = case("gru", "none")
    flags = torch.arange(3 * T * B).reshape(3, T, B) % 5 > 1

    def call(active: Tensor) -> Tensor:
        return compose(Network("gru", True, 2, True), x, (h,), weights, (), Steps(active, True))[0]

    assert_close(torch.vmap(call)(flags), torch.stack([call(each) for each in flags]))


@every_case
def test_first_and_second_derivatives_agree_with_finite_differences(mode: str, options: str) -> None:
    call, inputs = case(mode, options)
    leaves = [t.requires_grad_() for t in inputs]
    assert gradcheck(call, leaves, check_forward_ad=True, check_batched_grad=True, fast_mode=True)
    assert gradgradcheck(call, leaves, fast_mode=True)


@every_case
def test_forward_and_reverse_mode_agree_with_each_other_and_with_a_complex_step(mode: str, options: str) -> None:
    call, inputs = case(mode, options)
    ahead, back = (jac(lambda *t: call(*t)[0], (0, 1, 2))(*inputs) for jac in (torch.func.jacfwd, torch.func.jacrev))
    assert_close(ahead, back)
    directions = [torch.randn_like(t) for t in inputs]
    _, slopes = torch.func.jvp(call, tuple(inputs), tuple(directions))
    if mode != "rnn_relu":  # torch has no complex relu
        # The derivative by a complex step (see helpers/plain.py), exact to rounding.
        complex_step = call(*(torch.complex(t, plain.STEP * d) for t, d in zip(inputs, directions, strict=True)))
        assert {out.dtype for out in complex_step} == {torch.complex128}
        assert_close(tuple(out.imag / plain.STEP for out in complex_step), slopes)


@every_case
def test_bfloat16_is_near_float64(mode: str, options: str) -> None:
    call, inputs = case(mode, options, torch.bfloat16)
    found, expected = call(*inputs), call(*(t.double() for t in inputs))
    assert {out.dtype for out in found} == {torch.bfloat16}
    # A bfloat16 rounds by 2^-9; each of two layers and four steps rounds a few times, states up to 4.
    assert_close(tuple(out.double() for out in found), expected, 0.1)


@pytest.mark.parametrize("active", [None, torch.ones(0, B, dtype=torch.bool)], ids=["plain", "masked"])
@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_a_call_without_steps_returns_the_initial_state(mode: str, active: Tensor | None) -> None:
    _, (x, *rest) = case(mode, "none")
    count = 1 + (mode == "lstm")
    states, network = tuple(rest[:count]), Network(mode, True, 2, True)
    for initial, expected in ((states, states), ((), tuple(map(torch.zeros_like, states)))):
        output, final, cells = compose(network, x[:0], initial, rest[count:], (), Steps(active))
        assert_close(final, expected, 0)
        assert [part.shape for part in (output, cells) if part is not None] == [(0, B, 2 * H)] * count


@pytest.mark.parametrize("hold", [True, False])
def test_padding_that_is_not_a_number_touches_nothing(hold: bool) -> None:
    _, (x, h, c, *weights) = case("lstm", "none")
    active = torch.arange(T)[:, None] < torch.tensor([2, T])
    network, steps = Network("lstm", True, 2, True), Steps(active, hold)
    leaves, found = [t.requires_grad_() for t in (h, c, *weights)], []
    for fill in (0.0, float("nan")):
        padded = torch.where(active[..., None], x, fill)
        output, final, _ = compose(network, padded, (h, c), weights, (), steps)
        found.append([output, *final, *torch.autograd.grad(output.square().sum() + final[1].sum(), leaves)])
    assert_close(*found, 0)
