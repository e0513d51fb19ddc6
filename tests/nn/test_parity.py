"""The layers of pyrnn.nn have torch.nn's outputs, gradients and names."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from nn_samples import Array, draws, words

import pyrnn
from pyrnn import nn

F64: dict[str, Any] = {"dtype": np.float64, "seed": 1}
T64: dict[str, Any] = {"dtype": torch.float64}


class HardSigmoid(torch.nn.Module):
    """The equation of torch.nn.Hardsigmoid, whose own gradient uses the float32 value of 1/6 in float64 too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu6(x + 3) / 6


PAIRS: dict[str, tuple[Any, Any, Array]] = {
    "Linear": (nn.Linear(3, 4, **F64), torch.nn.Linear(3, 4, **T64), draws(2, 5, 3)),
    "Linear no bias": (nn.Linear(3, 4, bias=False, **F64), torch.nn.Linear(3, 4, bias=False, **T64), draws(2, 3)),
    "Embedding": (nn.Embedding(6, 3, **F64), torch.nn.Embedding(6, 3, **T64), words(4, 5)),
    "padding": (nn.Embedding(6, 3, 2, **F64), torch.nn.Embedding(6, 3, 2, **T64), words(4, 5)),
    "Flatten": (nn.Flatten(1, -2), torch.nn.Flatten(1, -2), draws(2, 3, 2, 4)),
    "ReLU": (nn.ReLU(), torch.nn.ReLU(), draws(3, 4)),
    "Sigmoid": (nn.Sigmoid(), torch.nn.Sigmoid(), 5 * draws(3, 4)),
    "Tanh": (nn.Tanh(), torch.nn.Tanh(), 5 * draws(3, 4)),
    "Softmax": (nn.Softmax(dim=1), torch.nn.Softmax(dim=1), 1000 * draws(2, 5, 3)),
    "LogSoftmax": (nn.LogSoftmax(dim=1), torch.nn.LogSoftmax(dim=1), 1000 * draws(2, 5, 3)),
    "Dropout p=0": (nn.Dropout(0.0), torch.nn.Dropout(0.0), draws(3, 4)),
    "Dropout p=1": (nn.Dropout(1.0), torch.nn.Dropout(1.0), draws(3, 4)),
    "Dropout eval": (nn.Dropout(0.5).eval(), torch.nn.Dropout(0.5).eval(), draws(3, 4)),
    "LayerNorm": (nn.LayerNorm((3, 4), dtype=np.float64), torch.nn.LayerNorm((3, 4), **T64), draws(2, 5, 3, 4) + 10),
    "LayerNorm no bias": (
        nn.LayerNorm(4, 1e-3, bias=False, dtype=np.float64),
        torch.nn.LayerNorm(4, 1e-3, bias=False, **T64),
        draws(2, 4),
    ),
    "LayerNorm plain": (
        nn.LayerNorm(4, elementwise_affine=False, dtype=np.float64),
        torch.nn.LayerNorm(4, elementwise_affine=False, **T64),
        draws(2, 4),
    ),
    "elu": (nn.Activation("elu", alpha=0.7), torch.nn.ELU(0.7), draws(4, 5)),
    "selu": (nn.Activation("selu"), torch.nn.SELU(), draws(4, 5)),
    "softplus": (nn.Activation("softplus"), torch.nn.Softplus(threshold=1e9), 10 * draws(4, 5)),
    "softsign": (nn.Activation("softsign"), torch.nn.Softsign(), draws(4, 5)),
    "leaky_relu": (nn.Activation("leaky_relu"), torch.nn.LeakyReLU(), draws(4, 5)),
    "silu": (nn.Activation("silu"), torch.nn.SiLU(), draws(4, 5)),
    "gelu": (nn.Activation("gelu"), torch.nn.GELU(), draws(4, 5)),
    "gelu_tanh": (nn.Activation("gelu_tanh"), torch.nn.GELU("tanh"), draws(4, 5)),
    "hard_sigmoid_keras3": (nn.Activation("hard_sigmoid_keras3"), HardSigmoid(), 4 * draws(4, 5)),
    "Sequential": (
        nn.Sequential({"in": nn.Linear(3, 4, **F64), "tanh": nn.Tanh(), "out": nn.Linear(4, 2, **F64)}),
        torch.nn.Sequential(
            OrderedDict(
                {"in": torch.nn.Linear(3, 4, **T64), "tanh": torch.nn.Tanh(), "out": torch.nn.Linear(4, 2, **T64)}
            )
        ),
        draws(5, 3),
    ),
}


def varied(module: Any) -> dict[str, Array]:
    """Random values for all weights, some of which start as ones or zeros."""
    random = np.random.default_rng(7)
    return {name: random.normal(size=value.shape) for name, value in module.state_dict().items()}


@pytest.mark.parametrize("case", PAIRS)
def test_a_layer_agrees_with_torchs(case: str) -> None:
    ours, theirs, x = PAIRS[case]
    weights = varied(ours)
    ours.load_state_dict(weights)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    tensor = torch.tensor(x, requires_grad=x.dtype.kind == "f")
    expected = theirs(tensor)
    y, _, pullback = ours.vjp(x)
    dy = np.random.default_rng(8).normal(size=y.shape)
    wanted = [(name, p) for name, p in theirs.named_parameters()]
    inputs = [tensor] if tensor.requires_grad else []
    grads = torch.autograd.grad(expected, [*(p for _, p in wanted), *inputs], torch.tensor(dy), allow_unused=True)
    found = pullback(dy)
    # Both sum numbers of order 10 in float64, in other orders; 1e-12 is the contract on layers.
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-12)
    assert found.parameters.keys() == {name for name, _ in wanted}
    for (name, _), grad in zip(wanted, grads, strict=False):
        np.testing.assert_allclose(found.parameters[name], grad.numpy(), rtol=0, atol=1e-12)
    if inputs:
        np.testing.assert_allclose(found.input, grads[-1].numpy(), rtol=0, atol=1e-12)


def test_buffers_are_in_the_state_dict_and_no_parameters() -> None:
    ours = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.parameters()) == [name for name, _ in theirs.named_parameters()]
    assert list(ours.buffers()) == [name for name, _ in theirs.named_buffers()]
    theirs(torch.randn(8, 2))
    ours.load_state_dict(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], value.numpy())
        assert ours.state_dict()[name].dtype == value.numpy().dtype
    with pytest.raises(RuntimeError, match=r'Missing key.*"1\.running_mean"'):
        ours.load_state_dict(ours.parameters())


def test_a_buffer_is_replaced_whole() -> None:
    norm = nn.BatchNorm1d(3)
    with pytest.raises(ValueError, match="read-only"):
        norm.running_mean[0] = 1
    with pytest.raises(ValueError, match=r"running_mean should have shape \(3,\), got \(2,\)"):
        norm.running_mean = np.zeros(2)
    norm.running_mean = [1, 2, 3]
    np.testing.assert_array_equal(norm.state_dict()["running_mean"], np.array([1, 2, 3], np.float32))
    assert "running_mean" in dir(norm)


# The kernels of a bidirectional layer compute the same sums in the same order.
@pytest.mark.parametrize("cell", [pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU])
def test_bidirectional_concat_is_the_layer_with_two_directions(cell: Any) -> None:
    whole = cell(3, 4, batch_first=True, bidirectional=True, **F64)
    both = nn.Bidirectional(cell(3, 4, batch_first=True, **F64))
    both.load_state_dict(
        {
            ("backward." if name.endswith("_reverse") else "forward.") + name.removesuffix("_reverse"): value
            for name, value in whole.state_dict().items()
        }
    )
    x, mask = draws(2, 5, 3), np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], bool)
    expected, final, pullback = whole.vjp(x, mask=mask)
    y, _, ours = both.vjp(x, mask=mask)
    np.testing.assert_array_equal(y, expected)
    dy = draws(*y.shape)
    # nn.Bidirectional adds two gradients; the layer with two directions sums them in one pass.
    np.testing.assert_allclose(ours(dy).input, pullback(dy).input, rtol=0, atol=1e-14)
    both.return_sequences = False
    h = final[0] if isinstance(final, tuple) else final
    np.testing.assert_array_equal(both(x, mask=mask), np.concatenate([h[0], h[1]], axis=-1))


def test_a_repr_is_that_of_torch() -> None:
    ours = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Tanh()))
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh()))
    assert repr(ours) == repr(theirs)
    assert repr(nn.Sequential()) == repr(torch.nn.Sequential())
