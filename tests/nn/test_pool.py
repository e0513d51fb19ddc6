"""Max and average pools are those of torch on whole numbers, with ties and NaN; "same" padding is that of Keras."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")

import hypothesis.strategies as st
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's custom)
from hypothesis import given, settings
from torch_windows import torch_gradients, torch_padded
from whole_numbers import DIMS, DTYPES, SEEDS, assert_equal, geometries, gradients, keras_pads, whole

from pyrnn import nn

MAX_POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
AVG_POOLS = {1: nn.AvgPool1d, 2: nn.AvgPool2d}


@DIMS
@DTYPES
@pytest.mark.parametrize("padding", ["valid", "same", "numbers"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_max_pools_are_those_of_torch(dims: int, dtype: Any, padding: str, data: st.DataObject) -> None:
    g, seed = data.draw(geometries(dims, dilated=False)), data.draw(SEEDS)
    kernel, stride, lengths = g["kernel_size"], g["stride"], g["lengths"]
    numbers = [data.draw(st.integers(0, k // 2)) for k in kernel]
    asked, pads = {
        "valid": ("valid", [(0, 0)] * dims),
        "same": ("same", keras_pads(lengths, kernel, stride, [1] * dims)),
        "numbers": (numbers, [(n, n) for n in numbers]),
    }[padding]
    function = {1: F.max_pool1d, 2: F.max_pool2d}[dims]
    x = whole(seed, (1 + g["batch"], 3, *lengths), dtype)  # torch refuses a batch of none; ties are many
    theirs = torch_gradients(lambda x: function(torch_padded(x, pads, -np.inf), kernel, stride), x, {}, seed)
    assert_equal(gradients(MAX_POOLS[dims](kernel, stride, asked), x, seed), theirs)


@DIMS
@DTYPES
@pytest.mark.parametrize("count_include_pad", [True, False])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_average_pools_are_those_of_torch(dims: int, dtype: Any, count_include_pad: bool, data: st.DataObject) -> None:
    g, seed = data.draw(geometries(dims, dilated=False)), data.draw(SEEDS)
    kernel, stride = g["kernel_size"], g["stride"]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    function = {1: F.avg_pool1d, 2: F.avg_pool2d}[dims]
    x = whole(seed, (1 + g["batch"], 3, *g["lengths"]), dtype)
    theirs = torch_gradients(
        lambda x: function(x, kernel, stride, padding, count_include_pad=count_include_pad), x, {}, seed
    )
    y, dx, _ = gradients(AVG_POOLS[dims](kernel, stride, padding, count_include_pad=count_include_pad), x, seed)
    np.testing.assert_array_equal(y, theirs[0], strict=True)
    # A gradient adds up to sixteen shares of at most 4, in another order.
    np.testing.assert_allclose(dx, theirs[1], rtol=0, atol=64 * np.finfo(dtype).eps, strict=True)


@DIMS
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_averages_leave_the_padding_of_same_out(dims: int, data: st.DataObject) -> None:
    g, seed = data.draw(geometries(dims, dilated=False)), data.draw(SEEDS)
    kernel, stride, lengths = g["kernel_size"], g["stride"], g["lengths"]
    layer, x = AVG_POOLS[dims](kernel, stride, "same"), whole(seed, (1 + g["batch"], 2, *lengths))
    pads = keras_pads(lengths, kernel, stride, [1] * dims)
    wide = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=np.nan)
    counts = [(n + sum(p) - k) // s + 1 for n, p, k, s in zip(lengths, pads, kernel, stride, strict=True)]
    y, _, pullback = layer.vjp(x)
    assert y.shape[2:] == tuple(-(-n // s) for n, s in zip(lengths, stride, strict=True))
    for place in itertools.product(*map(range, counts)):
        window = wide[(..., *(slice(i * s, i * s + k) for i, s, k in zip(place, stride, kernel, strict=True)))]
        # A mean of at most sixteen whole numbers rounds once, in the division.
        np.testing.assert_array_equal(y[(..., *place)], np.nanmean(window, axis=tuple(range(2, 2 + dims))))
    # The layer is linear, so <dy, A x> = <A' dy, x>; the sums have at most a few hundred terms of at most 16.
    dy = whole(seed, y.shape)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(pullback(dy).input, x), rel=0, abs=1e-10)


@DIMS
def test_a_maximum_with_nan_is_nan_as_in_torch(dims: int) -> None:
    x = np.zeros((1, 1, *(5, 4)[:dims]), np.float32)
    x.reshape(-1)[1] = np.nan
    tensor = torch.tensor(x, requires_grad=True)
    expected = {1: F.max_pool1d, 2: F.max_pool2d}[dims](tensor, 2)
    expected.backward(torch.ones_like(expected))
    y, _, pullback = MAX_POOLS[dims](2).vjp(x)
    np.testing.assert_array_equal(y, expected.detach().numpy(), strict=True)
    np.testing.assert_array_equal(pullback(np.ones_like(y)).input, tensor.grad.numpy(), strict=True)


@pytest.mark.parametrize(
    ("layer", "function"),
    [(nn.GlobalAveragePool2d(), F.adaptive_avg_pool2d), (nn.GlobalMaxPool2d(), F.adaptive_max_pool2d)],
)
def test_global_pools_are_those_of_torch(layer: Any, function: Any) -> None:
    x = whole(0, (3, 4, 4, 8), np.float32)  # 32 pixels: the average of whole numbers is exact
    assert_equal(gradients(layer, x, 1), torch_gradients(lambda x: function(x, 1)[:, :, 0, 0], x, {}, 1))
