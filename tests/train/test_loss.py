"""Losses and their gradients are those of torch.nn.functional, or of the equation where torch has no such loss."""

from __future__ import annotations

import functools
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's custom)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from losses import Array, assert_same, of_torch

from pyrnn.train import bce_with_logits, cross_entropy, huber_loss, l1_loss, mse_loss

ELEMENTWISE = {
    "mse_loss": (mse_loss, F.mse_loss),
    "l1_loss": (l1_loss, F.l1_loss),
    "huber_loss": (huber_loss, F.huber_loss),
    "huber_loss-delta": tuple(functools.partial(loss, delta=0.3) for loss in (huber_loss, F.huber_loss)),
    "bce_with_logits": (bce_with_logits, F.binary_cross_entropy_with_logits),
}
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
NUMBERS = st.floats(-50, 50, width=32)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_elementwise_losses_are_those_of_torch(
    name: str, dtype: Any, reduction: str, data: st.DataObject, shape: tuple[int, ...]
) -> None:
    ours, theirs = ELEMENTWISE[name]
    input = data.draw(hnp.arrays(dtype, shape, elements=NUMBERS))
    wanted = st.floats(0, 1, width=32) if name == "bce_with_logits" else NUMBERS
    target = data.draw(hnp.arrays(dtype, shape, elements=wanted))
    expected = of_torch(theirs, input, target, reduction=reduction)
    # bce subtracts x t from x, in each of its terms.
    cancelling = float(np.abs(input).sum() if reduction == "sum" else np.abs(input).mean())
    assert_same(ours(input, target, reduction=reduction), expected, dtype, cancelling)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4,), (6, 4), (6, 4, 3), (2, 4, 3, 2), (5, 1)])
def test_cross_entropy_is_that_of_torch(shape: Any, dtype: Any, weighted: bool, reduction: str) -> None:
    random = np.random.default_rng(len(shape))
    input = (5 * random.standard_normal(shape)).astype(dtype)
    classes, others = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    weight = random.uniform(0.1, 2, classes).astype(dtype) if weighted else None
    options = {"weight": None if weight is None else torch.tensor(weight), "reduction": reduction}

    indices = random.integers(0, classes, others)
    expected = of_torch(F.cross_entropy, input, indices, **options)
    assert_same(cross_entropy(input, indices, weight=weight, reduction=reduction), expected, dtype)

    if others:
        indices.flat[0] = -7
        expected = of_torch(F.cross_entropy, input, indices, ignore_index=-7, **options)
        found = cross_entropy(input, indices, weight=weight, ignore_index=-7, reduction=reduction)
        assert_same(found, expected, dtype)

    raw = random.uniform(0, 1, shape)
    probabilities = (raw / raw.sum(axis=min(1, len(shape) - 1), keepdims=True)).astype(dtype)
    expected = of_torch(F.cross_entropy, input, probabilities, **options)
    assert_same(cross_entropy(input, probabilities, weight=weight, reduction=reduction), expected, dtype)


def test_classes_may_be_last() -> None:
    """An output [T,B,C] may have targets [T,B]; torch would need it transposed."""
    random = np.random.default_rng(0)
    input, target = random.standard_normal((5, 3, 4)), random.integers(0, 4, (5, 3))
    value, gradient = of_torch(F.cross_entropy, input.transpose(0, 2, 1), target)
    assert_same(cross_entropy(input, target, dim=-1), (value, gradient.transpose(0, 2, 1)), np.float64)


def test_all_ignored_is_nan_with_no_gradient_as_in_torch() -> None:
    input, target = np.ones((2, 3)), np.full(2, -100)
    value, gradient = cross_entropy(input, target)
    expected, slope = of_torch(F.cross_entropy, input, target)
    assert np.isnan([value, expected]).all()
    np.testing.assert_array_equal(gradient, slope)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_neither_overflow_nor_vanish(dtype: Any) -> None:
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype)
    value, gradient = cross_entropy(logits, np.array([0, 0]), reduction="sum")
    assert value == 2e4
    np.testing.assert_array_equal(gradient, np.array([[0, 0, 0], [-1, 1, 0]], dtype))
    value, gradient = bce_with_logits(logits, np.ones_like(logits), reduction="sum")
    assert value == pytest.approx(2e4 + 2 * np.log(2), rel=1e-15)
    np.testing.assert_array_equal(gradient, np.array([[0, -1, -0.5], [-1, 0, -0.5]], dtype))


def test_a_class_ruled_out_by_minus_infinity_costs_nothing() -> None:
    logits = np.array([[0.0, -np.inf, 0.0]])
    value, gradient = cross_entropy(logits, np.array([2]))
    assert value == pytest.approx(np.log(2), rel=1e-15)
    np.testing.assert_allclose(gradient, [[0.5, 0, -0.5]], rtol=1e-15)


@pytest.mark.parametrize("loss", [mse_loss, l1_loss, huber_loss, bce_with_logits])
def test_an_overflow_gives_a_value_that_is_not_finite_and_no_warning(loss: Any) -> None:
    value, _ = loss(np.array([np.inf, 1e308]), np.array([np.inf, -1e308]))
    assert not np.isfinite(value)


def test_sums_are_taken_in_double_precision() -> None:
    """Adding 0.1^2 a million times one by one in float32 would be wrong in the fourth digit."""
    value, _ = mse_loss(np.full(1_000_000, 0.1, np.float32), np.zeros(1_000_000, np.float32), reduction="sum")
    assert value == pytest.approx(float(np.float32(0.1)) ** 2 * 1e6, rel=1e-12)


@pytest.mark.parametrize("loss", [mse_loss, l1_loss, huber_loss, bce_with_logits])
@pytest.mark.parametrize(
    ("input", "target", "error", "words"),
    [
        (np.ones((3, 1)), np.ones(3), ValueError, r"\(3, 1\) and target \(3,\): they are not broadcast"),
        (np.ones(3), 1.0, ValueError, r"target \(\): they are not broadcast"),
        (np.ones((0, 3)), np.ones((0, 3)), ValueError, r"with elements, got shape \(0, 3\)"),
        (np.ones(3, int), np.ones(3), TypeError, "floating-point input, got int64"),
        (np.ones(3), np.array(["a", "b", "c"]), TypeError, "target should be numbers, got text such as 'a'"),
    ],
    ids=["column", "scalar", "empty", "integers", "words"],
)
def test_targets_that_do_not_fit_are_refused(loss: Any, input: Any, target: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        loss(input, target)


@pytest.mark.parametrize(
    ("shape", "target", "options", "error", "words"),
    [
        ((5, 3, 4), np.zeros((5, 3), int), {}, ValueError, r"target of shape \(5, 4\).*got \(5, 3\).*dim=-1"),
        ((2, 3), np.zeros((2, 2)), {}, ValueError, "not broadcast"),
        ((2, 3), np.array([0, 3]), {}, IndexError, "Target 3 is out of bounds: the classes are 0 to 2"),
        ((2, 3), np.array([0, -1]), {}, IndexError, "Target -1 is out of bounds"),
        ((2, 3), np.array([0, 1]), {"weight": np.ones(2)}, ValueError, r"weight should have shape \(3,\)"),
        ((2, 3), np.array([0, 1]), {"dim": 2}, ValueError, "classes at dim 2"),
    ],
)
def test_cross_entropy_refuses_targets_that_do_not_fit(
    shape: Any, target: Array, options: Any, error: Any, words: str
) -> None:
    with pytest.raises(error, match=words):
        cross_entropy(np.zeros(shape), target, **options)


@pytest.mark.parametrize("loss", [mse_loss, l1_loss, huber_loss, bce_with_logits, cross_entropy])
def test_an_unknown_reduction_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="reduction should be"):
        loss(np.ones((2, 2)), np.ones((2, 2)), reduction="none")


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_huber_refuses_a_delta_that_is_not_positive(delta: float) -> None:
    with pytest.raises(ValueError, match="non-positive values for delta"):
        huber_loss(np.ones(2), np.ones(2), delta=delta)
