"""load_weights puts Keras' weights, alone or of a full model, into a given pyrnn model, or leaves it as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import h5py
import numpy as np
from keras_files import CLOSE, KERAS_WARNS, built, images, keras2_weights, predicted, sequences
from keras_pairs import FIRST, PAIRS, L, last, saved

import pyrnn
from pyrnn import nn
from pyrnn.io.keras import load_weights

pytestmark = KERAS_WARNS


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
@pytest.mark.parametrize("case", PAIRS)
def test_weights_alone_give_the_predictions_of_keras(case: str, name: str, tmp_path: Path) -> None:
    theirs, ours = PAIRS[case]
    keras_model = saved(tmp_path / name, theirs(), sequences())
    model = nn.Sequential(*ours()).eval()
    gates = "sigmoid" if case in ("lstm", "gru", "bidirectional", "time distributed") else None
    load_weights(tmp_path / name, model, recurrent_activation=gates)
    np.testing.assert_allclose(model(sequences()), predicted(keras_model, sequences()), **CLOSE)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
def test_weights_of_an_image_network_give_the_predictions_of_keras(name: str, tmp_path: Path) -> None:
    layers = [L.Conv2D(4, 3), L.BatchNormalization(), L.GlobalAveragePooling2D(), L.Dense(2)]
    keras_model = saved(tmp_path / name, layers, images())
    model = nn.Sequential(
        nn.ChannelsLast(nn.Conv2d(3, 4, 3)),
        nn.ChannelsLast(nn.BatchNorm2d(4, eps=1e-3)),
        nn.ChannelsLast(nn.GlobalAveragePool2d()),
        nn.Linear(4, 2),
    ).eval()
    load_weights(tmp_path / name, model)
    np.testing.assert_allclose(model(images()), predicted(keras_model, images()), **CLOSE)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_full_model_loads_into_the_same_one(name: str, tmp_path: Path) -> None:
    keras_model = built(PAIRS["lstm"][0](), sequences())
    keras_model.save(tmp_path / name)
    hold = {"masked_output": "hold", **FIRST}
    model = nn.Sequential(pyrnn.LSTM(4, 5, **hold), pyrnn.LSTM(5, 3, bias=False, **hold), last()).eval()
    load_weights(tmp_path / name, model)
    np.testing.assert_allclose(model(sequences()), predicted(keras_model, sequences()), **CLOSE)


def kernels(units: int = 3, inputs: int = 4, gates: int = 4, prefix: str = "z/z") -> dict[str, np.ndarray]:
    random, rows = np.random.default_rng(0), units * gates
    shapes = {"kernel": (inputs, rows), "recurrent_kernel": (units, rows), "bias": (rows,)}
    return {f"{prefix}/{name}:0": random.uniform(-1, 1, shape) for name, shape in shapes.items()}


OUT = {"a/a/kernel:0": np.ones((3, 2)), "a/a/bias:0": np.zeros(2)}


def test_layers_of_keras_2_are_in_the_order_of_the_model_and_not_of_their_names(tmp_path: Path) -> None:
    path = keras2_weights(tmp_path / "weights.h5", ["z", "drop", "a"], kernels() | OUT)
    model = nn.Sequential(pyrnn.LSTM(4, 3, **FIRST), last(), nn.Linear(3, 2))
    load_weights(path, model, recurrent_activation="sigmoid")
    np.testing.assert_array_equal(model.state_dict()["2.weight"], np.ones((2, 3)))


def test_the_caller_says_whether_gates_of_keras_2_2_are_hard(tmp_path: Path) -> None:
    path = keras2_weights(tmp_path / "weights.h5", ["z"], kernels())
    hard = pyrnn.LSTM(4, 3, recurrent_activation="hard_sigmoid_keras2", **FIRST)
    load_weights(path, nn.Sequential(hard), recurrent_activation="hard_sigmoid_keras2")
    soft = pyrnn.LSTM(4, 3, **FIRST)
    load_weights(path, nn.Sequential(soft), recurrent_activation="sigmoid")
    assert abs(hard(sequences())[0] - soft(sequences())[0]).max() > 0.01  # so the caller has to say which


REFUSED: dict[str, tuple[dict[str, Any], Callable[[], list[Any]], str]] = {
    "gates": (kernels(), lambda: [pyrnn.LSTM(4, 3)], 'does not say the recurrent_activation of layer "0"'),
    "gates, inside": (kernels(), lambda: [nn.Bidirectional(pyrnn.GRU(4, 3))], "does not say the recurrent_activation"),
    "too few": (
        OUT,
        lambda: [nn.Linear(3, 2), nn.Linear(2, 2)],
        "it has 1 layers with weights ..a.., the model has 2",
    ),
    "too many": (OUT | kernels(), lambda: [nn.Linear(3, 2)], "it has 2 layers with weights"),
    "shape": (OUT, lambda: [nn.Linear(4, 2)], r"size mismatch for 0.weight: got shape .2, 3., the module has .2, 4."),
    "kind": (
        OUT,
        lambda: [nn.LayerNorm(3)],
        'layer "0": expected the arrays gamma, beta, the file has "bias", "kernel"',
    ),
    "bias": (OUT, lambda: [nn.Linear(3, 2, bias=False)], 'layer "0": expected the arrays kernel, the file has "bias"'),
    "stack": (kernels(gates=1), lambda: [pyrnn.RNN(4, 3, num_layers=2)], 'layer "0" of the model is RNN.4, 3, num'),
    "two ways": (kernels(gates=1), lambda: [pyrnn.RNN(4, 3, bidirectional=True)], "one layer and one direction each"),
    "hidden": (
        kernels(gates=1),
        lambda: [pyrnn.RNN(4, 5)],
        'layer "0" of the model: kernel should have shape .inputs',
    ),
    "nested": (OUT, lambda: [nn.Sequential(nn.Linear(3, 2))], "is a Sequential, which Keras has not"),
}


def unchanged_and_refused(path: Path, model: nn.Sequential, because: str, **options: Any) -> None:
    before = model.state_dict()
    with pytest.raises(ValueError, match=because) as caught:
        load_weights(path, model, **options)
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("case", REFUSED)
def test_other_weights_leave_the_model_as_it_was(case: str, tmp_path: Path) -> None:
    arrays, layers, because = REFUSED[case]
    names = list(dict.fromkeys(name.split("/")[0] for name in arrays))
    path = keras2_weights(tmp_path / "weights.h5", names, arrays)
    unchanged_and_refused(path, nn.Sequential(*layers()), because)


def test_the_second_layer_fails_and_the_first_is_as_it_was(tmp_path: Path) -> None:
    path = keras2_weights(tmp_path / "weights.h5", ["z", "a"], kernels() | OUT)
    model = nn.Sequential(pyrnn.LSTM(4, 3, **FIRST), nn.Linear(3, 5))
    unchanged_and_refused(path, model, "size mismatch for 1.weight", recurrent_activation="sigmoid")


def test_gates_other_than_the_models_are_refused(tmp_path: Path) -> None:
    path = keras2_weights(tmp_path / "weights.h5", ["z"], kernels())
    model = nn.Sequential(pyrnn.LSTM(4, 3))
    unchanged_and_refused(
        path, model, "but layer \"0\" of the model has 'sigmoid'", recurrent_activation="hard_sigmoid"
    )


def test_gates_may_be_named_layer_by_layer(tmp_path: Path) -> None:
    arrays = kernels() | kernels(inputs=3, prefix="a/a")
    path = keras2_weights(tmp_path / "weights.h5", ["z", "a"], arrays)
    model = nn.Sequential(pyrnn.LSTM(4, 3, recurrent_activation="hard_sigmoid_keras2"), pyrnn.LSTM(3, 3))
    for wrong, because in ((["sigmoid", "sigmoid"], 'but layer "0"'), (["sigmoid"], "should be one name, or 2")):
        unchanged_and_refused(path, model, because, recurrent_activation=wrong)
    load_weights(path, model, recurrent_activation=["hard_sigmoid_keras2", "sigmoid"])
    np.testing.assert_array_equal(model.state_dict()["1.weight_ih_l0"], arrays["a/a/kernel:0"].T.astype(np.float32))


@pytest.mark.parametrize("in_file", [True, False])
def test_the_other_form_of_a_gru_is_refused(in_file: bool, tmp_path: Path) -> None:
    model = nn.Sequential(pyrnn.GRU(4, 3, reset_after=not in_file))
    path = tmp_path / "model.weights.h5"
    saved(path, [L.GRU(3, reset_after=in_file)], sequences())
    because = f'layer "0" of the model: bias should have .* the file\'s GRU is reset_after={in_file}'
    unchanged_and_refused(path, model, because, recurrent_activation="sigmoid")


NUMBERED: dict[str, tuple[Callable[[], list[Any]], Callable[[], list[Any]], str]] = {
    "left": (lambda: [L.Dense(3), L.LayerNormalization()], lambda: [nn.Linear(4, 3)], "no layer for: .*/vars/0"),
    "missing": (lambda: [L.Dense(3)], lambda: [nn.Linear(4, 3), nn.Linear(3, 3)], 'layer "1": .* the file has none'),
    "more": (lambda: [L.Dense(3)], lambda: [nn.Linear(4, 3, bias=False)], 'the file has "kernel", "number 1"'),
    "order": (
        lambda: [L.TimeDistributed(L.Dense(3)), L.Dense(3)],
        lambda: [nn.Linear(4, 3), nn.Linear(3, 3)],
        "it has Dense and TimeDistributed layers, and does not tell their order",
    ),
}


@pytest.mark.parametrize("case", NUMBERED)
def test_other_weights_of_keras_3_leave_the_model_as_it_was(case: str, tmp_path: Path) -> None:
    theirs, ours, because = NUMBERED[case]
    saved(tmp_path / "model.weights.h5", theirs(), sequences())
    unchanged_and_refused(tmp_path / "model.weights.h5", nn.Sequential(*ours()), because)


@pytest.mark.parametrize(
    ("layers", "because"),
    [
        (
            [pyrnn.LSTM(4, 6, bias=False, **FIRST)],
            ': layer "0" of the model has hidden_size=6, bias=False, that of the file hidden_size=5, bias=True; make ',
        ),
        (
            [pyrnn.GRU(4, 5, **FIRST)],
            '^.*: layer "0" of the model is a GRU, that of the file LSTM; make it so, or use',
        ),
        ([nn.Linear(3, 2), nn.Linear(2, 2)], "it has 1 layers with weights, the model has 2; use load"),
    ],
)
def test_a_full_model_is_refused_by_another(layers: list[Any], because: str, tmp_path: Path) -> None:
    built([L.LSTM(5)], sequences()).save(tmp_path / "model.keras")
    unchanged_and_refused(tmp_path / "model.keras", nn.Sequential(*layers), because)


@pytest.mark.parametrize("masked_output", ["zero", "hold"])
def test_a_full_model_loads_whatever_masked_output_is(masked_output: str, tmp_path: Path) -> None:
    kept = built([L.LSTM(5)], sequences())
    kept.save(tmp_path / "model.keras")
    model = nn.Sequential(pyrnn.LSTM(4, 5, masked_output=masked_output, dropout=0.0, **FIRST), nn.LastStep(**FIRST))
    load_weights(tmp_path / "model.keras", model)
    np.testing.assert_array_equal(model.state_dict()["0.weight_ih_l0"], kept.get_weights()[0].T)


def test_files_that_keras_did_not_write_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones(3)
    unchanged_and_refused(tmp_path / "other.h5", nn.Sequential(nn.Linear(3, 2)), "it is no file of Keras")


def test_the_model_has_to_be_a_sequential(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"model should be a pyrnn\.nn\.Sequential, got LSTM"):
        load_weights(tmp_path / "weights.h5", pyrnn.LSTM(4, 3))  # type: ignore[arg-type]
