"""Every wrong input is refused with torch's exception type and, where it fits NumPy, torch's sentence."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pyrnn

LAYERS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")

# Where torch raises AttributeError or IndexError, or crashes, any of these will do.
REFUSED = (TypeError, ValueError, RuntimeError)
NOT_ARRAYS: dict[str, Any] = {
    "none": None,
    "list": [[[0.0, 0.0, 0.0]]],
    "string": "a sequence",
    "number": 1.5,
    "dict": {},
    "object-array": np.zeros((4, 2, 3), object),
    "string-array": np.zeros((4, 2, 3), str),
    "integers": np.zeros((4, 2, 3), np.int64),
    "booleans": np.zeros((4, 2, 3), bool),
    "complex": np.zeros((4, 2, 3), np.complex64),
    "datetimes": np.zeros((4, 2, 3), "datetime64[s]"),
    "float16": np.zeros((4, 2, 3), np.float16),
    "structured": np.zeros((4, 2, 3), [("a", np.float32)]),
}


def make(name: str, **options: Any) -> Any:
    return getattr(pyrnn, name)(3, 5, **options)


def zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def state_of(name: str, *shape: int) -> Any:
    return (zeros(*shape), zeros(*shape)) if name.startswith("LSTM") else zeros(*shape)


def refuses(kind: Any, sentence: str | None, module: Any, *arguments: Any) -> None:
    """The call and vjp refuse with the same sentence, and the module still works afterwards."""
    for method in (module, module.vjp):
        with pytest.raises(kind, match=sentence and re.escape(sentence)) as caught:
            method(*arguments)
        assert len(str(caught.value)) > 10
    module(zeros(2, 3))


# -- input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (1, 2, 2, 3)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_an_input_of_wrong_dimension(name: str, shape: tuple[int, ...]) -> None:
    tail = " tensor instead" if name == "RNN" else " instead"
    sentence = f"{name}: Expected input to be 2D or 3D, got {len(shape)}D{tail}"
    refuses(ValueError, sentence, make(name), zeros(*shape))


@pytest.mark.parametrize("shape", [(), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_refuses_an_input_of_wrong_dimension(name: str, shape: tuple[int, ...]) -> None:
    sentence = f"{name}: Expected input to be 1D or 2D, got {len(shape)}D instead"
    refuses(ValueError, sentence, make(name), zeros(*shape))


@pytest.mark.parametrize("shape", [(4, 2, 7), (4, 7), (0, 2, 7), (4, 2, 0)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_an_input_of_wrong_size(name: str, shape: tuple[int, ...]) -> None:
    sentence = f"input.size(-1) must be equal to input_size. Expected 3, got {shape[-1]}"
    refuses(RuntimeError, sentence, make(name), zeros(*shape))


@pytest.mark.parametrize("shape", [(4,), (2, 4)], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_a_cell_refuses_an_input_of_wrong_size(name: str, shape: tuple[int, ...]) -> None:
    refuses(RuntimeError, "input has inconsistent input_size: got 4 expected 3", make(name), zeros(*shape))


@pytest.mark.parametrize(("dtype", "other"), [("float32", "float64"), ("float64", "float32")])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_an_input_of_the_other_precision(name: str, dtype: str, other: str) -> None:
    layer = getattr(pyrnn, name)(3, 5, dtype=np.dtype(dtype))
    for method in (layer, layer.vjp):
        sentence = rf"^{name} input dtype \({other}\) does not match weight dtype \({dtype}\)"
        with pytest.raises(ValueError, match=sentence):
            method(np.zeros((4, 2, 3), other))


@pytest.mark.parametrize("dtype", ["float16", "int64", "bool", "object", "complex64", "longdouble", "U3"])
@pytest.mark.parametrize("name", [*LAYERS, "Linear"])
def test_advice_on_a_dtype_names_only_what_the_layer_takes(name: str, dtype: str) -> None:
    layer = getattr(pyrnn, name)(3, 5)
    with pytest.raises(ValueError, match=r'Convert input: input\.astype\("float32"\)$'):
        layer(np.zeros((4, 2, 3), dtype))


@pytest.mark.parametrize("name", [*LAYERS, *CELLS, "Linear"])
def test_a_masked_array_is_refused_for_its_mask(name: str) -> None:
    layer, x = getattr(pyrnn, name)(3, 5), np.ma.masked_array(np.zeros((4, 3), np.float32))
    for given in (x, x.harden_mask()):
        for method in (layer, layer.vjp):
            with pytest.raises(TypeError, match=r"MaskedArray, and its mask would be ignored.* mask="):
                method(given)
    if name != "Linear":
        with pytest.raises(TypeError, match="MaskedArray"):
            layer(x.filled(0), np.ma.zeros((1, 5), np.float32) if "LSTM" not in name else (np.ma.zeros(5),) * 2)


def test_lack_of_memory_says_what_was_asked_for() -> None:
    with pytest.raises(MemoryError, match=r"^not enough memory: \d{11,} bytes were asked for$"):
        make("GRU").stream(2**31 - 1)


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_refuses_an_input_of_the_other_precision(name: str) -> None:
    for method in (make(name), make(name).vjp):
        with pytest.raises((ValueError, RuntimeError), match=r"float64.*float32"):
            method(np.zeros((2, 3)))


@pytest.mark.parametrize("kind", NOT_ARRAYS)
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_an_input_that_is_no_array_of_the_weights_dtype_is_refused(name: str, kind: str) -> None:
    value = NOT_ARRAYS[kind]
    if name in CELLS and isinstance(value, np.ndarray):
        value = value[0]
    refuses((TypeError, ValueError), None, make(name), value)


@pytest.mark.parametrize("shape", [(0, 2, 3), (0, 0, 3), (0, 3)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_an_input_without_time_steps_is_refused(name: str, shape: tuple[int, ...]) -> None:
    sentence = "Expected sequence length to be larger than 0 in RNN"
    refuses(RuntimeError, sentence, make(name), zeros(*shape))
    if len(shape) == 3:
        refuses(RuntimeError, sentence, make(name, batch_first=True), zeros(2, 0, 3))


# -- state ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 2, 6), (2, 2, 5), (1, 3, 5), (2, 1, 5), (1, 1, 5), (1, 0, 5)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_a_state_of_wrong_size(name: str, shape: tuple[int, ...]) -> None:
    if name == "LSTM":
        sentence = f"Expected hidden[0] size (1, 2, 5), got {list(shape)}"
        refuses(RuntimeError, sentence, make(name), zeros(4, 2, 3), (zeros(*shape), zeros(1, 2, 5)))
        sentence = f"Expected hidden[1] size (1, 2, 5), got {list(shape)}"
        refuses(RuntimeError, sentence, make(name), zeros(4, 2, 3), (zeros(1, 2, 5), zeros(*shape)))
    else:
        sentence = f"Expected hidden size (1, 2, 5), got {list(shape)}"
        refuses(RuntimeError, sentence, make(name), zeros(4, 2, 3), zeros(*shape))


def test_state_is_never_batch_first() -> None:
    layer = make("GRU", num_layers=2, batch_first=True)
    refuses(RuntimeError, "Expected hidden size (2, 4, 5), got [4, 2, 5]", layer, zeros(4, 7, 3), zeros(4, 2, 5))


def test_projected_state_has_two_widths() -> None:
    layer = make("LSTM", proj_size=2)
    x = zeros(4, 2, 3)
    refuses(RuntimeError, "Expected hidden[0] size (1, 2, 2), got [1, 2, 5]", layer, x, state_of("LSTM", 1, 2, 5))
    refuses(RuntimeError, "Expected hidden[1] size (1, 2, 5), got [1, 2, 2]", layer, x, state_of("LSTM", 1, 2, 2))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_refuses_a_state_of_wrong_dimension(name: str) -> None:
    what, shown = ("hx and cx", "({0}-D, {0}-D) tensors") if name == "LSTM" else ("hx", "{0}-D tensor")
    sentence = f"For batched 3-D input, {what} should also be 3-D but got {shown.format(2)}"
    refuses(RuntimeError, sentence, make(name), zeros(4, 2, 3), state_of(name, 2, 5))
    sentence = f"For unbatched 2-D input, {what} should also be 2-D but got {shown.format(3)}"
    refuses(RuntimeError, sentence, make(name), zeros(4, 3), state_of(name, 1, 1, 5))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_refuses_a_state_of_wrong_shape(name: str) -> None:
    cell = make(name)
    hidden = f"{name}: Expected {'hx[0]' if name == 'LSTMCell' else 'hidden'} to be 1D or 2D, got 3D instead"
    refuses(ValueError, hidden, cell, zeros(2, 3), state_of(name, 1, 2, 5))
    sentence = "hidden0 has inconsistent hidden_size: got 6, expected 5"
    refuses(RuntimeError, sentence, cell, zeros(2, 3), state_of(name, 2, 6))
    sentence = "Input batch size 2 doesn't match hidden0 batch size 3"
    refuses(RuntimeError, sentence, cell, zeros(2, 3), state_of(name, 3, 5))
    sentence = "Input batch size 2 doesn't match hidden0 batch size 1"
    refuses(RuntimeError, sentence, cell, zeros(2, 3), state_of(name, 1, 5))
    for shape in [(1, 5), (5, 5)]:  # torch crashes, broadcasts or raises here, by cell
        refuses(REFUSED, None, cell, zeros(3), state_of(name, *shape))
    refuses(REFUSED, None, cell, zeros(2, 3), state_of(name, 5))


def test_lstm_cell_names_the_second_state() -> None:
    sentence = "hidden1 has inconsistent hidden_size: got 6, expected 5"
    refuses(RuntimeError, sentence, make("LSTMCell"), zeros(2, 3), (zeros(2, 5), zeros(2, 6)))
    sentence = "LSTMCell: Expected hx[1] to be 1D or 2D, got 3D instead"
    refuses(ValueError, sentence, make("LSTMCell"), zeros(2, 3), (zeros(2, 5), zeros(1, 2, 5)))


@pytest.mark.parametrize("kind", [k for k in NOT_ARRAYS if k != "none"])
@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_state_that_is_no_array_of_the_weights_dtype_is_refused(name: str, kind: str) -> None:
    shape, x = ((2, 5), zeros(2, 3)) if name in CELLS else ((1, 2, 5), zeros(4, 2, 3))
    value = NOT_ARRAYS[kind]
    if isinstance(value, np.ndarray):  # the shape is right, so that the dtype alone is wrong
        value = np.zeros(shape, value.dtype)
    if name.startswith("LSTM"):
        refuses(REFUSED, None, make(name), x, (value, zeros(*shape)))
        refuses(REFUSED, None, make(name), x, (zeros(*shape), value))
    refuses(REFUSED, None, make(name), x, value)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_state_in_the_wrong_container_is_refused(name: str) -> None:
    shape, x = ((2, 5), zeros(2, 3)) if name in CELLS else ((1, 2, 5), zeros(4, 2, 3))
    h = zeros(*shape)
    wrong: list[Any] = [(), (h,), (h, h, h), (h, None), (None, h), {"h": h, "c": h}]
    wrong += [h, np.stack([h, h])] if name.startswith("LSTM") else [(h, h)]
    for state in wrong:
        refuses(REFUSED, None, make(name), x, state)


# -- pullback -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_layer_pullback_refuses_what_is_not_like_the_outputs(name: str) -> None:
    _, _, pullback = make(name).vjp(zeros(4, 2, 3))
    for shape in [(4, 2, 6), (4, 1, 5), (1, 2, 5), (4, 5), (2, 4, 5), ()]:
        with pytest.raises(REFUSED, match="grad_output"):
            pullback(zeros(*shape))
    for shape in [(1, 2, 6), (1, 1, 5), (2, 5), (2, 2, 5), ()]:
        with pytest.raises(REFUSED, match="grad_state"):
            pullback(None, state_of(name, *shape))
    outputs: list[Any] = ["text", [0.0], *(np.zeros((4, 2, 5), kind) for kind in (float, np.int32, object))]
    for wrong in outputs:
        with pytest.raises(REFUSED, match="grad_output"):
            pullback(wrong)
    states: list[Any] = ["text", np.zeros((1, 2, 5)), (zeros(1, 2, 5),), (zeros(1, 2, 5),) * 3]
    for wrong in states:
        with pytest.raises(REFUSED, match="grad_state"):
            pullback(None, wrong)
    assert not pullback(zeros(4, 2, 5)).input.any()


@pytest.mark.parametrize("name", CELLS)
def test_cell_pullback_refuses_what_is_not_like_the_state(name: str) -> None:
    _, _, pullback = make(name).vjp(zeros(2, 3))
    for wrong in (state_of(name, 2, 6), state_of(name, 1, 5), state_of(name, 5), np.zeros((2, 5)), "text"):
        with pytest.raises(REFUSED, match="grad_state"):
            pullback(None, wrong)
    for wrong in (zeros(2, 6), zeros(1, 5), zeros(5), np.zeros((2, 5)), "text"):
        with pytest.raises(REFUSED, match="grad_output"):
            pullback(wrong)


@pytest.mark.parametrize("name", CELLS)
def test_a_cells_pullback_adds_the_gradient_of_the_output_to_that_of_the_state(name: str) -> None:
    _, _, pullback = make(name).vjp(zeros(2, 3) + 1)
    ones = zeros(2, 5) + 1
    assert (pullback(ones, state_of(name, 2, 5)).input == pullback(ones).input).all()
    doubled = (2 * ones, None) if name == "LSTMCell" else 2 * ones
    half = (ones, None) if name == "LSTMCell" else ones
    assert (pullback(ones, half).input == pullback(None, doubled).input).all()


# -- Linear ---------------------------------------------------------------------------------------------


def test_linear_refuses_what_it_cannot_multiply() -> None:
    linear = pyrnn.Linear(3, 5)
    for wrong in (zeros(2, 4), zeros(0), zeros(), np.zeros((2, 3)), "text", None, np.zeros((2, 3), object)):
        for method in (linear, linear.vjp):
            with pytest.raises(REFUSED):
                method(wrong)
    _, _, pullback = linear.vjp(zeros(2, 3))
    for wrong in (zeros(2, 4), zeros(1, 5), np.zeros((2, 5)), "text"):
        with pytest.raises(REFUSED):
            pullback(wrong)
