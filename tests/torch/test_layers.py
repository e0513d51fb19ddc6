"""Outputs and gradients of the drop-ins are those of torch.nn, and derivatives of any order agree."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import OUTPUT
from drop_ins import CELLS, DTYPES, FORMS, LAYERS, assert_same, pair, results, sequences, tensors_of
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.testing._internal.common_modules import module_db
from torch.utils.checkpoint import checkpoint

import pyrnn.torch as drop_in


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_torchs_own_samples_give_torchs_results(name: str, training: bool, dtype: torch.dtype) -> None:
    (info,) = [info for info in module_db if info.module_cls is getattr(nn, name)]
    samples = info.module_inputs_func(info, "cpu", dtype, True, training)
    assert samples
    for sample in samples:
        given, call = sample.constructor_input, sample.forward_input
        theirs, ours = pair(name, *given.args, **{**given.kwargs, "dtype": dtype})
        with torch.no_grad():
            assert "kernels" in drop_in.explain(ours, *call.args)
        # With gradients torch's operators run a small RNNCell as fast as the kernels, which leave it to them.
        assert ("torch's own" in drop_in.explain(ours, *call.args)) == (name == "RNNCell")
        modules = [module.train(training) for module in (ours, theirs)]
        assert_same(*[results(module, call.args, call.kwargs) for module in modules], DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CELLS)
def test_large_cells_record_torchs_gradients(name: str, dtype: torch.dtype) -> None:
    theirs, ours = pair(name, 20, 128, dtype=dtype)
    states = [torch.randn(64, 128, dtype=dtype) for _ in range(2)]
    args = torch.randn(64, 20, dtype=dtype), tuple(states) if name == "LSTMCell" else states[0]
    assert_same(results(ours, args), results(theirs, args), DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("options", [*FORMS, {"num_layers": 3, "dropout": 0.4}], ids=str)
@pytest.mark.parametrize("lengths", [(6, 4, 4, 1), (2, 6, 1, 6)], ids=["sorted", "unsorted"])
@pytest.mark.parametrize("given", [True, False], ids=["state", "no-state"])
@pytest.mark.parametrize("name", [*LAYERS, "projected"])
def test_packed_sequences_give_torchs_results(
    name: str, given: bool, lengths: Any, options: Any, dtype: torch.dtype
) -> None:
    more = {"proj_size": 2} if name == "projected" else {}
    theirs, ours = pair("LSTM" if more else name, 3, 5, **options, **more, dtype=dtype)
    runs = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    h, c = torch.randn(runs, 4, 2 if more else 5, dtype=dtype), torch.randn(runs, 4, 5, dtype=dtype)
    hx = ((h, c) if isinstance(ours, nn.LSTM) else h,) if given else ()
    args = (sequences(dtype, lengths), *hx)
    assert "kernels" in drop_in.explain(ours, *args)
    assert_same(results(ours, args), results(theirs, args), DTYPES[dtype])


@pytest.mark.parametrize("p", [0.3, 1.0])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_draws_what_torch_draws(name: str, batch_first: bool, p: float) -> None:
    options = {"dropout": p, "num_layers": 3, "batch_first": batch_first, "bidirectional": True}
    theirs, ours = pair(name, 3, 5, **options, dtype=torch.float64)
    for x in (torch.randn(4, 2, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)):
        assert_same(results(ours, (x,)), results(theirs, (x,)), np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_packed_data_with_rows_to_spare_give_torchs_results(dtype: torch.dtype) -> None:
    theirs, ours = pair("GRU", 3, 5, num_layers=2, dropout=0.5, dtype=dtype)
    args = (PackedSequence(torch.randn(9, 3, dtype=dtype), torch.tensor([3, 2, 1])),)
    assert_same(results(ours, args), results(theirs, args), DTYPES[dtype])


# torch itself causes this warning at the first forward-mode derivative.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("kind", [*LAYERS, "projected", "packed"])
def test_first_and_second_derivatives_agree_with_finite_differences(kind: str, options: dict[str, Any]) -> None:
    name = {"projected": "LSTM", "packed": "GRU"}.get(kind, kind)
    more = {"proj_size": 1} if kind == "projected" else {}
    _, ours = pair(name, 2, 2, **options, **more, dtype=torch.float64)
    packed = sequences(torch.float64, (1, 3))
    x = torch.randn(4 if kind == "packed" else 3, *(() if kind == "packed" else (2,)), 2, dtype=torch.float64)

    def call(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(dict(ours.named_parameters()), weights, strict=True))
        given = PackedSequence(x, *packed[1:]) if kind == "packed" else x
        return tuple(t for t in tensors_of(torch.func.functional_call(ours, named, (given,))) if t.is_floating_point())

    inputs = [t.detach().requires_grad_() for t in (x, *ours.parameters())]
    assert torch.autograd.gradcheck(call, inputs, check_forward_ad=kind != "packed", fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_of_cells_agree_with_finite_differences(name: str) -> None:
    _, ours = pair(name, 2, 3, dtype=torch.float64)
    x, h, c = (torch.randn(2, n, dtype=torch.float64, requires_grad=True) for n in (2, 3, 3))

    def call(x: Tensor, h: Tensor, c: Tensor) -> Any:
        return ours(x, (h, c)) if name == "LSTMCell" else ours(x, h * c)

    assert torch.autograd.gradcheck(call, (x, h, c))
    assert torch.autograd.gradgradcheck(call, (x, h, c))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("unbatched", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives_are_torchs(name: str, unbatched: bool, dtype: torch.dtype) -> None:
    found = []
    for module in pair(name, 3, 5, num_layers=2, dropout=0.5, bidirectional=True, batch_first=True, dtype=dtype):
        x = torch.ones(*(() if unbatched else (2,)), 4, 3, dtype=dtype, requires_grad=True)
        torch.manual_seed(4)
        weights = list(module.parameters())
        first = torch.autograd.grad(module(x)[0].square().sum(), [x, *weights], create_graph=True)
        loss = sum(g.square().sum() for g in first)
        assert isinstance(loss, Tensor)
        found.append((list(first), list(torch.autograd.grad(loss, [x, *weights]))))
    for one, other in zip(*found, strict=True):
        assert_same(([], one), ([], other), DTYPES[dtype])


def test_an_input_that_depends_on_another_is_not_counted_twice() -> None:
    found = []
    for module in pair("GRU", 3, 3, dtype=torch.float64):
        x = torch.ones(4, 2, 3, dtype=torch.float64, requires_grad=True)
        (first,) = torch.autograd.grad(module(x, x[:1].tanh())[0].square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found.append(([first], [second]))
    assert_same(*found, np.float64)


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_a_batch_of_output_gradients_gives_torchs_results(name: str) -> None:
    seeds, found = torch.eye(10, dtype=torch.float64).reshape(10, 2, 5), []
    for module in pair(name, 3, 5, dtype=torch.float64):
        x = torch.ones(4, 2, 3, dtype=torch.float64, requires_grad=True)
        out = module(x)[0].sum(0)
        found.append(([out], list(torch.autograd.grad(out, x, seeds, is_grads_batched=True))))
    assert_same(*found, np.float64)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_torchs_checkpoint_gives_torchs_gradients(name: str, reentrant: bool) -> None:
    theirs, ours = pair(name, 3, 5, num_layers=2, dropout=0.5)

    x = torch.randn(4, 2, 3, requires_grad=True)
    found = []
    for module in (ours, theirs):
        torch.manual_seed(4)
        x.grad = None
        checkpoint(module, x, use_reentrant=reentrant)[0].square().sum().backward()
        found.append(([], [x.grad, *[parameter.grad for parameter in module.parameters()]]))
    assert_same(*found, np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LAYERS)
def test_training_follows_torchs_loss_curve(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    x, target = torch.randn(6, 4, 3, dtype=dtype), torch.randn(6, 4, 5, dtype=dtype)
    curves = []
    for module in pair(name, 3, 5, num_layers=2, dtype=dtype):
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(200):
            optimizer.zero_grad()
            loss = (module(x)[0] - target).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        curves.append(losses)
    # The contract for 200 steps, which carry the rounding errors on.
    np.testing.assert_allclose(*curves, rtol=0, atol=1e-5 if dtype is torch.float32 else 1e-10)
    assert curves[0][-1] < curves[0][0]


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_gradients_are_computed_only_where_they_are_required(name: str) -> None:
    _, ours = pair(name, 3, 5)
    shape = (2, 3) if "Cell" in name else (4, 2, 3)
    for parameter in list(ours.parameters())[1:]:
        parameter.requires_grad_(False)
    next(tensors_of(ours(torch.randn(shape)))).sum().backward()
    assert [p.grad is not None for p in ours.parameters()] == [True, False, False, False]
    with torch.inference_mode():
        outputs = list(tensors_of(ours(torch.randn(shape))))
    assert all(out.is_inference() and not out.requires_grad for out in outputs)


def test_a_weight_modified_before_backward_is_noticed() -> None:
    _, ours = pair("LSTM", 3, 5)
    loss = ours(torch.randn(4, 2, 3))[0].sum()
    with torch.no_grad():
        next(ours.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    loss = ours(torch.randn(4, 2, 3))[0].sum()
    loss.backward(retain_graph=True)
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("edit", ["in place", "data", "data in place", "replaced", "transposed"])
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_changed_weights_are_seen_at_the_next_call(name: str, edit: str) -> None:
    x, found = torch.randn(2, 2, 3), []
    for module in pair(name, 3, 3):
        with torch.no_grad():
            given = x[0] if "Cell" in name else x
            module(given)
            weight_name = "weight_hh" if "Cell" in name else "weight_hh_l0"
            weight = getattr(module, weight_name)
            if edit == "in place":
                weight[1, 2] += 1
            elif edit == "data":
                weight.data = weight.data * 2
            elif edit == "data in place":
                weight.data[1] += 1
            elif edit == "replaced":
                setattr(module, weight_name, nn.Parameter(weight * 2))
            else:
                weight.data = weight.data.t() if len(weight) == 3 else weight.data.flip(0)
            found.append(list(tensors_of(module(given))))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=OUTPUT[np.float32])
