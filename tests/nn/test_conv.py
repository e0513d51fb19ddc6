"""Conv1d and Conv2d have torch's bits on whole numbers, and the "same" padding of Keras and torch."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

pytest.importorskip("torch")

import hypothesis.strategies as st
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's custom)
from hypothesis import given, settings
from torch_windows import torch_gradients, torch_padded
from whole_numbers import (
    DIMS,
    DTYPES,
    SEEDS,
    assert_equal,
    geometries,
    gradients,
    keras_pads,
    whole,
    with_whole_weights,
)

from pyrnn import nn
from pyrnn.nn import conv

CONVS = {1: nn.Conv1d, 2: nn.Conv2d}


@st.composite
def convolutions(draw: st.DrawFn, dims: int) -> dict[str, Any]:
    groups = draw(st.integers(1, 3))
    return {
        **draw(geometries(dims)),
        "in_channels": groups * draw(st.integers(1, 3)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "groups": groups,
        "bias": draw(st.booleans()),
        "seed": draw(SEEDS),
    }


def conv_of_torch(dims: int, c: dict[str, Any], pads: list[tuple[int, int]]) -> Any:
    function = {1: F.conv1d, 2: F.conv2d}[dims]

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        return function(torch_padded(x, pads), weight, bias, c["stride"], 0, c["dilation"], c["groups"])

    return run


@DIMS
@DTYPES
@pytest.mark.parametrize("padding", ["valid", "same", "numbers", "pairs"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_convolutions_are_those_of_torch(dims: int, dtype: Any, padding: str, data: st.DataObject) -> None:
    c = data.draw(convolutions(dims))
    lengths, batch, seed = c.pop("lengths"), c.pop("batch"), c["seed"]
    pairs = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in range(dims)]
    asked, pads = {
        "valid": ("valid", [(0, 0)] * dims),
        "same": ("same", keras_pads(lengths, c["kernel_size"], c["stride"], c["dilation"])),
        "numbers": ([before for before, _ in pairs], [(before, before) for before, _ in pairs]),
        "pairs": (pairs, pairs),
    }[padding]
    layer = with_whole_weights(CONVS[dims](**c, padding=asked, dtype=dtype), seed)
    x = whole(seed + 1, (batch, c["in_channels"], *lengths), dtype)
    theirs = torch_gradients(conv_of_torch(dims, c, pads), x, layer.parameters(), seed)
    assert_equal(gradients(layer, x, seed), theirs)


@DIMS
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")  # torch copies x
def test_same_padding_is_also_that_of_torch(dims: int, kernel_size: int, dilation: int) -> None:
    options = {"kernel_size": kernel_size, "padding": "same", "dilation": dilation}
    twin = {1: torch.nn.Conv1d, 2: torch.nn.Conv2d}[dims](2, 3, **options, dtype=torch.float64)
    layer = with_whole_weights(CONVS[dims](2, 3, **options, dtype=np.float64), 0)
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    x = whole(1, (2, 2, *(9, 10)[:dims]))
    with torch.no_grad():
        expected = twin(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(layer(x), expected, strict=True)


# Five samples of six lines each are cut into blocks of less than a line, two lines, one sample, and two samples.
@pytest.mark.parametrize(("lines", "blocks"), [(0, 30), (2, 15), (6, 5), (13, 3)])
@DIMS
def test_the_size_of_a_block_changes_nothing(
    dims: int, lines: int, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = with_whole_weights(CONVS[dims](4, 6, 3, stride=2, padding=1, groups=2), 0)
    x = whole(1, (5, 4, *(11, 8)[:dims]), np.float32)
    expected = gradients(layer, x, 2)
    line_bytes = 4 * 4 * 3**dims * (1, 4)[dims - 1]  # bytes of float32 * channels * kernel * windows in a line
    monkeypatch.setattr(conv, "BLOCK_BYTES", lines * line_bytes)
    assert len(list(layer._blocks(layer._windows.padded(x)))) == blocks
    assert_equal(gradients(layer, x, 2), expected)


def test_a_convolution_never_holds_all_windows_in_memory() -> None:
    layer, x = nn.Conv1d(4, 4, 64, seed=0), np.ones((1, 4, 50000), np.float32)
    tracemalloc.start()
    y, _, pullback = layer.vjp(x)
    pullback(y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All windows would take 64 times the input; these calls take a few arrays of its size, and two blocks in backward.
    assert x.nbytes < peak < 6 * x.nbytes + 3 * conv.BLOCK_BYTES < 64 * x.nbytes / 4


def test_initial_weights_are_those_of_torch() -> None:
    layer = nn.Conv2d(6, 300, (2, 4), groups=2, seed=0)
    bound = 1 / np.sqrt(6 / 2 * 2 * 4)
    for value in layer.parameters().values():
        assert np.abs(value).max() <= bound
        assert np.abs(value).max() > 0.95 * bound
    twin = nn.Conv2d(6, 300, (2, 4), groups=2, seed=0)
    np.testing.assert_array_equal(twin.weight, layer.weight)


def test_an_output_has_the_bits_of_a_linear_layer_on_its_window() -> None:
    """The order of the sum shows in the bits: bias, then the places of the kernel, and at each place the channels."""
    layer = nn.Conv1d(3, 5, 4, dilation=2, seed=0)
    linear = nn.Linear(12, 5)
    linear.weight = layer.weight.swapaxes(1, 2).reshape(5, 12)
    linear.bias = layer.bias
    x = np.random.default_rng(0).standard_normal((2, 3, 20), np.float32)
    windows = np.stack([x[:, :, t : t + 7 : 2].swapaxes(1, 2).reshape(2, 12) for t in range(14)], axis=1)
    np.testing.assert_array_equal(layer(x), linear(windows).swapaxes(1, 2))
