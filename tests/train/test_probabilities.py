"""Losses of probabilities have the values and gradients of torch.nn.functional and Keras."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's custom)
from keras_files import KERAS_WARNS, keras
from losses import Array, assert_same, of_torch

from pyrnn.train import bce_loss, categorical_crossentropy, nll_loss

pytestmark = KERAS_WARNS

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = pytest.mark.parametrize("reduction", ["mean", "sum"])
EDGES = np.array([0.0, 1.0, 1e-30, 1e-12, 0.5, 1 - 1e-7, 1e-7, 0.9])


@REDUCTIONS
@DTYPES
def test_bce_is_that_of_torch_up_to_the_edges(dtype: Any, reduction: str) -> None:
    random = np.random.default_rng(0)
    inner = random.uniform(0.01, 0.99, 24)
    for input, target in (
        (inner, random.uniform(0, 1, 24)),
        (inner.reshape(2, 3, 4), random.integers(0, 2, (2, 3, 4)).astype(float)),
        (np.repeat(EDGES, 3), np.tile([0.0, 1.0, 0.3], len(EDGES))),
    ):
        x, t = input.astype(dtype), target.astype(dtype)
        expected = of_torch(F.binary_cross_entropy, x, t, reduction=reduction)
        value, gradient = bce_loss(x, t, reduction=reduction)
        # torch rounds 1 - x and the quotient in the dtype itself, an error of a few units in the last place.
        rounding = 8 * float(np.finfo(dtype).eps)
        assert value == pytest.approx(expected[0], rel=rounding)
        np.testing.assert_allclose(gradient, expected[1], rtol=rounding)


def test_bce_refuses_what_torch_refuses() -> None:
    for input in ([1.5, 0.5], [-0.1, 0.5], [np.inf, 0.5]):
        with pytest.raises(ValueError, match=r"probabilities, between 0 and 1; got numbers from .*bce_with_logits"):
            bce_loss(np.array(input), np.ones(2))
        with pytest.raises(RuntimeError):
            F.binary_cross_entropy(torch.tensor(input), torch.ones(2))


@REDUCTIONS
@pytest.mark.parametrize("weighted", [False, True])
@DTYPES
@pytest.mark.parametrize("shape", [(4,), (6, 4), (6, 4, 3), (2, 4, 3, 2)])
def test_nll_is_that_of_torch(shape: Any, dtype: Any, weighted: bool, reduction: str) -> None:
    random = np.random.default_rng(len(shape))
    input = random.standard_normal(shape).astype(dtype)
    classes, others = (shape[0], ()) if len(shape) == 1 else (shape[1], (shape[0], *shape[2:]))
    weight = random.uniform(0.1, 2, classes).astype(dtype) if weighted else None
    target = random.integers(0, classes, others)
    if others:
        target.flat[0] = -7
    options = {"reduction": reduction, "ignore_index": -7}
    given = None if weight is None else torch.tensor(weight)
    expected = of_torch(F.nll_loss, input, target, weight=given, **options)
    assert_same(nll_loss(input, target, weight=weight, **options), expected, dtype)


def of_keras(name: str, input: Array, target: Array) -> tuple[float, Array]:
    """Computes the value and gradient of the mean over all samples by Keras, which runs on torch here."""
    x = torch.tensor(input, requires_grad=True)
    value = getattr(keras.losses, name)(torch.tensor(target), x).mean()
    value.backward()
    return value.item(), x.grad.numpy()


@DTYPES
def test_categorical_crossentropy_is_that_of_keras(dtype: Any) -> None:
    random = np.random.default_rng(3)
    input = random.uniform(0, 1, (6, 5, 4)).astype(dtype)  # not normalized
    input[0, :, 0] = 0
    input[1, 0] = [1, 0, 0, 0]
    soft = random.uniform(0, 1, (6, 5, 4)).astype(dtype)
    hard = random.integers(0, 4, (6, 5))
    for target in (soft, np.eye(4, dtype=dtype)[hard]):
        expected = of_keras("categorical_crossentropy", input, target)
        assert_same(categorical_crossentropy(input, target), expected, dtype)
    expected = of_keras("sparse_categorical_crossentropy", input, hard)
    for target in (hard, hard[..., None], np.eye(4, dtype=int)[hard], hard.astype(float)):
        assert_same(categorical_crossentropy(input, target), expected, dtype)


@DTYPES
def test_binary_crossentropy_by_epsilon_is_that_of_keras(dtype: Any) -> None:
    input = np.repeat(EDGES, 3).astype(dtype)
    target = np.tile([0.0, 1.0, 0.3], len(EDGES)).astype(dtype)
    value, gradient = of_keras("binary_crossentropy", input, target)
    found = bce_loss(input, target, epsilon=1e-7)
    # Where x is within 1e-7 of 1, 1 - x keeps half of the digits in float64 and one in float32.
    assert found[0] == pytest.approx(value, rel=1e-6)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-6)


def test_categorical_crossentropy_weighs_and_ignores_as_cross_entropy_does() -> None:
    input, weight = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]]), np.array([3.0, 1.0])
    value, gradient = categorical_crossentropy(input, np.array([0, -100, 1]), weight)
    assert value == pytest.approx(-(3 * np.log(0.2) + np.log(0.1)) / 4, rel=1e-15)
    assert not gradient[1].any()


@pytest.mark.parametrize(
    "loss", [bce_loss, categorical_crossentropy, partial(categorical_crossentropy, weight=[1, 2, 3])]
)
def test_gradients_are_those_of_differences(loss: Any) -> None:
    random = np.random.default_rng(0)
    x, t, along = (random.uniform(0.2, 0.8, (5, 3)) for _ in range(3))
    h = 1e-6
    difference = (loss(x + h * along, t)[0] - loss(x - h * along, t)[0]) / (2 * h)
    # The error of a difference is h^2 times third derivatives of order 100, and rounding divided by h.
    assert difference == pytest.approx(float((loss(x, t)[1] * along).sum()), rel=1e-8)


def test_logits_are_refused_where_probabilities_are_expected() -> None:
    with pytest.raises(ValueError, match=r"got numbers from -1 to 2\. .*use cross_entropy"):
        categorical_crossentropy(np.array([[2.0, -1.0]]), np.array([0]))


@pytest.mark.parametrize("loss", [nll_loss, categorical_crossentropy])
def test_class_indices_with_fractions_are_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="takes class indices as integers, got numbers with fractions"):
        loss(np.full((2, 3), 0.5), np.array([0.5, 1.0]))
