"""Convolutions, pools and ChannelsLast have right gradients, are made again from their config, and refuse alike."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from whole_numbers import whole

from pyrnn import nn

LAYERS = [
    nn.Conv1d(4, 6, 3, 2, "same", 1, 2, dtype=np.float64, seed=0),
    nn.Conv1d(4, 2, 2, padding=[(1, 0)], dilation=2, bias=False, dtype=np.float64, seed=0),
    nn.Conv2d(4, 3, (2, 3), (1, 2), (1, 0), (2, 1), dtype=np.float64, seed=0),
    nn.MaxPool1d(3, 2, "same"),
    nn.MaxPool2d((2, 3), padding=1),
    nn.AvgPool1d(3, padding="same"),
    nn.AvgPool2d(2, 1, [(1, 0), (0, 1)], count_include_pad=False),
    nn.GlobalAveragePool2d(),
    nn.GlobalMaxPool2d(),
    nn.ChannelsLast(nn.Conv1d(4, 2, 3, dtype=np.float64, seed=0)),
    nn.ChannelsLast(nn.GlobalAveragePool2d()),
]


def shape_for(layer: Any) -> tuple[int, ...]:
    inner = getattr(layer, "layer", layer)
    shape = (2, 4, 9) if type(inner).__name__.endswith("1d") else (2, 4, 6, 7)
    return (shape[0], *shape[2:], shape[1]) if layer is not inner else shape


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_gradients_are_those_of_finite_differences(layer: Any) -> None:
    random = np.random.default_rng(0)
    x, start = random.standard_normal(shape_for(layer)), layer.state_dict()
    y, _, pullback = layer.vjp(x)
    dy, dx = random.standard_normal(y.shape), random.standard_normal(x.shape)
    directions = {name: random.standard_normal(value.shape) for name, value in start.items()}
    found = pullback(dy)
    expected = np.vdot(found.input, dx) + sum(np.vdot(found.parameters[name], d) for name, d in directions.items())

    def loss(step: float) -> float:
        layer.load_state_dict({name: value + step * directions[name] for name, value in start.items()})
        return float(np.vdot(dy, layer(x + step * dx)))

    step = 1e-5  # these losses are quadratic at most, so a central difference errs by rounding alone, 1e-16 / 1e-5
    slope = (loss(step) - loss(-step)) / (2 * step)
    layer.load_state_dict(start)
    assert slope == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_the_input_may_be_written_into_before_the_pullback(layer: Any) -> None:
    x = whole(0, shape_for(layer))
    y, _, pullback = layer.vjp(x)
    first, x[...] = pullback(np.ones_like(y)), 7
    second = pullback(np.ones_like(y))
    np.testing.assert_array_equal(first.input, second.input)
    assert first.parameters.keys() == layer.parameters().keys() == second.parameters.keys()
    for name, gradient in first.parameters.items():
        np.testing.assert_array_equal(gradient, second.parameters[name])


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if not isinstance(layer, nn.ChannelsLast)], ids=repr)
def test_a_layer_is_made_again_from_its_config(layer: Any) -> None:
    assert layer.ends_mask
    config = json.loads(json.dumps(layer.config()))
    twin = type(layer)(**config, **({"dtype": np.float64} if "in_channels" in config else {}))
    twin.load_state_dict(layer.state_dict())
    assert twin.config() == layer.config()
    x = whole(0, shape_for(layer))
    np.testing.assert_array_equal(twin(x), layer(x))


@pytest.mark.parametrize(
    "inner", [nn.Conv1d(3, 4, 2, seed=0), nn.Conv2d(3, 4, 2, seed=0), nn.MaxPool2d(2), nn.BatchNorm1d(3)]
)
def test_channels_last_gives_the_layers_results_with_axes_moved(inner: Any) -> None:
    layer = nn.ChannelsLast(inner)
    shape = (5, 6, 7, 3) if type(inner).__name__.endswith("2d") else (5, 6, 3)
    x = whole(0, shape, np.float32)
    first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    y, _, pullback = layer.vjp(x)
    expected, _, expected_pullback = inner.vjp(first)
    np.testing.assert_array_equal(y, np.moveaxis(expected, 1, -1), strict=True)
    dy = whole(1, y.shape, np.float32)
    found, wanted = pullback(dy), expected_pullback(np.moveaxis(dy, -1, 1))
    np.testing.assert_array_equal(found.input, np.moveaxis(wanted.input, 1, -1), strict=True)
    assert {name.removeprefix("layer."): g.tolist() for name, g in found.parameters.items()} == {
        name: g.tolist() for name, g in wanted.parameters.items()
    }
    assert y.flags.c_contiguous
    assert layer.ends_mask == (not isinstance(inner, nn.BatchNorm1d))
    assert layer.config() == {"layer": {"type": type(inner).__name__, "config": inner.config()}}


CONSTRUCTED = {
    "groups should divide in_channels and out_channels, got 2 for 3 and 4": lambda: nn.Conv1d(3, 4, 2, groups=2),
    "kernel_size must be greater than zero, got 0": lambda: nn.Conv2d(3, 4, (2, 0)),
    "kernel_size should be one number or 2, got": lambda: nn.Conv2d(3, 4, (2, 2, 2)),
    'padding should be "same", "valid" or numbers, got \'full\'': lambda: nn.Conv1d(3, 4, 2, padding="full"),
    "a number that is not negative, or a list of 1 such numbers or pairs": lambda: nn.Conv1d(3, 4, 2, padding=-1),
    "or pairs of them, got \\[\\(1, 2, 3\\)\\]": lambda: nn.Conv1d(3, 4, 2, padding=[(1, 2, 3)]),
    "padding should be less than kernel_size, got 2 for 2": lambda: nn.MaxPool2d(2, padding=2),
    "dtype should be float32 or float64, got float16": lambda: nn.Conv1d(3, 4, 2, dtype=np.float16),
}


@pytest.mark.parametrize("sentence", CONSTRUCTED)
def test_wrong_options_are_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CONSTRUCTED[sentence]()


CALLED = {
    r"Conv1d: expected input of shape \(batch, 3, length\), got \(2, 9, 3\); where the channels come last, wrap": (
        nn.Conv1d(3, 4, 2),
        np.zeros((2, 9, 3), np.float32),
    ),
    r"Conv2d: expected input of shape \(batch, 3, height, width\), got \(3, 9, 9\); a single sample needs a batch": (
        nn.Conv2d(3, 4, 2),
        np.zeros((3, 9, 9), np.float32),
    ),
    r"MaxPool1d: expected input of shape \(batch, channels, length\), got \(2, 3\)": (
        nn.MaxPool1d(2),
        np.zeros((2, 3)),
    ),
    "Conv1d: expected input of dtype float32, got float64": (nn.Conv1d(3, 4, 2), np.zeros((2, 3, 9))),
    r"dilation \(2,\) covers \(5,\), which is larger than the input of \(2,\) padded to \(4,\)": (
        nn.Conv1d(3, 4, 3, padding=1, dilation=2),
        np.zeros((2, 3, 2), np.float32),
    ),
    r"covers \(2, 2\), which is larger than the input of \(5, 1\)": (nn.AvgPool2d(2), np.zeros((2, 3, 5, 1))),
    r"larger than the input of \(0,\)": (nn.MaxPool1d(2, padding="same"), np.zeros((2, 3, 0))),
    "an image without pixels has no value": (nn.GlobalMaxPool2d(), np.zeros((2, 3, 0, 4))),
    r"ChannelsLast: expected input of shape \(batch, \*, channels\), got \(3,\)": (
        nn.ChannelsLast(nn.MaxPool1d(2)),
        np.zeros(3),
    ),
}


@pytest.mark.parametrize("sentence", CALLED)
def test_wrong_inputs_are_refused(sentence: str) -> None:
    layer, x = CALLED[sentence]
    for call in (layer, layer.vjp):
        with pytest.raises(ValueError, match=sentence):
            call(x)


def test_wrong_types_are_refused() -> None:
    with pytest.raises(TypeError, match="Conv1d: input should be a NumPy array, got list"):
        nn.Conv1d(3, 4, 2)([1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bias should be of type bool, got: int"):
        nn.Conv1d(3, 4, 2, bias=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="layer should be a pyrnn module, got int"):
        nn.ChannelsLast(3)  # type: ignore[arg-type]
    y, _, pullback = nn.MaxPool1d(2).vjp(np.zeros((2, 3, 9)))
    with pytest.raises(
        ValueError, match=r"grad_output should be an array of the output's shape and dtype, \(2, 3, 4\)"
    ):
        pullback(y[:1])
