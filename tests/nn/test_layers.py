"""Every layer of pyrnn.nn has the gradients of finite differences, and can be described, made again and copied."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import numpy as np
import pytest
from nn_samples import SAMPLES, Array, draws, pair

import pyrnn
from pyrnn import nn
from pyrnn.nn.activations import BACKWARD

LAYERS = pytest.mark.parametrize("name", SAMPLES)


def output(layer: Any, x: Array, **options: Any) -> Array:
    result = layer(x, **options)
    return result[0] if isinstance(result, tuple) else result


def recorded(layer: Any, x: Array, **options: Any) -> tuple[Array, Any]:
    y, *_, pullback = layer.vjp(x, **options)
    return y, pullback


def assert_gradients(make: Any, x: Array, **options: Any) -> None:
    """Compares the derivative along one random direction of input and weights with a central difference.

    Each call makes a new layer, so that dropout draws the same masks and running statistics start alike.
    """
    random = np.random.default_rng(5)
    y, pullback = recorded(make(), x, **options)
    dy = random.normal(size=y.shape)
    found = pullback(dy)
    weights = make().parameters()
    assert found.parameters.keys() == weights.keys()
    along = {name: random.normal(size=value.shape) for name, value in weights.items()}
    expected = sum(float((found.parameters[name] * along[name]).sum()) for name in weights)
    along_x = np.zeros(x.shape)
    if x.dtype.kind == "f":
        assert found.input.shape == x.shape
        along_x = random.normal(size=x.shape)
        expected += float((found.input * along_x).sum())
    else:
        assert found.input is None

    def loss(step: float) -> float:
        layer = make()
        layer.load_state_dict({name: weights[name] + step * along[name] for name in weights}, strict=False)
        return float((output(layer, x + step * along_x if along_x.any() else x, **options) * dy).sum())

    h = 1e-5
    difference = (loss(h) - loss(-h)) / (2 * h)
    # The error of a difference is h^2 times third derivatives of order 10, and rounding of 1e-15 * 100 / 1e-5.
    assert difference == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert abs(expected) > 1e-3


def test_there_is_a_sample_of_every_layer() -> None:
    cells_and_quantized = {"RNNCell", "LSTMCell", "GRUCell", "Quantized", "QuantizedSequential"}
    assert SAMPLES.keys() == nn.LAYERS.keys() - cells_and_quantized


@LAYERS
def test_gradients_of_every_layer_are_those_of_differences(name: str) -> None:
    make, x = SAMPLES[name][0], SAMPLES[name][1]()
    if name == "Embedding":  # without a padding row, which has no gradient though differences would find one
        make = lambda: nn.Embedding(6, 3, dtype=np.float64, seed=1)  # noqa: E731
    assert_gradients(make, x)


@pytest.mark.parametrize("name", BACKWARD)
def test_gradients_of_activations_are_those_of_differences(name: str) -> None:
    assert_gradients(lambda: nn.Activation(name), 2 * draws(4, 5))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
@pytest.mark.parametrize("return_sequences", [True, False])
def test_gradients_of_merging_are_those_of_differences(merge_mode: str, return_sequences: bool) -> None:
    mask = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], bool)
    make = lambda: pair(merge_mode=merge_mode, return_sequences=return_sequences)  # noqa: E731
    assert_gradients(make, draws(2, 5, 3), mask=mask)


@pytest.mark.parametrize("layer", [nn.LastStep, nn.GlobalAveragePool1d, nn.GlobalMaxPool1d])
@pytest.mark.parametrize("batch_first", [True, False])
def test_gradients_of_heads_with_a_mask_are_those_of_differences(layer: Any, batch_first: bool) -> None:
    mask = np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
    x = draws(2, 5, 3)
    if not batch_first:
        x, mask = x.swapaxes(0, 1), mask.T
    assert_gradients(lambda: layer(batch_first=batch_first), x, mask=mask)


@LAYERS
def test_a_call_gives_what_vjp_gives(name: str) -> None:
    make, x = SAMPLES[name][0], SAMPLES[name][1]()
    y, _ = recorded(make(), x)
    np.testing.assert_array_equal(output(make(), x), y)


@LAYERS
def test_the_pullback_does_not_see_later_changes_of_the_input(name: str) -> None:
    make, x = SAMPLES[name][0], SAMPLES[name][1]()
    y, pullback = recorded(make(), x)
    before = pullback(np.ones_like(y))
    x[...] = 0
    after = pullback(np.ones_like(y))
    np.testing.assert_equal(after.input, before.input)
    np.testing.assert_equal(after.parameters, before.parameters)


@LAYERS
def test_a_description_is_json_and_makes_the_layer_again(name: str) -> None:
    layer = SAMPLES[name][0]()
    description = nn.describe(layer)
    assert description["type"] == name
    twin = nn.build(json.loads(json.dumps(description)))
    assert nn.describe(twin) == description
    assert repr(twin) == repr(layer)
    assert [v.shape for v in twin.state_dict().values()] == [v.shape for v in layer.state_dict().values()]


@LAYERS
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_equal_and_independent(name: str, copied: Any) -> None:
    layer, x = SAMPLES[name][0](), SAMPLES[name][1]()
    twin = copied(layer)
    assert twin.config() == layer.config()
    np.testing.assert_equal(twin.state_dict(), layer.state_dict())
    np.testing.assert_array_equal(output(twin, x), output(layer, x))
    if layer.parameters():
        twin.load_state_dict({key: value + 1 for key, value in twin.state_dict().items()})
        assert all((twin.state_dict()[key] != value).all() for key, value in layer.state_dict().items())


@LAYERS
def test_float32_stays_float32(name: str) -> None:
    x = SAMPLES[name][1]()
    layer = nn.build(nn.describe(SAMPLES[name][0]()))
    x = x.astype(np.float32) if x.dtype.kind == "f" else x
    y, pullback = recorded(layer, x)
    found = pullback(np.ones_like(y))
    got = [y, *found.parameters.values(), *([] if found.input is None else [found.input])]
    assert {array.dtype for array in got} == {np.dtype(np.float32)}


def test_a_column_of_gradients_needs_the_output_s_shape() -> None:
    _, _, pullback = nn.ReLU().vjp(draws(2, 3))
    with pytest.raises(ValueError, match=r"of the output's shape and dtype, \(2, 3\) of float64, got \(3, 2\)"):
        pullback(draws(3, 2))


LSTM = pyrnn.LSTM(3, 4, seed=0)
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "list": (lambda: nn.ReLU()([1.0]), TypeError, "ReLU: input should be a NumPy array, got list"),
    "integers": (lambda: nn.Tanh()(np.arange(3)), TypeError, "of float32 or float64, got dtype int64"),
    "words as floats": (lambda: nn.Embedding(5, 2)(np.ones(3)), TypeError, "should hold integers, got dtype float64"),
    "unknown word": (lambda: nn.Embedding(5, 2)(np.array([5])), IndexError, "from 0 to 4 .* got 5"),
    "negative word": (lambda: nn.Embedding(5, 2)(np.array([-1])), IndexError, "from 0 to 4 .* got -1"),
    "padding_idx": (lambda: nn.Embedding(5, 2, padding_idx=5), ValueError, "within num_embeddings"),
    "p": (lambda: nn.Dropout(1.5), ValueError, "between 0 and 1, but got 1.5"),
    "spatial": (
        lambda: nn.SpatialDropout1D()(draws(2, 3)),
        ValueError,
        r"expected input of shape \(time, batch, \*\), got \(2, 3\)",
    ),
    "activation": (lambda: nn.Activation("hard_sigmoid"), ValueError, "name should be one of .*hard_sigmoid_keras2"),
    "alpha": (lambda: nn.Activation("relu", alpha=0.1), ValueError, "alpha should be a number, for elu or leaky_relu"),
    "softmax": (lambda: nn.Softmax(2)(draws(2, 3)), ValueError, "there is no axis 2"),
    "flatten": (lambda: nn.Flatten(2)(draws(2, 3)), ValueError, "there is no axis 2"),
    "flatten backwards": (lambda: nn.Flatten(1, 0)(draws(2, 3)), ValueError, "start_dim 1 comes after end_dim 0"),
    "reshape": (lambda: nn.Reshape((5,))(draws(2, 3)), ValueError, r"of shape \(3,\) cannot take the shape \[5\]"),
    "reshape -1": (lambda: nn.Reshape((-1, -1)), ValueError, "at most one of them -1"),
    "permute": (lambda: nn.Permute((0, 2)), ValueError, "each number from 0 to 1 once"),
    "permute axes": (lambda: nn.Permute((0, 1))(draws(2, 3, 4)), ValueError, "input should have 2 axes"),
    "repeat": (lambda: nn.RepeatVector(2)(draws(2, 3, 4)), ValueError, r"should be \[B,C\], got shape \(2, 3, 4\)"),
    "layer norm": (
        lambda: nn.LayerNorm(4)(draws(2, 3)),
        ValueError,
        r"expected input of shape \(\*, 4\), got \(2, 3\)",
    ),
    "norm dtype": (lambda: nn.LayerNorm(3)(draws(2, 3)), ValueError, "should have dtype float32, got float64"),
    "mask": (lambda: nn.LastStep()(draws(5, 2, 3), mask=np.ones((2, 5), bool)), ValueError, r"shape \(5, 2\)"),
    "no steps": (lambda: nn.LastStep()(draws(0, 2, 3)), ValueError, "a sequence without steps has no last one"),
    "one layer twice": (lambda: nn.Bidirectional(LSTM, LSTM), ValueError, "should be two layers, got one twice"),
    "both ways": (lambda: nn.Bidirectional(pyrnn.GRU(3, 4, bidirectional=True)), ValueError, "one direction each"),
    "widths": (
        lambda: nn.Bidirectional(LSTM, pyrnn.GRU(3, 5), "sum"),
        ValueError,
        "4 and 5 features cannot be merged",
    ),
    "inputs": (lambda: nn.Bidirectional(LSTM, pyrnn.GRU(2, 4)), ValueError, "should have the same input_size"),
    "merge": (lambda: nn.Bidirectional(LSTM, merge_mode="max"), ValueError, "concat, sum, mul, ave, got 'max'"),
    "not recurrent": (lambda: nn.Bidirectional(nn.ReLU()), TypeError, "should be an RNN, LSTM or GRU, got ReLU"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_refused_with_what_was_expected(case: str) -> None:
    call, error, sentence = REFUSED[case]
    with pytest.raises(error, match=sentence):
        call()
