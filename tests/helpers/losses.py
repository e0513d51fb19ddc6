"""Losses of torch, and the comparison with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
# The tolerance of a value is relative to it and to the terms that cancel in it, that of a gradient to the largest.
# torch sums up to a hundred numbers in the dtype itself, and its exp and log err by a few units in the last place.
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-14}


def of_torch(loss: Any, input: Array, target: Array, **options: Any) -> tuple[float, Array]:
    tensor = torch.tensor(input, requires_grad=True)
    value = loss(tensor, torch.tensor(target), **options)
    value.backward()
    return value.item(), tensor.grad.numpy()


def assert_same(ours: tuple[float, Array], theirs: tuple[float, Array], dtype: Any, cancelling: float = 1.0) -> None:
    tolerance = TOLERANCE[dtype]
    assert type(ours[0]) is float
    assert (ours[1].dtype, ours[1].shape) == (dtype, theirs[1].shape)
    assert ours[0] == pytest.approx(theirs[0], rel=tolerance, abs=tolerance * max(1.0, cancelling))
    scale = max(1.0, float(np.abs(theirs[1]).max()))
    np.testing.assert_allclose(ours[1], theirs[1], rtol=0, atol=tolerance * scale)
