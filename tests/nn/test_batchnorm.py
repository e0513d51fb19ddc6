"""BatchNorm1d and BatchNorm2d have torch.nn's outputs, gradients and running statistics in both modes."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

pytest.importorskip("torch")

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings
from numpy.typing import NDArray

from pyrnn import nn

Array = NDArray[Any]

# Relative to the largest number compared, if that exceeds 1. Both sides normalise in the dtype itself and add up to
# 200 numbers, and two such sums cancel in the gradient.
TOLERANCE = {np.float32: 2e-5, np.float64: 4e-14}
SHAPES = st.one_of(
    st.tuples(st.integers(2, 9), st.integers(1, 4)),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(2, 6), st.integers(1, 6)),
)


def pair(shape: tuple[int, ...], dtype: Any, **options: Any) -> tuple[Any, Any]:
    """A layer of pyrnn and torch's with the same weights."""
    ours = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d)(shape[1], **options, dtype=dtype)
    kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
    theirs = kind(shape[1], **options, dtype=torch.from_numpy(np.zeros(0, dtype)).dtype)
    random = np.random.default_rng(0)
    ours.weight, ours.bias = random.uniform(0.5, 2, shape[1]), random.standard_normal(shape[1])
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in ours.state_dict().items()})
    return ours, theirs


def assert_close(actual: Any, expected: Array, dtype: Any) -> None:
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    atol = TOLERANCE[dtype] * max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def assert_same_step(ours: Any, theirs: Any, x: Array, dy: Array, dtype: Any) -> None:
    """Calls both layers and asserts equal outputs, gradients and states."""
    tensor = torch.tensor(x, requires_grad=True)
    expected = theirs(tensor)
    theirs.zero_grad()
    expected.backward(torch.from_numpy(dy))
    y, _, pullback = ours.vjp(x)
    found = pullback(dy)
    assert_close(y, expected.detach().numpy(), dtype)
    assert_close(found.input, tensor.grad.numpy(), dtype)
    assert list(found.parameters) == ["weight", "bias"]
    for name, parameter in theirs.named_parameters():
        assert_close(found.parameters[name], parameter.grad.numpy(), dtype)
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert_close(state[name], value.numpy(), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum", [0.1, 0.75, None])
@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_training_and_then_evaluation_are_those_of_torch(
    dtype: Any, momentum: float | None, shape: tuple[int, ...], seed: int
) -> None:
    ours, theirs = pair(shape, dtype, eps=1e-3, momentum=momentum)
    random = np.random.default_rng(seed)

    def batch() -> Array:
        return random.normal(0.5, 2, shape).astype(dtype)

    for _ in range(3):
        assert_same_step(ours, theirs, batch(), batch(), dtype)
    for _ in range(2):
        assert_same_step(ours.eval(), theirs.eval(), batch(), batch(), dtype)
    assert int(ours.num_batches_tracked) == 3


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 2)])
def test_gradients_are_those_of_finite_differences(shape: tuple[int, ...], training: bool) -> None:
    ours, _ = pair(shape, np.float64)
    random = np.random.default_rng(1)
    ours.running_mean, ours.running_var = random.standard_normal(3), random.uniform(0.5, 2, 3)
    ours.train(training)
    x, dx, dy = (random.standard_normal(shape) for _ in range(3))
    weight, bias, dweight, dbias = ours.weight, ours.bias, *random.standard_normal((2, 3))
    found = ours.vjp(x)[2](dy)
    expected = np.vdot(found.input, dx) + found.parameters["weight"] @ dweight + found.parameters["bias"] @ dbias

    def loss(step: float) -> float:
        ours.weight, ours.bias = weight + step * dweight, bias + step * dbias
        return float(np.vdot(dy, ours(x + step * dx)))

    step = 1e-5  # the error is some 1e-10 by the third derivative, and 1e-16 / 1e-5 by rounding
    assert (loss(step) - loss(-step)) / (2 * step) == pytest.approx(expected, rel=1e-7)


def test_the_pullback_goes_with_the_mode_and_weights_of_its_call() -> None:
    ours, _ = pair((6, 3), np.float64)
    random = np.random.default_rng(1)
    x, dy = random.standard_normal((2, 6, 3))
    y, _, pullback = ours.vjp(x)
    first = pullback(dy)
    ours.weight, x[...] = np.zeros(3), 0
    ours.eval()
    second = pullback(dy)
    np.testing.assert_array_equal(first.input, second.input)
    np.testing.assert_array_equal(first.parameters["weight"], second.parameters["weight"])
    assert not np.array_equal(ours.vjp(y)[2](dy).input, first.input)


def test_evaluation_and_refused_batches_leave_the_statistics_alone() -> None:
    ours = nn.BatchNorm1d(3)
    before = ours.state_dict()
    with pytest.raises(ValueError, match=r"BatchNorm1d: expected more than one value a channel in training mode, got"):
        ours(np.ones((1, 3), np.float32))
    ours.eval()(np.full((1, 3), 5, np.float32))
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(value, before[name], strict=True)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    x = (1e4 + np.random.default_rng(0).standard_normal((500, 2))).astype(np.float32)
    y = nn.BatchNorm1d(2)(x)
    # Numbers near 1e4 lie 1e-3 apart in float32, so rounding changes the variance of the input by 1e-6 and its mean by
    # 5e-4.
    np.testing.assert_allclose(y.var(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-3)


def test_statistics_are_kept_in_state_dicts_and_pickles() -> None:
    ours = nn.BatchNorm2d(3, eps=1e-3, momentum=None, dtype=np.float64)
    ours(np.random.default_rng(0).standard_normal((4, 3, 2, 2)))
    assert list(ours.parameters()) == ["weight", "bias"]
    again = nn.BatchNorm2d(**json.loads(json.dumps(ours.config())), dtype=np.float64)
    again.load_state_dict(ours.state_dict())
    x = np.random.default_rng(1).standard_normal((4, 3, 2, 2))
    expected = ours.eval()(x)
    np.testing.assert_array_equal(again.eval()(x), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours))(x), expected)
    assert again.num_batches_tracked.dtype == np.int64


@pytest.mark.parametrize(
    ("layer", "shape", "sentence"),
    [
        (nn.BatchNorm1d(3), (4, 2), r"BatchNorm1d: expected input of shape \(batch, 3\), got \(4, 2\)$"),
        (
            nn.BatchNorm1d(3),
            (4, 9, 3),
            r"BatchNorm1d: expected input of shape \(batch, 3, length\), got \(4, 9, 3\); where the",
        ),
        (nn.BatchNorm1d(3), (4, 3, 2, 2), r"BatchNorm1d: expected input of shape \(batch, 3, length\)"),
        (nn.BatchNorm2d(3), (4, 3), r"BatchNorm2d: expected input of shape \(batch, 3, height, width\), got \(4, 3\)"),
        (nn.BatchNorm2d(3, dtype=np.float64), (4, 3, 1, 2), "expected input of dtype float64, got float32"),
    ],
)
def test_wrong_inputs_are_refused(layer: Any, shape: tuple[int, ...], sentence: str) -> None:
    for call in (layer, layer.vjp):
        with pytest.raises(ValueError, match=sentence):
            call(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eps": -1.0}, "^eps should be a number of at least 0, got -1.0"),
        ({"eps": float("nan")}, "^eps should be a number of at least 0, got nan"),
        ({"momentum": 1.5}, "^momentum should be None, or a number from 0 to 1, got 1.5"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        nn.BatchNorm1d(3, **options)  # type: ignore[arg-type]
