"""pyrnn.verify against Keras names the layer, step and gate in which a wrong model differs first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")
pytest.importorskip("typer")

import h5py
import numpy as np
from keras_files import (
    KERAS_WARNS,
    MASK,
    built,
    described,
    hard_sigmoid_2,
    hard_sigmoid_3,
    images,
    keras,
    keras2_file,
    sequences,
    words,
)
from verify_cases import found, with_swapped_gates

import pyrnn
from pyrnn import nn
from pyrnn.verify import read_data, verify

pytestmark = KERAS_WARNS

LAYERS = keras.layers
STEPS = 6


# -- Keras -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of Masking, LSTM, a bidirectional GRU, a SimpleRNN that goes backwards, and Dense."""
    model = built(
        [
            LAYERS.Masking(name="masking"),
            LAYERS.LSTM(5, return_sequences=True, name="first"),
            LAYERS.Bidirectional(LAYERS.GRU(4, return_sequences=True), merge_mode="sum", name="both"),
            LAYERS.SimpleRNN(3, go_backwards=True, name="back"),
            LAYERS.Dense(2, activation="softmax", name="out"),
        ],
        sequences(),
    )
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    model.save(path)
    return path


def test_a_model_of_keras_agrees(stack: Path) -> None:
    report = verify(stack, "keras", sequences())
    assert report.agrees
    assert [layer.name for layer in report.layers] == ["masking", "first", "both", "back", "out"]
    assert max(layer.largest for layer in report.layers) < 1e-6  # a few float32 roundings of numbers of order 1
    assert str(report).startswith(f"{stack} agrees with keras to ")


MODELS = {
    "words": (
        [
            lambda: LAYERS.Embedding(9, 4, mask_zero=True),
            lambda: LAYERS.SpatialDropout1D(0.5),
            lambda: LAYERS.Bidirectional(LAYERS.LSTM(3), merge_mode="ave"),
            lambda: LAYERS.Activation("linear"),
            lambda: LAYERS.BatchNormalization(),
            lambda: LAYERS.Dense(2, activation="gelu", name="dense"),
            lambda: LAYERS.Activation("softmax", name="dense_softmax"),
        ],
        words(),
    ),
    "images": (
        [
            lambda: LAYERS.Conv2D(4, 3, padding="same", activation="relu"),
            lambda: LAYERS.MaxPooling2D(2),
            lambda: LAYERS.Flatten(),
            lambda: LAYERS.Dense(2),
        ],
        images(),
    ),
    "one layer": ([lambda: LAYERS.GRU(3, reset_after=False)], sequences()),
    "odd names": ([lambda: LAYERS.Dense(3, name="a b-c"), lambda: LAYERS.LSTM(3, name="predict")], sequences()),
}


@pytest.mark.parametrize("functional", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_other_models_of_keras_agree(tmp_path: Path, name: str, functional: bool) -> None:
    layers, x = MODELS[name]
    model = built([make() for make in layers], x, functional=functional)
    model.save(tmp_path / "model.keras")
    report = verify(tmp_path / "model.keras", "keras", x)
    assert report.agrees, str(report)
    computing = [layer.name for layer in model.layers if not layer.name.startswith(("input", "activation"))]
    assert [layer.name for layer in report.layers] == computing


def test_swapped_gates_of_the_input_show_at_the_first_step(stack: Path) -> None:
    model = pyrnn.load(stack)
    with_swapped_gates(model["first"], "weight_ih_l0", 1, 3)  # forget and output
    report = verify(stack, "keras", sequences(), model=model)
    assert found(report) == ("first", "forward", 0, "f")
    assert report.first.gates == ("f", "o", "h")  # c does not see f before there is a state
    assert [layer.agrees for layer in report.layers] == [True, False, False, False, False]


def test_swapped_gates_of_the_state_show_one_step_later(stack: Path) -> None:
    model = pyrnn.load(stack)
    with_swapped_gates(model["first"], "weight_hh_l0", 0, 1)
    steps = [np.flatnonzero(row)[1] for row in MASK if row.sum() > 1]  # the first step of each row with a state
    assert found(verify(stack, "keras", sequences(), model=model)) == ("first", "forward", min(steps), "i")


def test_a_wrong_state_weight_of_the_reverse_direction_is_found_at_its_step(stack: Path) -> None:
    model = pyrnn.load(stack)
    with_swapped_gates(model["both"].backward, "weight_hh_l0", 0, 1)
    steps = [np.flatnonzero(row)[-2] for row in MASK if row.sum() > 1]  # the same, counted from the end
    assert found(verify(stack, "keras", sequences(), model=model)) == ("both", "reverse", max(steps), "r")


def test_a_wrong_unit_of_a_layer_that_goes_backwards_is_found(stack: Path) -> None:
    model = pyrnn.load(stack)
    model["back"].bias_ih_l0 = model["back"].bias_ih_l0 + np.float32([0, 0.25, 0])
    report = verify(stack, "keras", sequences(), model=model)
    assert found(report) == ("back", "reverse", STEPS - 1, "h")
    assert report.first.unit == 1
    assert report.first.row in np.flatnonzero(MASK[:, -1])


def test_a_difference_in_a_layer_without_gates_names_the_layer_alone(stack: Path) -> None:
    model = pyrnn.load(stack)
    model["out"].bias = np.float32([3, 0]) + model["out"].bias
    assert found(verify(stack, "keras", sequences(), model=model)) == ("out", None, None, None)


def test_a_wrong_merge_mode_names_the_step_and_no_gate(stack: Path) -> None:
    right = pyrnn.load(stack)
    both = nn.Bidirectional(right["both"].forward, right["both"].backward, merge_mode="mul")
    model = nn.Sequential({name: both if name == "both" else layer for name, layer in right._modules.items()})
    assert found(verify(stack, "keras", sequences(), model=model)) == ("both", None, 0, None)


@pytest.fixture
def hard(tmp_path: Path) -> Path:
    """A saved model with an LSTM whose gates use the hard_sigmoid of Keras 3."""
    model = built([LAYERS.Dense(3), LAYERS.LSTM(5, recurrent_activation="hard_sigmoid", name="hard")], sequences())
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_the_hard_sigmoid_of_keras_2_in_place_of_that_of_keras_3_is_found(hard: Path) -> None:
    right = pyrnn.load(hard)
    options = {**right["hard"].config(), "recurrent_activation": "hard_sigmoid_keras2"}
    wrong = pyrnn.LSTM(**options)
    wrong.load_state_dict(dict(right["hard"].state_dict()))  # without its options, which would warn
    model = nn.Sequential({name: wrong if name == "hard" else layer for name, layer in right._modules.items()})
    assert verify(hard, "keras", sequences()).agrees
    report = verify(hard, "keras", sequences(), model=model)
    assert found(report) == ("hard", "forward", 0, "i")
    assert report.first.gates == ("i", "f", "o", "c", "h")  # all but the candidate g
    assert "layer 'hard', step 0, gate i (row" in str(report)


def test_a_keras_2_file_shows_the_hard_sigmoid_that_keras_3_misreads(tmp_path: Path) -> None:
    """Keras 3 reads the file's hard_sigmoid as its own; the report shows the values of both functions."""
    model = built([LAYERS.LSTM(5, recurrent_activation="hard_sigmoid", name="old")], sequences())
    model.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file.attrs["keras_version"] = b"2.3.1"
    report = verify(tmp_path / "model.h5", "keras", sequences())
    assert found(report) == ("old", "forward", 0, "i")
    assert report.first is not None
    kernel, _, bias = (np.asarray(weight) for weight in model.layers[0].get_weights())
    a = (sequences()[:, 0] @ kernel + bias)[report.first.row, report.first.unit]
    np.testing.assert_allclose(report.first.here, hard_sigmoid_2(a), atol=1e-6)  # float32
    np.testing.assert_allclose(report.first.there, hard_sigmoid_3(a), atol=1e-6)


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "against", "because"),
    [
        ("model.pt", "jax", "against should be one of keras, torch, onnxruntime"),
        ("model.onnx", "keras", r"should end in one of \.keras, \.h5, \.hdf5"),
        ("model.json", "torch", r"should end in one of \.pt"),
    ],
)
def test_a_file_that_the_other_program_cannot_read_is_refused(
    tmp_path: Path, name: str, against: str, because: str
) -> None:
    with pytest.raises(ValueError, match=because):
        verify(tmp_path / name, against, sequences())


def test_a_custom_layer_never_reaches_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras2_file(tmp_path / "model.h5", [described("Lambda", "code", function=["", None, None])], {})
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("Keras was asked"))
    with pytest.raises(ValueError, match="Lambda is not supported"):
        verify(path, "keras", sequences())


def test_an_error_of_keras_itself_is_passed_on_in_a_sentence(stack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise KeyError("time_major\nand more lines")

    monkeypatch.setattr(keras.models, "load_model", refuse)
    with pytest.raises(ValueError, match=r"Keras 3\.\S+ does not run .*model\.keras: 'time_major"):
        verify(stack, "keras", sequences())


@pytest.mark.parametrize(
    ("data", "because"),
    [
        (np.zeros((0, 6, 4)), "the data should hold something"),
        (np.array(["a"]), "the data should be numbers"),
        (np.zeros((2, 6, 3), np.float32), r"Keras \S+ does not run .*(2, 6, 3)"),
    ],
    ids=["empty", "text", "features"],
)
def test_data_that_do_not_fit_are_refused(stack: Path, data: np.ndarray, because: str) -> None:
    with pytest.raises(ValueError, match=because):
        verify(stack, "keras", data)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"\x80\x04N."])
def test_data_that_are_no_npy_file_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.npy should be a \.npy file of numbers"):
        read_data(tmp_path / "x.npy")


def test_pickled_data_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"should be a \.npy file of numbers"):
        read_data(tmp_path / "x.npy")


def test_a_report_can_be_written_as_json(stack: Path) -> None:
    model = pyrnn.load(stack)
    with_swapped_gates(model["first"], "weight_ih_l0", 0, 1)
    told = json.loads(json.dumps(verify(stack, "keras", sequences(), model=model).as_dict()))
    assert told["agrees"] is False
    assert told["first"]["gate"] == "i"
    assert [layer["name"] for layer in told["layers"]] == ["masking", "first", "both", "back", "out"]
