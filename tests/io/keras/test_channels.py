"""Models of torch's layout load Keras' weights, whose channels are last, and give Keras' numbers, or refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import CLOSE, KERAS_WARNS, built, images, keras, predicted, sequences
from keras_pairs import saved

import pyrnn
from examples import cnn
from pyrnn import nn
from pyrnn.io.keras import load_weights

pytestmark = KERAS_WARNS

L = keras.layers
FIRST: dict[str, Any] = {"batch_first": True}
EPS = {"eps": 1e-3}  # the default of Keras' norms
Pair = tuple[Callable[[], list[Any]], Callable[[], list[Any]]]


def turn(*dims: int) -> nn.Permute:
    return nn.Permute(dims or (0, 2, 1))


# Each pair is Keras' model of inputs [B,6,4], and pyrnn's of inputs [B,4,6].
ON_SEQUENCES: dict[str, Pair] = {
    "flatten": (
        lambda: [L.Conv1D(5, 3, activation="relu"), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)],
    ),
    "no bias": (
        lambda: [L.Conv1D(5, 3, use_bias=False), L.Flatten(), L.Dense(3, use_bias=False)],
        lambda: [nn.Conv1d(4, 5, 3, bias=False), nn.Flatten(), nn.Linear(20, 3, bias=False)],
    ),
    "as many steps as channels": (
        lambda: [L.Conv1D(4, 3), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 4, 3), nn.Flatten(), nn.Linear(16, 3)],
    ),
    "pooling, dropout, activation between": (
        lambda: [L.Conv1D(5, 2), L.MaxPooling1D(2), L.Dropout(0.5), L.Activation("tanh"), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 2), nn.MaxPool1d(2), nn.Dropout(0.5), nn.Tanh(), nn.Flatten(), nn.Linear(10, 3)],
    ),
    "pooling first": (
        lambda: [L.AveragePooling1D(2), L.Conv1D(5, 2), L.Flatten(), L.Dense(3)],
        lambda: [nn.AvgPool1d(2), nn.Conv1d(4, 5, 2), nn.Flatten(), nn.Linear(10, 3)],
    ),
    "norms around": (
        lambda: [L.BatchNormalization(), L.Conv1D(5, 3), L.BatchNormalization(), L.Flatten(), L.BatchNormalization(),
                 L.ReLU(), L.LayerNormalization(), L.Dropout(0.2), L.Dense(3), L.BatchNormalization(), L.Dense(2)],
        lambda: [nn.BatchNorm1d(4, **EPS), nn.Conv1d(4, 5, 3), nn.BatchNorm1d(5, **EPS), nn.Flatten(),
                 nn.BatchNorm1d(20, **EPS), nn.ReLU(), nn.LayerNorm(20, **EPS), nn.Dropout(0.2), nn.Linear(20, 3),
                 nn.BatchNorm1d(3, **EPS), nn.Linear(3, 2)],
    ),
    "norm alone": (
        lambda: [L.BatchNormalization(), L.Flatten(), L.Dense(3)],
        lambda: [nn.BatchNorm1d(4, **EPS), nn.Flatten(), nn.Linear(24, 3)],
    ),
    "softmax": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.Softmax(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Flatten(), nn.Softmax(), nn.Linear(20, 3)],
    ),
    "nested without weights": (
        lambda: [L.Conv1D(5, 3), L.ReLU(), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Sequential(nn.ReLU(), nn.Sequential(nn.Flatten())), nn.Linear(20, 3)],
    ),
    "reshape to one axis": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Reshape((-1,)), nn.Linear(20, 3)],
    ),
    "one channel": (
        lambda: [L.Conv1D(1, 3), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 1, 3), nn.Flatten(), nn.Linear(4, 3)],
    ),
    "one step": (
        lambda: [L.Conv1D(5, 6), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 6), nn.Flatten(), nn.Linear(5, 3)],
    ),
    "groups and strides": (
        lambda: [L.Conv1D(6, 3, groups=2, padding="same"), L.Conv1D(4, 2, strides=2), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 6, 3, padding="same", groups=2), nn.Conv1d(6, 4, 2, stride=2), nn.Flatten(),
                 nn.Linear(12, 3)],
    ),
    "repeated into a decoder": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.RepeatVector(4), L.GRU(3, return_sequences=True), L.Dense(2)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Flatten(), nn.RepeatVector(4, **FIRST), pyrnn.GRU(20, 3, **FIRST),
                 nn.Linear(3, 2)],
    ),
    "repeated into both directions": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.RepeatVector(4), L.Bidirectional(L.LSTM(3))],
        lambda: [nn.Conv1d(4, 5, 3), nn.Flatten(), nn.RepeatVector(4, **FIRST),
                 nn.Bidirectional(pyrnn.LSTM(20, 3, **FIRST), merge_mode="concat", return_sequences=False)],
    ),
    "recurrent behind": (
        lambda: [L.Conv1D(5, 3), L.LSTM(3), L.Dense(2)],
        lambda: [nn.Conv1d(4, 5, 3), turn(), pyrnn.LSTM(5, 3, **FIRST), nn.LastStep(**FIRST), nn.Linear(3, 2)],
    ),
    "recurrent before": (
        lambda: [L.LSTM(5, return_sequences=True), L.Conv1D(3, 2), L.Flatten(), L.Dense(2)],
        lambda: [turn(), pyrnn.LSTM(4, 5, **FIRST), turn(), nn.Conv1d(5, 3, 2), nn.Flatten(), nn.Linear(15, 2)],
    ),
    "recurrent, flattened": (
        lambda: [L.GRU(5, return_sequences=True), L.Flatten(), L.Dense(2)],
        lambda: [turn(), pyrnn.GRU(4, 5, **FIRST), nn.Flatten(), nn.Linear(30, 2)],
    ),
    "pooled over time": (
        lambda: [L.Conv1D(5, 3), L.GlobalMaxPooling1D(), L.Dense(2)],
        lambda: [nn.Conv1d(4, 5, 3), turn(), nn.GlobalMaxPool1d(**FIRST), nn.Linear(5, 2)],
    ),
    "two dense layers": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.Dense(20), L.Dense(20)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Flatten(), nn.Linear(20, 20), nn.Linear(20, 20)],
    ),
    "Keras permutes as well": (
        lambda: [L.Conv1D(5, 3), L.Permute((2, 1)), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Linear(4, 3)],
    ),
}  # fmt: skip
# Each pair is Keras' model of inputs [B,9,7,3], and pyrnn's of inputs [B,3,9,7].
ON_IMAGES: dict[str, Pair] = {
    "flatten": (
        lambda: [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D((2, 3)), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d((2, 3)), nn.Flatten(), nn.Linear(12, 3)],
    ),
    "norms": (
        lambda: [L.BatchNormalization(), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.BatchNormalization(),
                 L.Dense(3)],
        lambda: [nn.BatchNorm2d(3, **EPS), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **EPS), nn.Flatten(),
                 nn.ChannelsLast(nn.BatchNorm1d(140, **EPS)), nn.Linear(140, 3)],
    ),
    "pooled over the image": (
        lambda: [L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(3)],
        lambda: [nn.Conv2d(3, 4, 3), nn.GlobalAveragePool2d(), nn.Linear(4, 3)],
    ),
    "pooled, flattened": (
        lambda: [L.Conv2D(4, 3), L.GlobalMaxPooling2D(), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv2d(3, 4, 3), nn.GlobalMaxPool2d(), nn.Flatten(), nn.Linear(4, 3)],
    ),
}  # fmt: skip


def check(theirs: list[Any], ours: list[Any], x: np.ndarray, path: Path) -> None:
    keras_model = saved(path, theirs, x)
    model = nn.Sequential(*ours).eval()
    load_weights(path, model, recurrent_activation="sigmoid")
    expected = predicted(keras_model, x)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(model(np.ascontiguousarray(np.moveaxis(x, -1, 1))), expected, **CLOSE)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
@pytest.mark.parametrize("case", ON_SEQUENCES)
def test_channels_first_gives_what_keras_gives(case: str, name: str, tmp_path: Path) -> None:
    theirs, ours = ON_SEQUENCES[case]
    check(theirs(), ours(), sequences(), tmp_path / name)


@pytest.mark.parametrize("name", ["model.weights.h5", "model.h5"])
@pytest.mark.parametrize("case", ON_IMAGES)
def test_images_with_their_channels_first_give_what_keras_gives(case: str, name: str, tmp_path: Path) -> None:
    theirs, ours = ON_IMAGES[case]
    check(theirs(), ours(), images(), tmp_path / name)


def test_the_network_of_the_example_takes_keras_weights(tmp_path: Path) -> None:
    norm = {"epsilon": 1e-5}
    layers = [
        *(L.Conv2D(16, 3, padding="same"), L.BatchNormalization(**norm), L.ReLU(), L.MaxPooling2D(2)),
        *(L.Conv2D(32, 3, padding="same"), L.BatchNormalization(**norm), L.ReLU(), L.MaxPooling2D(2)),
        *(L.Flatten(), L.Dropout(0.3), L.Dense(10)),
    ]
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype(np.float32)
    keras_model = saved(tmp_path / "model.weights.h5", layers, x)
    model = cnn.make().eval()
    load_weights(tmp_path / "model.weights.h5", model)
    expected = predicted(keras_model, x)
    # Sums of up to 288 products reach 100 in the last layer.
    np.testing.assert_allclose(model(x.transpose(0, 3, 1, 2).copy()), expected, rtol=1e-4, atol=1e-3)


REFUSED: dict[str, tuple[Callable[[], list[Any]], Callable[[], list[Any]], str]] = {
    "at the end": (
        lambda: [L.Conv1D(5, 3), L.Flatten()], lambda: [nn.Conv1d(4, 5, 3), nn.Flatten()],
        'the model ends with features that are not in Keras\' order, since its layer "0" has the channels first',
    ),
    "permuted": (
        lambda: [L.Conv1D(5, 3), L.Permute((2, 1)), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), turn(), nn.Flatten(), nn.Linear(20, 3)],
        'layer "2" of the model .Flatten. joins axes that the model has permuted',
    ),
    "channels unknown": (
        lambda: [L.MaxPooling1D(2), L.Flatten(), L.Dense(3)],
        lambda: [nn.MaxPool1d(2), nn.Flatten(), nn.Linear(12, 3)],
        'layer "2" of the model .Linear. has 12 input features, .* how many is not known',
    ),
    "recurrent": (
        lambda: [L.Conv1D(4, 3), L.SimpleRNN(3)],
        lambda: [nn.Conv1d(4, 4, 3), pyrnn.RNN(4, 3, **FIRST)],
        'layer "1" of the model .RNN. reads the last axis',
    ),
    "dense": (
        lambda: [L.Conv1D(4, 3), L.Dense(3)], lambda: [nn.Conv1d(4, 4, 3), nn.Linear(4, 3)],
        'layer "1" of the model .Linear. reads the last axis',
    ),
    "layer norm": (
        lambda: [L.Conv1D(4, 3), L.LayerNormalization()], lambda: [nn.Conv1d(4, 4, 3), nn.LayerNorm(4)],
        'layer "1" of the model .LayerNorm. reads the last axis',
    ),
    "softmax": (
        lambda: [L.Conv1D(4, 3), L.Softmax()], lambda: [nn.Conv1d(4, 4, 3), nn.Softmax()],
        'layer "1" of the model .Softmax. moves or joins the axes, or reads the last',
    ),
    "last step": (
        lambda: [L.Conv1D(4, 3), L.GlobalMaxPooling1D(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 4, 3), nn.GlobalMaxPool1d(**FIRST), nn.Linear(4, 3)],
        'layer "1" of the model .GlobalMaxPool1d. moves or joins',
    ),
    "reshape": (
        lambda: [L.Conv1D(5, 3), L.Reshape((2, 10)), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Reshape((2, 10)), nn.Linear(10, 3)],
        'layer "1" of the model .Reshape.',
    ),
    "flattened, reshaped": (
        lambda: [L.Conv1D(5, 3), L.Flatten(), L.Reshape((4, 5)), L.Dense(3)],
        lambda: [nn.Conv1d(4, 5, 3), nn.Flatten(), nn.Reshape((4, 5)), nn.Linear(5, 3)],
        'layer "2" of the model .Reshape.',
    ),
    "one pool of another layout": (
        lambda: [L.Conv1D(4, 3), L.MaxPooling1D(2), L.Flatten(), L.Dense(3)],
        lambda: [nn.ChannelsLast(nn.Conv1d(4, 4, 3)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 3)],
        'layer "1" of the model .MaxPool1d. reads the axis behind the batch',
    ),
    "one convolution of another layout": (
        lambda: [L.Conv1D(4, 3), L.Conv1D(4, 3), L.Flatten(), L.Dense(3)],
        lambda: [nn.Conv1d(4, 4, 3), nn.ChannelsLast(nn.Conv1d(4, 4, 3)), nn.Flatten(), nn.Linear(8, 3)],
        'layer "1" of the model .Conv1d. reads the last axis as the channels',
    ),
    "recurrent, convolution": (
        lambda: [L.GRU(6, return_sequences=True), L.Conv1D(4, 3)],
        lambda: [pyrnn.GRU(4, 6, **FIRST), nn.Conv1d(6, 4, 3)],
        'layer "1" of the model .Conv1d. reads the axis behind the batch',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore:.* takes .B,")  # the networks disagree about their axes on purpose
def test_a_model_with_two_readings_is_refused_by_the_name_of_the_layer(case: str, tmp_path: Path) -> None:
    theirs, ours, because = REFUSED[case]
    saved(tmp_path / "model.weights.h5", theirs(), sequences())
    model = nn.Sequential(*ours())
    before = model.state_dict()
    with pytest.raises(ValueError, match=because) as caught:
        load_weights(tmp_path / "model.weights.h5", model, recurrent_activation="sigmoid")
    assert "nn.ChannelsLast around the layers that take" in str(caught.value)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.filterwarnings("ignore:.* takes .B,")  # the networks disagree about their axes on purpose
def test_a_full_model_of_another_layout_is_refused(name: str, tmp_path: Path) -> None:
    built([L.Conv1D(4, 3), L.MaxPooling1D(2), L.Flatten(), L.Dense(3)], sequences()).save(tmp_path / name)
    for layers in (
        [nn.Conv1d(4, 4, 3), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 3)],
        [nn.ChannelsLast(nn.Conv1d(4, 4, 3)), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(8, 3)],
    ):
        with pytest.raises(ValueError, match="ChannelsLast"):
            load_weights(tmp_path / name, nn.Sequential(*layers))


PADDINGS: dict[str, tuple[str, int, Any]] = {
    "valid": ("valid", 1, 0),
    "same": ("same", 1, 1),
    "same, dilated": ("same", 2, [(2, 2)]),
    "causal": ("causal", 1, [(2, 0)]),
}


@pytest.mark.parametrize("case", PADDINGS)
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_full_model_takes_its_padding_in_any_form(name: str, case: str, tmp_path: Path) -> None:
    padding, dilation, ours = PADDINGS[case]
    kept = built([L.Conv1D(5, 3, padding=padding, dilation_rate=dilation), L.GRU(3)], sequences())
    kept.save(tmp_path / name)
    conv = nn.Conv1d(4, 5, 3, padding=ours, dilation=dilation)
    model = nn.Sequential(nn.ChannelsLast(conv), pyrnn.GRU(5, 3, **FIRST), nn.LastStep(**FIRST))
    load_weights(tmp_path / name, model)
    np.testing.assert_array_equal(conv.weight, kept.get_weights()[0].transpose(2, 1, 0))
    model[0].layer = nn.Conv1d(4, 5, 3, padding=3, dilation=dilation)
    with pytest.raises(ValueError, match=r"has layer\.padding=\[\[3, 3\]\], that of the file layer\.padding"):
        load_weights(tmp_path / name, model)
