"""Calls with keywords give the NumPy layers' bits, and torch's transforms work on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")

import cases
import drawn
import numpy as np
import plain
import torch
from cases import DTYPES, Config
from drawn import Call, assert_result, same_bytes
from drop_ins import CELLS, LAYERS, pair, tensors_of
from hypothesis import given, settings
from hypothesis import strategies as st
from keyword_calls import COMMON, Groups, differentiated, in_arrays, in_tensors, leaves_of, module_of, parts_of
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.checkpoint import checkpoint
from torch_close import assert_close, assert_slopes

import pyrnn.torch as drop_in

pytestmark = [
    # torch itself causes this warning at the first forward-mode derivative.
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]


def function_of(call: Call, module: nn.Module) -> Callable[[Groups], plain.Result]:
    """A function from the leaves of a call to its results."""

    def results(groups: Groups) -> plain.Result:
        options, states = dict(call.options), tuple(groups.get("state", {}).values())
        if "reset_state" in options:
            options["reset_state"] = tuple(groups["reset_state"].values())
        given = replace(call, x=groups["input"]["x"], states=states, options=options)
        return given.run(lambda *args, **kwargs: functional_call(module, groups["parameters"], args, kwargs))

    return results


@settings(max_examples=300, deadline=None)
@given(drawn.calls(dtypes=DTYPES, cells=COMMON, sizes=20), st.none() | st.integers(1, 9))
def test_calls_with_keywords_give_the_bits_of_the_numpy_layers(call: Call, every: int | None) -> None:
    layer = call.layer()
    module = module_of(call, layer)
    expected, slopes = call.vjp(layer)
    recorded = replace(call, options=call.options | {"checkpoint": every})
    result, found = differentiated(recorded, layer, module)
    with torch.no_grad():
        called = in_arrays(in_tensors(call).run(module))
    assert same_bytes(called, expected)
    assert same_bytes(result, expected)
    assert same_bytes(found, {group: slopes[group] for group in found})
    assert set(slopes) - set(found) <= {"state", "reset_state"}


@settings(max_examples=60, deadline=None)
@given(drawn.calls(cells=COMMON), st.integers(0, 99))
def test_torchs_operators_give_the_kernels_numbers(call: Call, seed: int) -> None:
    layer = call.layer()
    module = module_of(call, layer)
    expected, slopes = call.vjp(layer)
    _, twice = differentiated(call, layer, module, create_graph=True)
    assert_slopes(twice, slopes)
    torch.manual_seed(seed)
    given = in_tensors(call)
    groups, results = leaves_of(given, module, layer.parameters()), function_of(given, module)
    groups = tree_map(Tensor.detach, groups)

    def loss(groups: Groups) -> tuple[Any, tuple[Tensor, ...]]:
        result = results(groups)
        return given.loss_of(result), parts_of(result)

    found, parts = torch.func.grad(loss, has_aux=True)(groups)
    assert_slopes(in_arrays(found), slopes)
    directions = tree_map(torch.randn_like, groups)
    _, slope, ahead = torch.func.jvp(loss, (groups,), (directions,), has_aux=True)
    for some in (parts, ahead):
        h_and_c, cells = some[1 : 1 + len(expected.state)], some[1 + len(expected.state) :]
        result = in_arrays((some[0], h_and_c, cells[0] if cells else None))
        assert_result(plain.Result(*result, {}), expected, np.float64)
    terms = np.concatenate([
        (part.numpy() * slopes[group][name]).ravel() for group in groups for name, part in directions[group].items()
    ])  # fmt: skip
    np.testing.assert_allclose(slope.item(), terms.sum(), rtol=0, atol=drawn.GRADIENT * np.abs(terms).sum())


@settings(max_examples=40, deadline=None)
@given(drawn.calls(dtypes=DTYPES, cells=COMMON))
def test_vmap_over_inputs_with_keywords_equals_a_loop(call: Call) -> None:
    module, given = module_of(call, call.layer()), in_tensors(call)
    many = torch.stack([given.x, given.x.sin(), -given.x])

    def run(x: Tensor) -> list[Tensor]:
        return list(parts_of(replace(given, x=x).run(module)))

    each = [run(x) for x in many]
    expected = list(map(torch.stack, zip(*each, strict=True)))
    # The tolerance is absolute for states of order 1, and relative to the largest where relu makes them grow.
    scale = max([1.0, *(part.abs().max().item() for part in expected)])
    assert_close(torch.vmap(run)(many), expected, cases.OUTPUT[call.config.dtype] * scale)


@pytest.mark.parametrize("name", ["mask", "reset"])
def test_vmap_over_flags_equals_a_loop(name: str) -> None:
    module, x = drop_in.LSTM(3, 5, 2, dtype=torch.float64), torch.randn(4, 2, 3, dtype=torch.float64)
    flags = torch.arange(24).reshape(3, 4, 2) % 5 > 1
    found = torch.vmap(lambda each: module(x, **{name: each})[0])(flags)
    assert_close(found, torch.stack([module(x, **{name: each})[0] for each in flags]))


def reduced(cell: str) -> tuple[Any, Any, Any]:
    """A call in float32 with all keywords, its module and its result; a relu's states stay below 4."""
    config = Config(cell, 2, dtype=np.float32)
    flags = {"mask": np.arange(12).reshape(4, 3) % 5 > 0, "reset": np.arange(12).reshape(4, 3) % 4 == 3}
    options = {"lengths": [4, 2, 3], "reset_state": config.draw_states(np.random.default_rng(2)), **flags}
    call = replace(Call.draw(config), options=options)
    layer = call.layer()
    return in_tensors(call), module_of(call, layer), in_tensors(call.run(layer))


@pytest.mark.parametrize("way", ["bfloat16", "autocast"])
@pytest.mark.parametrize("cell", COMMON)
def test_bfloat16_and_autocast_are_near_float32(cell: str, way: str) -> None:
    call, module, expected = reduced(cell)
    if way == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = parts_of(call.run(module))
    else:
        cast = tree_map(lambda t: t.bfloat16() if isinstance(t, Tensor) and t.is_floating_point() else t,
                        [call.x, call.states, call.options])  # fmt: skip
        found = parts_of(replace(call, x=cast[0], states=cast[1], options=cast[2]).run(module.bfloat16()))
        assert {part.dtype for part in found} == {torch.bfloat16}
    # A bfloat16 rounds by 2^-9; each of two layers and four steps rounds a few times, states up to 4.
    for one, other in zip(found, parts_of(expected), strict=True):
        assert_close(one.float(), other, 0.1)


def shaped(name: str, *leading: int, dtype: Any = torch.float64) -> Tensor:
    torch.manual_seed(7)
    return torch.randn(*leading, *((2, 3) if "Cell" in name else (4, 2, 3)), dtype=dtype)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_vmap_over_inputs_and_parameters_equals_a_loop(name: str, options: dict[str, Any]) -> None:
    options = {} if "Cell" in name else options
    modules = [getattr(drop_in, name)(3, 5, **options, dtype=torch.float64) for _ in range(3)]
    many, (weights, _) = shaped(name, 3), stack_module_state(modules)

    def outputs(module: nn.Module, weights: Any, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_of(functional_call(module, weights, (x,))))

    def loss(weights: Any, x: Tensor) -> Tensor:
        return sum((part.sin().sum() for part in outputs(modules[0], weights, x)), torch.zeros(()))

    first = modules[0]
    by_input = torch.vmap(lambda x: tuple(tensors_of(first(x))))(many)
    assert_close(by_input, tuple(map(torch.stack, zip(*(tensors_of(first(x)) for x in many), strict=True))))
    for in_dims, inputs in (((0, None), [many[0]] * 3), ((0, 0), list(many))):
        found = torch.vmap(partial(outputs, first), in_dims)(weights, many[0] if in_dims[1] is None else many)
        each = [tuple(tensors_of(module(x))) for module, x in zip(modules, inputs, strict=True)]
        assert_close(found, tuple(map(torch.stack, zip(*each, strict=True))))
    parameters = dict(first.named_parameters())
    slopes = torch.vmap(torch.func.grad(loss), (None, 0))({n: p.detach() for n, p in parameters.items()}, many)
    for row, x in enumerate(many):
        expected = torch.autograd.grad(loss(parameters, x), list(parameters.values()))
        scale = max(part.abs().max().item() for part in expected)
        assert_close([slopes[n][row] for n in parameters], list(expected), cases.GRADIENT[np.float64] * scale)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_forward_mode_in_float32_is_near_float64(name: str) -> None:
    _, module = pair(name, 3, 5)
    found = []
    for dtype in (torch.float32, torch.float64):
        x, each = shaped(name, dtype=torch.float64).to(dtype), module.to(dtype)
        found.append(torch.func.jvp(lambda x, each=each: next(tensors_of(each(x))), (x,), (x.cos(),)))
    for one, other in zip(*found, strict=True):
        assert_close(one.double(), other, cases.GRADIENT[np.float32] * max(1.0, other.abs().max().item()))


@pytest.mark.parametrize("cell", COMMON)
def test_derivatives_with_keywords_agree_with_finite_differences(cell: str) -> None:
    config = Config(cell, 2, T=3, B=2, I=2, H=3)
    options = {"mask": np.array([[1, 1], [0, 1], [1, 1]]) == 1, "reset": np.array([[0, 0], [0, 1], [1, 0]]) == 1}
    options |= {"lengths": [3, 2], "reset_state": config.draw_states(np.random.default_rng(2)), "checkpoint": 2}
    call = replace(Call.draw(config), options=options)
    layer = call.layer()
    module, given = module_of(call, layer), in_tensors(call)
    leaves, groups = tree_flatten(tree_map(Tensor.detach, leaves_of(given, module, layer.parameters())))

    def outputs(*leaves: Tensor) -> tuple[Tensor, ...]:
        return parts_of(function_of(given, module)(tree_unflatten(leaves, groups)))

    leaves = [leaf.requires_grad_() for leaf in leaves]
    assert torch.autograd.gradcheck(outputs, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(outputs, leaves, fast_mode=True)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("cell", COMMON)
def test_torchs_checkpoints_with_keywords_change_no_bit(cell: str, reentrant: bool) -> None:
    call, module, _ = reduced(cell)
    module.dropout = 0.5
    args, found = (call.x.requires_grad_(), cases.as_given(call.states)), []

    def run(*args: Any) -> tuple[Tensor, ...]:
        return parts_of(module(*args, **call.keywords()))  # flat, since reentrant checkpoints skip nested tensors

    for again in (run, partial(checkpoint, run, use_reentrant=reentrant)):
        torch.manual_seed(4)
        outputs = again(*args)
        inputs = [call.x, *module.parameters()]
        for leaf in inputs:
            leaf.grad = None
        torch.stack([part.square().sum() for part in outputs]).sum().backward()
        found.append([outputs, *[leaf.grad for leaf in inputs]])
    assert same_bytes(*in_arrays(found))


@pytest.mark.parametrize("cell", COMMON)
def test_functional_call_uses_its_weights_and_leaves_the_modules(cell: str) -> None:
    call, module, _ = reduced(cell)
    layer = module_of(call, module)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.mul_(0.5)
    before, expected = parts_of(call.run(module)), parts_of(call.run(layer))
    halved = replace(call).run(lambda *args, **kw: functional_call(module, dict(layer.named_parameters()), args, kw))
    assert same_bytes(in_arrays(parts_of(halved)), in_arrays(expected))
    assert same_bytes(in_arrays(parts_of(call.run(module))), in_arrays(before))
