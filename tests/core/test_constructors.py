"""Wrong arguments and weights are refused with torch's exception type and sentence, and change nothing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pyrnn

LAYERS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("argument", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("name", LAYERS)
def test_sizes_must_be_positive(name: str, argument: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must be greater than zero"):
        getattr(pyrnn, name)(**{"input_size": 3, "hidden_size": 5, argument: value})


@pytest.mark.parametrize("value", [1.5, 2.0, "3", None, [3], np.float32(3)], ids=repr)
@pytest.mark.parametrize("argument", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("name", LAYERS)
def test_sizes_must_be_integers(name: str, argument: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{argument} should be of type int, got: {type(value).__name__}"):
        getattr(pyrnn, name)(**{"input_size": 3, "hidden_size": 5, argument: value})


TOO_LARGE = {"num_layers": (65535, 2**16)} | dict.fromkeys(
    ("input_size", "hidden_size", "in_features", "out_features"), (2**25 - 1, 2**25)
)


@pytest.mark.parametrize("excess", [0, 2**31, 2**40, 2**64, 10**30])
@pytest.mark.parametrize("name", [*LAYERS, *CELLS, "Linear"])
def test_a_size_too_large_is_named_with_the_largest(name: str, excess: int) -> None:
    arguments = {"in_features": 3, "out_features": 5} if name == "Linear" else {"input_size": 3, "hidden_size": 5}
    for argument in [*arguments, *(["num_layers"] if name in LAYERS else [])]:
        most, least = TOO_LARGE[argument]
        with pytest.raises(ValueError, match=rf"^{argument} must be at most {most}, got {least + excess}$"):
            getattr(pyrnn, name)(**arguments | {argument: least + excess})


@pytest.mark.parametrize("argument", ["input_size", "hidden_size"])
@pytest.mark.parametrize("name", [*LAYERS, *CELLS])
@pytest.mark.torch
def test_a_drop_in_too_large_is_named_with_the_largest(name: str, argument: str) -> None:
    import pyrnn.torch

    kind = getattr(pyrnn.torch, name)
    sizes = {"input_size": 3, "hidden_size": 5, argument: 2**40}
    with pytest.raises(ValueError, match=rf"^{argument} must be at most 33554431, got 1099511627776$"):
        kind(**sizes)
    with pytest.raises(ValueError, match=rf"^{argument} must be at most 33554431, got 1099511627776$"):
        kind(*sizes.values())


def test_a_projection_too_large_or_no_integer_is_named() -> None:
    with pytest.raises(ValueError, match=r"^proj_size must be at most 33554431, got 1099511627776$"):
        pyrnn.LSTM(3, 5, proj_size=2**40)
    with pytest.raises(TypeError, match=r"^proj_size should be of type int, got: str$"):
        pyrnn.LSTM(3, 5, proj_size="2")  # type: ignore[arg-type]


@pytest.mark.parametrize("argument", ["input_size", "hidden_size"])
@pytest.mark.parametrize("name", CELLS)
def test_cell_sizes_must_be_positive_integers(name: str, argument: str) -> None:
    for kind, value in [
        (ValueError, 0),
        (ValueError, -1),
        (TypeError, 1.5),
        (TypeError, "3"),
        (TypeError, None),
    ]:
        with pytest.raises(kind, match=argument):
            getattr(pyrnn, name)(**{"input_size": 3, "hidden_size": 5, argument: value})


@pytest.mark.parametrize("argument", ["in_features", "out_features"])
def test_linear_sizes_must_be_positive_integers(argument: str) -> None:
    for kind, value in [
        (ValueError, 0),
        (ValueError, -1),
        (TypeError, 1.5),
        (TypeError, "3"),
        (TypeError, None),
    ]:
        with pytest.raises(kind, match=argument):
            pyrnn.Linear(**{"in_features": 3, "out_features": 5, argument: value})


@pytest.mark.parametrize("value", [0, 1, None, "yes"], ids=repr)
@pytest.mark.parametrize("argument", ["bias", "batch_first"])
@pytest.mark.parametrize("name", LAYERS)
def test_flags_must_be_bools(name: str, argument: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{argument} should be of type bool, got: {type(value).__name__}"):
        getattr(pyrnn, name)(3, 5, **{argument: value})


@pytest.mark.parametrize("name", LAYERS)
def test_bidirectional_must_be_a_bool_by_the_first_call(name: str) -> None:
    with pytest.raises(TypeError, match="bidirectional"):
        getattr(pyrnn, name)(3, 5, bidirectional="yes")(np.zeros((4, 3), np.float32))


@pytest.mark.parametrize("value", [True, -0.1, 1.1, float("nan"), float("inf"), "0.5"], ids=repr)
@pytest.mark.parametrize("name", LAYERS)
def test_dropout_must_be_a_probability(name: str, value: Any) -> None:
    sentence = "dropout should be a number in range [0, 1] representing the probability of an element being"
    with pytest.raises(ValueError, match=re.escape(sentence)):
        getattr(pyrnn, name)(3, 5, num_layers=2, dropout=value)


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_that_would_do_nothing_warns_at_the_callers_line(name: str) -> None:
    sentence = "non-zero dropout expects num_layers greater than 1, but got dropout=0.5 and num_layers=1"
    with pytest.warns(UserWarning, match=sentence) as caught:
        getattr(pyrnn, name)(3, 5, dropout=0.5)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["RNN", "GRU", *CELLS])
def test_only_the_lstm_has_a_projection(name: str) -> None:
    with pytest.raises((TypeError, ValueError), match="proj_size"):
        getattr(pyrnn, name)(3, 5, proj_size=2)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (ValueError, -1, "proj_size should be a positive integer or zero to disable projections"),
        (ValueError, 5, "proj_size has to be smaller than hidden_size"),
        (ValueError, 6, "proj_size has to be smaller than hidden_size"),
        (TypeError, 1.5, "proj_size"),
        (TypeError, "2", "proj_size"),
        (TypeError, None, "proj_size"),
    ],
)
def test_proj_size_must_be_an_integer_from_zero_to_below_hidden_size(
    kind: type[Exception], value: Any, sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        pyrnn.LSTM(3, 5, proj_size=value)


@pytest.mark.parametrize("value", ["sigmoid", "TANH", "", None, 1], ids=repr)
def test_nonlinearity_must_be_tanh_or_relu(value: Any) -> None:
    sentence = f"Unknown nonlinearity '{value}'. Select from 'tanh' or 'relu'."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        pyrnn.RNN(3, 5, nonlinearity=value)
    # torch's cell raises RuntimeError at the first call; a ValueError of the constructor is as good.
    with pytest.raises((ValueError, RuntimeError), match=re.escape("Unknown nonlinearity")):
        pyrnn.RNNCell(3, 5, nonlinearity=value)(np.zeros(3, np.float32))


@pytest.mark.parametrize("value", [0, 1, None, "no"], ids=repr)
def test_reset_after_must_be_a_bool(value: Any) -> None:
    for name in ("GRU", "GRUCell"):
        with pytest.raises(TypeError, match="reset_after"):
            getattr(pyrnn, name)(3, 5, reset_after=value)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.longdouble, np.int32, np.complex64, bool, object, "float31", 7], ids=repr
)
@pytest.mark.parametrize("name", [*LAYERS, *CELLS, "Linear"])
def test_dtype_must_be_float32_or_float64(name: str, dtype: Any) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"dtype|data type"):
        getattr(pyrnn, name)(3, 5, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", np.dtype(np.float64), "f8", float], ids=repr)
def test_dtype_may_be_spelt_as_numpy_allows(dtype: Any) -> None:
    assert pyrnn.GRU(3, 5, dtype=dtype).weight_ih_l0.dtype == np.dtype(dtype)


def test_dtype_none_is_the_default_as_in_torch() -> None:
    assert pyrnn.GRU(3, 5, dtype=None).weight_ih_l0.dtype == pyrnn.LSTMCell(3, 5, dtype=None).weight_ih.dtype == "f4"


@pytest.mark.parametrize("seed", [-1, 1.5, "x"], ids=repr)
def test_seed_must_be_a_natural_number(seed: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        pyrnn.GRU(3, 5, seed=seed)


@pytest.mark.parametrize("name", [*LAYERS, *CELLS, "Linear"])
def test_missing_unknown_or_surplus_arguments_are_refused(name: str) -> None:
    kind = getattr(pyrnn, name)
    constructions: list[Any] = [((), {}), ((3,), {}), ((3, 5), {"foo": 1}), ((3, 5, *[1] * 20), {})]
    for arguments, options in constructions:
        with pytest.raises(TypeError):
            kind(*arguments, **options)
    module = kind(3, 5)
    x = np.zeros((2, 3), np.float32)
    calls: list[Any] = [((), {}), ((x, *[None] * 5), {}), ((x,), {"h_0": None})]
    for arguments, options in calls:
        with pytest.raises(TypeError):
            module(*arguments, **options)


# -- weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LAYERS)
def test_state_dict_errors_name_every_key_and_take_nothing(name: str) -> None:
    layer = getattr(pyrnn, name)(3, 5)
    before = layer.state_dict()
    wrong = {key: value + 1 for key, value in before.items()}
    del wrong["weight_ih_l0"], wrong["bias_hh_l0"]
    wrong |= {"extra": np.zeros(2), "weight_hh_l1": np.zeros((5, 5)), "bias_ih_l0": np.zeros(7)}
    with pytest.raises(RuntimeError, match=rf"Error\(s\) in loading state_dict for {name}:") as caught:
        layer.load_state_dict(wrong)
    for key in ("weight_ih_l0", "bias_hh_l0", "extra", "weight_hh_l1", "bias_ih_l0"):
        assert key in str(caught.value)
    assert "weight_hh_l0" not in str(caught.value)
    for key, value in layer.parameters().items():
        np.testing.assert_array_equal(value, before[key])


def test_state_dict_that_is_not_strict_still_checks_shapes() -> None:
    layer = pyrnn.GRU(3, 5)
    layer.load_state_dict({"bias_ih_l0": np.ones(15), "extra": np.zeros(2)}, strict=False)
    np.testing.assert_array_equal(layer.bias_ih_l0, np.ones(15))
    with pytest.raises(RuntimeError, match="bias_ih_l0"):
        layer.load_state_dict({"bias_ih_l0": np.ones(14)}, strict=False)


@pytest.mark.parametrize(
    "value", [None, "text", np.zeros(15, complex), [["a"]], pytest.param(object(), id="object")], ids=repr
)
def test_weights_must_be_real_numbers(value: Any) -> None:
    layer = pyrnn.GRU(3, 5)
    with pytest.raises((TypeError, ValueError), match="bias_ih_l0"):
        layer.load_state_dict(layer.state_dict() | {"bias_ih_l0": value})
    with pytest.raises((TypeError, ValueError), match="bias_ih_l0"):
        layer.bias_ih_l0 = value


@pytest.mark.parametrize("mapping", [None, 3, "text", [("bias_ih_l0", np.ones(15))]], ids=repr)
def test_state_dict_must_be_a_mapping(mapping: Any) -> None:
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got"):
        pyrnn.GRU(3, 5).load_state_dict(mapping)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_weight_of_wrong_shape_or_written_in_place_is_refused(name: str) -> None:
    module = getattr(pyrnn, name)(3, 5)
    for key, value in module.parameters().items():
        with pytest.raises(ValueError, match=key):
            setattr(module, key, value[:-1])
        with pytest.raises(ValueError, match="read-only"):
            value[...] = 0
        with pytest.raises(ValueError, match="read-only"):
            getattr(module, key)[...] = 0


@pytest.mark.parametrize("mode", [0, None, "yes"], ids=repr)
def test_training_mode_must_be_a_bool(mode: Any) -> None:
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        pyrnn.GRU(3, 5).train(mode)


@pytest.mark.parametrize(
    "state_dict",
    [
        {},
        {"weight": np.zeros((3, 3))},
        {"weight_ih_l0": np.zeros((15, 3))},
        {"weight_ih_l0": np.zeros((15, 3)), "weight_hh_l0": np.zeros((14, 5))},
        {"weight_ih_l0": np.zeros((10, 3)), "weight_hh_l0": np.zeros((10, 5))},  # two gates: no such cell
        {"weight_ih_l0": np.zeros(15), "weight_hh_l0": np.zeros(15)},
        {"weight_ih_l0": np.zeros((0, 3)), "weight_hh_l0": np.zeros((0, 0))},
        {"weight_ih_l0": np.zeros((15, 3)), "weight_hh_l0": np.zeros((15, 5)), "bias_ih_l0": np.zeros(15)},
        {"weight_ih_l1": np.zeros((15, 3)), "weight_hh_l1": np.zeros((15, 5))},
        {
            "weight_ih_l0": np.zeros((15, 3)),
            "weight_hh_l0": np.zeros((15, 5)),
            "weight_ih_l2": np.zeros((15, 5)),
        },
        None,
    ],
    ids=lambda d: "+".join(f"{k}{v.shape}" for k, v in d.items()) or "empty" if d is not None else "none",
)
def test_from_state_dict_refuses_what_is_no_recurrent_layer(state_dict: Any) -> None:
    with pytest.raises((TypeError, ValueError, RuntimeError)) as caught:
        pyrnn.from_state_dict(state_dict)
    assert len(str(caught.value)) > 10


def test_from_state_dict_names_a_prefix_that_is_not_there() -> None:
    with pytest.raises((ValueError, RuntimeError), match="decoder"):
        pyrnn.from_state_dict(pyrnn.GRU(3, 5).state_dict(), prefix="decoder.")
