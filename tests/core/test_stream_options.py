"""A stream keeps its layer's options, may write its output over its input, and can be copied."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pyrnn

CELLS = (pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU)


def draw(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def same_arrays(got: Any, expected: Any) -> bool:
    pairs = zip(got, expected, strict=True) if isinstance(got, tuple) else [(got, expected)]
    return all(np.array_equal(a, b) for a, b in pairs)


# -- masked_output -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("format", [None, "int8", "bf16"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_shows_masked_steps_as_its_layer_does(cell: Any, format: str | None, batch_first: bool) -> None:
    layer = cell(3, 4, num_layers=2, batch_first=batch_first, masked_output="hold", seed=0)
    layer = layer.quantize(format) if format else layer
    x, mask = draw(5, 2, 3), np.array([[1, 1], [1, 0], [0, 1], [0, 0], [1, 1]], bool)
    turned = (x.swapaxes(0, 1), mask.T) if batch_first else (x, mask)
    right, _ = layer(turned[0], mask=turned[1])
    assert same_arrays(layer.stream(2).run(turned[0], mask=turned[1]), right)
    stream = layer.stream(2).clone()
    steps = np.stack([stream.step(x_t, active=active) for x_t, active in zip(x, mask, strict=True)])
    assert same_arrays(steps.swapaxes(0, 1) if batch_first else steps, right)
    assert not layer.stream(2).step(x[0], active=mask[3], masked_output="zero").any()


# -- out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 17])
@pytest.mark.parametrize("hidden_size", [1, 17, 64, 130])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("cell", CELLS)
def test_a_step_may_write_its_output_over_its_input(cell: Any, dtype: Any, hidden_size: int, batch: int) -> None:
    layer = cell(hidden_size, hidden_size, num_layers=2, dtype=dtype, seed=0)
    x = draw(batch, hidden_size, dtype=dtype)
    expected, stream = layer.stream(batch), layer.stream(batch)
    for _ in range(3):
        right, out = expected.step(x), x.copy()
        assert stream.step(out, out=out) is out
        assert same_arrays(out, right)
        assert same_arrays(stream.state, expected.state)


@pytest.mark.parametrize("shift", range(-40, 41, 8))
def test_input_and_output_may_overlap_in_part(shift: int) -> None:
    gru, size = pyrnn.GRU(30, 40, seed=0), 2 * 40
    memory = draw(3 * size)
    x, out = memory[size : size + 60].reshape(2, 30), memory[size + shift : 2 * size + shift].reshape(2, 40)
    right = gru.stream(2).step(x.copy())
    assert same_arrays(gru.stream(2).step(x, out=out), right)


def test_a_strided_or_reversed_input_may_overlap_the_output() -> None:
    gru = pyrnn.GRU(8, 16, seed=0)
    for view in (np.s_[::2], np.s_[::-2], np.s_[15:7:-1]):
        memory = draw(4, 16)
        right = gru.stream(4).step(memory[:, view].copy())
        assert same_arrays(gru.stream(4).step(memory[:, view], out=memory), right)


def test_flags_may_lie_in_the_output() -> None:
    gru, out = pyrnn.GRU(3, 4, seed=0), np.zeros((4, 4), np.float32)
    active = out.view(bool).reshape(-1)[:4]
    active[:] = [True, False, True, True]
    right = gru.stream(4).step(draw(4, 3), active=active.copy())
    assert same_arrays(gru.stream(4).step(draw(4, 3), out=out, active=active), right)


@pytest.mark.torch
@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_tensor_may_be_written_over(cell: str) -> None:
    import torch

    import pyrnn.torch

    layer, x = getattr(pyrnn.torch, cell)(64, 64), torch.from_numpy(draw(2, 64))
    right, out = layer.stream(2).step(x), x.clone()
    layer.stream(2).step(out, out=out)
    assert torch.equal(out, right)


# -- copies ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda stream: stream.clone()])
@pytest.mark.parametrize("layer", [pyrnn.LSTM(3, 4, seed=0), pyrnn.GRU(3, 4, seed=0).quantize("int8")])
def test_a_copy_of_a_stream_has_a_state_of_its_own(layer: Any, copied: Any) -> None:
    stream = layer.stream(2)
    stream.step(draw(2, 3))
    before = copy.deepcopy(stream.state)
    twin = copied(stream)
    assert same_arrays(twin.state, before)
    twin.step(draw(2, 3))
    assert same_arrays(stream.state, before)
    assert not same_arrays(twin.state, before)


def test_a_stream_cannot_be_pickled_and_says_what_can() -> None:
    with pytest.raises(TypeError, match=r"a stream cannot be pickled; keep its layer and its state"):
        pickle.dumps(pyrnn.GRU(3, 4).stream())
