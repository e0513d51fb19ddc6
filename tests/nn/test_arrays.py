"""Every layer of pyrnn.nn takes an array, or refuses it with a sentence that names the layer and the array."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from nn_samples import SAMPLES

import pyrnn
from pyrnn import nn
from pyrnn.core.recurrent import Recurrent

LAYERS = pytest.mark.parametrize("name", SAMPLES)
SHAPES = [shape for axes in range(6) for shape in itertools.product((0, 3), repeat=axes) if shape.count(0) < 2]
CHANNELS_FIRST = [(2, wrong, *rest) for wrong in (1, 2, 5) for rest in [(), (8,), (8, 8)]]
DTYPES = ("float16", "longdouble", ">f4", "int64", "uint8", "bool", "complex64", "object", "U3", "M8[s]")
NO_ARRAYS: dict[str, Any] = {
    "a list": [[1.0, 2.0]],
    "None": None,
    "a number": 1.0,
    "text": "abc",
}


def assert_fits_or_is_named(name: str, call: Any, *arguments: Any) -> None:
    layer = SAMPLES[name][0]()
    modules = [module for _, module in layer.named_modules()]
    sentence = type(layer).__name__
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        try:
            call(layer, *arguments)
        except Exception as error:
            sentence = str(error)
            raise
    if not any(isinstance(module, Recurrent) for module in modules):  # those have torch's sentences without a name
        assert any(type(module).__name__ in sentence for module in modules), sentence
    assert len(sentence) < 400


def forward(layer: Any, x: Any) -> None:
    layer(x)


def backward(layer: Any, x: Any) -> None:
    output, *_, pullback = layer.vjp(x)
    pullback(np.ones_like(output))


@pytest.mark.parametrize("call", [forward, backward])
@LAYERS
def test_any_number_of_axes_fits_or_is_named(name: str, call: Any) -> None:
    dtype = SAMPLES[name][1]().dtype
    for shape in [*SHAPES, *CHANNELS_FIRST]:
        assert_fits_or_is_named(name, call, np.ones(shape, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@LAYERS
def test_any_dtype_fits_or_is_named(name: str, dtype: str) -> None:
    x = SAMPLES[name][1]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        assert_fits_or_is_named(name, forward, np.ones(x.shape, np.int64).astype(dtype))


def assert_refused(name: str, value: Any, said: str) -> None:
    for method in ("__call__", "vjp"):
        with pytest.raises(TypeError, match=said):
            getattr(SAMPLES[name][0](), method)(value)


@pytest.mark.parametrize("value", NO_ARRAYS)
@LAYERS
def test_an_input_that_is_no_array_is_refused(name: str, value: str) -> None:
    assert_refused(name, NO_ARRAYS[value], "NumPy array")


# The recurrent layers refuse in other words, which core/test_errors.py tests.
@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ("RNN", "LSTM", "GRU", "Bidirectional")])
def test_a_masked_array_is_refused(name: str) -> None:
    assert_refused(name, np.ma.masked_less(np.ones((2, 3, 4)), 0.5), "MaskedArray")


@LAYERS
def test_gradients_of_another_shape_or_dtype_are_refused(name: str) -> None:
    output, *_, pullback = SAMPLES[name][0]().vjp(SAMPLES[name][1]())
    for wrong in (np.ones(()), np.ones((*output.shape, 1)), np.ones((1, *output.shape)), output[..., :0]):
        with pytest.raises(ValueError, match="grad_output"):
            pullback(wrong)
    for dtype in ("float32", "int64", "bool", "complex128", "object"):
        with pytest.raises((TypeError, ValueError), match="grad_output"):
            pullback(np.ones(output.shape).astype(dtype))
    for value in ([1.0], 1.0, np.ma.ones(output.shape)):
        with pytest.raises(TypeError, match="grad_output"):
            pullback(value)


@pytest.mark.parametrize("name", [name for name in SAMPLES if getattr(SAMPLES[name][0](), "takes_mask", False)])
def test_masks_of_another_shape_or_dtype_are_refused(name: str) -> None:
    x = SAMPLES[name][1]()
    for method in ("__call__", "vjp"):
        for shape in [(), (2,), (2, 5, 3)] + [(7, 7)] * (name != "Sequential"):  # its Embedding makes the mask
            with pytest.raises(ValueError, match="mask"):
                getattr(SAMPLES[name][0](), method)(x, mask=np.ones(shape, bool))
        with pytest.raises(ValueError, match="mask"):
            getattr(SAMPLES[name][0](), method)(x, mask=np.ones(x.shape[:2]))
        for value in ([[True]], True, "mask", np.ma.ones(x.shape[:2], bool)):
            with pytest.raises(TypeError, match="mask"):
                getattr(SAMPLES[name][0](), method)(x, mask=value)


def test_a_matrix_is_taken_as_its_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(3, 3))
    for layer in (nn.Tanh(), nn.LayerNorm(3, dtype=np.float64), nn.Softmax()):
        found: Any = layer(x.view(np.matrix))
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, layer(x))


def test_an_empty_sequential_refuses_an_input_that_is_no_array() -> None:
    for method in ("__call__", "vjp"):
        with pytest.raises(TypeError, match="Sequential: input should be a NumPy array, got list"):
            getattr(nn.Sequential(), method)([1.0])


@pytest.mark.parametrize("inside", [nn.GlobalMaxPool1d(), nn.Embedding(3, 2), pyrnn.GRU(3, 2, dtype=np.float64)])
def test_channels_last_refuses_a_layer_without_channels(inside: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=type(inside).__name__):
        nn.ChannelsLast(inside)(np.ones((2, 3)))
