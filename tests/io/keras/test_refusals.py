"""pyrnn.io.keras refuses layers and attributes that it does not read by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import KERAS_WARNS, built, described, keras, keras2_file, refused, sequences, words

pytestmark = KERAS_WARNS

L = keras.layers
ARRAYS = {
    "lstm/lstm/kernel:0": np.ones((4, 12)),
    "lstm/lstm/recurrent_kernel:0": np.ones((3, 12)),
    "lstm/lstm/bias:0": np.ones(12),
    "out/out/kernel:0": np.ones((3, 2)),
    "out/out/bias:0": np.ones(2),
    "norm/norm/gamma:0": np.ones(3),
    "norm/norm/beta:0": np.ones(3),
    "norm/norm/moving_mean:0": np.ones(3),
    "norm/norm/moving_variance:0": np.ones(3),
    "conv/conv/kernel:0": np.ones((2, 3, 5)),
    "conv/conv/bias:0": np.ones(5),
    "table/table/embeddings:0": np.ones((9, 4)),
}


def lstm(**options: Any) -> dict[str, Any]:
    gates = {"activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": True}
    return described("LSTM", "lstm", **{"units": 3, **gates, **options})


def dense(**options: Any) -> dict[str, Any]:
    return described("Dense", "out", **{"units": 2, **options})


def norm(kind: str = "BatchNormalization", **options: Any) -> dict[str, Any]:
    return described(kind, "norm", batch_input_shape=[None, 6, 3], **options)


def conv(**options: Any) -> dict[str, Any]:
    return described("Conv1D", "conv", **{"filters": 5, "kernel_size": [2], "strides": [1], **options})


def both(inner: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return described("Bidirectional", "both", layer=inner or lstm(), **options)


def without(layer: dict[str, Any], attribute: str) -> dict[str, Any]:
    return {**layer, "config": {name: value for name, value in layer["config"].items() if name != attribute}}


LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "return_state": (lstm(return_state=True), 'layer "lstm" (LSTM): return_state=True is not supported'),
    "time_major": (lstm(time_major=True), 'layer "lstm" (LSTM): time_major=True is not supported'),
    "activation": (lstm(activation="elu"), "activation=elu is not supported in a recurrent layer, only tanh"),
    "gates": (lstm(recurrent_activation="softmax"), "recurrent_activation=softmax is not supported in a recurrent"),
    "no gates": (without(lstm(), "recurrent_activation"), "the file does not say recurrent_activation"),
    "custom": (lstm(activation={"class_name": "function", "config": "mine"}), "activation is a custom object"),
    "attribute": (lstm(zoneout=0.1), 'layer "lstm" (LSTM): the attribute zoneout=0.1 is not known'),
    "quantized": (dense(quantization_config={"bits": 8}), "attribute quantization_config={'bits': 8} is not"),
    "lora": (dense(lora_rank=2), "the attribute lora_rank=2 is not known"),
    "dtype": (lstm(dtype="mixed_float16"), "dtype=mixed_float16 is not supported"),
    "policy": (dense(dtype={"class_name": "DTypePolicy", "config": {"name": "bfloat16"}}), "dtype=bfloat16"),
    "units": (lstm(units="3"), 'units should be a positive integer, got "3"'),
    "no units": (dense(units=None), 'layer "out" (Dense): units should be a positive integer'),
    "flag": (lstm(go_backwards="yes"), 'go_backwards should be true or false, got "yes"'),
    "shape": (lstm(units=4), 'layer "lstm" (LSTM): kernel should have shape (inputs, 16), got (4, 12)'),
    "dense shape": (dense(units=3), "kernel should have shape (any, 3), got (3, 2)"),
    "no bias": (dense(use_bias=False), 'layer "out": expected the arrays kernel, the file has "bias", "kernel"'),
    "no arrays": (described("Dense", "other", units=2), "expected the arrays kernel, bias, the file has none"),
    "dense activation": (dense(activation="mish"), 'layer "out" (Dense): activation=mish is not supported'),
    "merge_mode": (both(merge_mode=None), 'layer "both" (Bidirectional): merge_mode=None is not supported'),
    "forward": (both(lstm(go_backwards=True)), "go_backwards=True of its forward layer is not supported"),
    "backward": (both(backward_layer=lstm()), "go_backwards=True of its forward layer is not supported"),
    "inner": (both(dense()), "forward_layer=Dense is not supported"),
    "inner state": (both(lstm(return_state=True)), 'layer "lstm" (LSTM): return_state=True is not supported'),
    "no inner": (described("Bidirectional", "both"), 'something that is no layer: "None"'),
    "time distributed": (described("TimeDistributed", "each", layer=lstm()), "layer=LSTM is not supported"),
    "axis": (norm(axis=1), 'layer "norm" (BatchNormalization): axis=1 is not supported, only the last axis'),
    "renorm": (norm(renorm=True), "renorm=True is not supported"),
    "unknown rank": (without(norm(), "batch_input_shape"), "does not say the shape of the model's input"),
    "axes": (norm("LayerNormalization", axis=[1, 2]), "axis=[1, 2] is not supported"),
    "rms": (norm("LayerNormalization", rms_scaling=True), "rms_scaling=True is not supported"),
    "plain norm": (norm("LayerNormalization", center=False, scale=False), "expected the arrays (none)"),
    "channels": (conv(data_format="channels_first"), 'layer "conv" (Conv1D): data_format=channels_first'),
    "padding": (conv(padding="full"), "padding=full is not supported"),
    "kernel size": (conv(kernel_size=[2, 2]), 'kernel_size should be 1 positive integers, got "[2, 2]"'),
    "kernel shape": (conv(kernel_size=[3]), "kernel should have shape (3, any, 5), got (2, 3, 5)"),
    "groups": (conv(groups=2), "groups=2 does not divide filters=5"),
    "pool padding": (described("MaxPooling1D", "pool", pool_size=[2], padding="causal"), "padding=causal"),
    "pool channels": (described("Flatten", "flat", data_format="channels_first"), "data_format=channels_first"),
    "keepdims": (described("GlobalMaxPooling1D", "pool", keepdims=True), "keepdims=True is not supported"),
    "max_value": (described("ReLU", "relu", max_value=6.0), 'layer "relu" (ReLU): max_value=6.0 is not supported'),
    "softmax": (described("Softmax", "soft", axis=1), 'layer "soft" (Softmax): axis=1 is not supported'),
    "rate": (described("Dropout", "drop", rate="half"), 'layer "drop" (Dropout): rate should be a number, got "half"'),
    "large rate": (described("Dropout", "drop", rate=10**400), 'rate should be a number, got "1000'),
    "wrong rate": (described("Dropout", "drop", rate=1.5), 'layer "drop" (Dropout): dropout probability has to be'),
    "dims": (described("Permute", "turn", dims=[1, 3]), "dims should be a list of the axes from 1 on"),
    "target": (described("Reshape", "shape", target_shape=None), "target_shape should be a list of integers"),
    "sparse": (described("InputLayer", "in", sparse=True), 'layer "in" (InputLayer): sparse=True is not supported'),
    "mask value": (described("Masking", "mask", mask_value=[0]), 'mask_value should be a number, got "[0]"'),
    "lambda": (described("Lambda", "lambda_1", function=["code"]), 'layer "lambda_1" (Lambda): Lambda is not'),
    "class": (described("Attention", "look"), 'layer "look" (Attention): Attention is not supported; known are'),
    "cell": (described("RNN", "rnn", cell=described("LSTMCell", "cell")), 'layer "rnn" (RNN): RNN is not supported'),
    "registered": ({**dense(), "registered_name": "mine>Dense"}, 'it is a custom class, "mine>Dense"'),
    "model": (described("Sequential", "inner", layers=[]), "a model within a model is not supported"),
    "no config": ({"class_name": "LSTM", "config": {"name": "lstm"}}, "units should be a positive integer, got"),
    "steps": (described("RepeatVector", "again", n=-1), 'n should be a positive integer, got "-1"'),
    "many steps": (
        described("RepeatVector", "again", n=2**40),
        'layer "again" (RepeatVector): n should be at most 2147483647, got "1099511627776"',
    ),
    "many units": (dense(units=2**31), 'units should be at most 2147483647, got "2147483648"'),
    "a large kernel": (conv(kernel_size=[2**70]), 'kernel_size should be at most 2147483647, got "[11805916'),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_is_refused_by_name_and_attribute(case: str, tmp_path: Path) -> None:
    layer, because = LAYERS[case]
    refused(keras2_file(tmp_path / "model.h5", [layer], ARRAYS), because)


MASKING = described("Masking", "mask", batch_input_shape=[None, 6, 4])
CHAINS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "names": ([lstm(), lstm()], 'layer "lstm" (LSTM): two layers have this name'),
    "softmax": ([MASKING, described("Softmax", "soft")], 'layer "soft" (Softmax): it is given a mask'),
    "zero": ([MASKING, lstm(zero_output_for_mask=True, return_sequences=False)], "zero_output_for_mask=True is not"),
    "turned": ([MASKING, lstm(go_backwards=True), described("GlobalAveragePooling1D", "pool")],
               'layer "pool" (GlobalAveragePooling1D): a layer before it has go_backwards=True'),
    "dtypes": ([lstm(dtype="float64"), dense()], 'layer "out" (Dense): dtype=float32, but layers before it'),
    "rank": ([lstm(return_sequences=False), lstm(name="second")], "it needs an input of three axes, batch, time"),
    "embedding": ([described("Embedding", "table", batch_input_shape=[None, 6, 2], input_dim=9, output_dim=4,
                             mask_zero=True)], "mask_zero=True needs an input of two axes"),
    "input alone": ([described("InputLayer", "in", batch_input_shape=[None, 6])], "no layers but the input"),
    "none": ([], "its model should have a list of 1 to 1000 layers"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAINS)
def test_a_chain_is_refused_by_name(case: str, tmp_path: Path) -> None:
    layers, because = CHAINS[case]
    refused(keras2_file(tmp_path / "model.h5", layers, ARRAYS), because)


def test_a_hard_sigmoid_without_a_version_is_refused(tmp_path: Path) -> None:
    path = keras2_file(tmp_path / "model.h5", [lstm(recurrent_activation="hard_sigmoid")], ARRAYS, version=None)
    refused(path, 'layer "lstm" (LSTM): recurrent_activation=hard_sigmoid is clip(0.2 x + 0.5) in Keras 2 and relu6')
    path = keras2_file(tmp_path / "model.h5", [dense(activation="hard_sigmoid")], ARRAYS, version=None)
    refused(path, 'layer "out" (Dense): activation=hard_sigmoid is clip')


@pytest.mark.parametrize("version", ["1.2.2", "4.0.0"])
def test_files_of_other_generations_of_keras_are_refused(version: str, tmp_path: Path) -> None:
    refused(keras2_file(tmp_path / "model.h5", [lstm()], ARRAYS, version), f"Keras {version} wrote it")


# -- files of Keras 3 --------------------------------------------------------------------------------------


@pytest.fixture(params=[".keras", ".h5"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"model{request.param}"


def test_a_recurrent_layer_after_a_masked_one_that_goes_backwards_is_refused(path: Path) -> None:
    layers = [L.Masking(), L.LSTM(5, go_backwards=True, return_sequences=True), L.GRU(3, name="second")]
    built(layers, sequences()).save(path)
    refused(path, 'layer "second" (GRU): a layer before it has go_backwards=True and return_sequences=True')


def test_lambda_layers_are_refused(path: Path) -> None:
    built([L.Lambda(lambda x: x * 2, output_shape=(6, 4), name="twice"), L.LSTM(5)], sequences()).save(path)
    refused(path, 'layer "twice" (Lambda): Lambda is not supported')


def test_models_with_branches_are_refused(path: Path) -> None:
    first = keras.Input((6, 4))
    y = L.LSTM(4, return_sequences=True)(first)
    keras.Model(first, L.Add(name="sum")([first, y])).save(path)
    refused(path, 'layer "sum" (Add): it should have one input, the layer before it')


def test_a_layer_that_is_used_twice_is_refused(path: Path) -> None:
    first, shared = keras.Input((6, 4)), L.LSTM(4, return_sequences=True, name="shared")
    keras.Model(first, L.Dense(2)(shared(shared(first)))).save(path)
    refused(path, '"shared" (LSTM): it should have one input')


def test_a_layer_called_with_initial_states_is_refused(path: Path) -> None:
    first = keras.Input((6, 4))
    y, h, c = L.LSTM(4, return_state=True, return_sequences=True, name="encoder")(first)
    keras.Model(first, L.LSTM(4, name="decoder")(y, initial_state=[h, c])).save(path)
    refused(path, 'layer "decoder" (LSTM): it is called with initial_state=')


MASKS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "no masking": (lambda: L.Dense(4), lambda x: keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)),
    "another value": (lambda: L.Masking(0.5), lambda x: keras.ops.any(keras.ops.not_equal(x, 0.0), axis=-1)),
    "another index": (lambda: L.Embedding(9, 4, mask_zero=True), lambda x: keras.ops.not_equal(x, 3)),
}


@pytest.mark.parametrize("case", MASKS)
def test_masks_from_outside_of_the_chain_are_refused(case: str, path: Path) -> None:
    layer, mask = MASKS[case]
    first = keras.Input((6,) if case == "another index" else (6, 4))
    keras.Model(first, L.LSTM(4, name="reader")(layer()(first), mask=mask(first))).save(path)
    refused(path, 'layer "reader" (LSTM): it is called with a mask that is none of an Embedding or a Masking')


@pytest.mark.parametrize("make", [lambda: L.LSTM(4, name="reader"), lambda: L.Bidirectional(L.GRU(3), name="reader")])
def test_masks_of_another_layer_than_the_last_are_refused(make: Callable[[], Any], path: Path) -> None:
    first = keras.Input((6,), dtype="int64")
    embedding = L.Embedding(9, 4, mask_zero=True, name="table")
    y = L.Masking(0.5)(L.Dense(3)(embedding(first)))
    keras.Model(first, make()(y, mask=embedding.compute_mask(first))).save(path)
    refused(path, 'layer "reader"', 'it is called with the mask of "table", where that of "masking')


def test_custom_layers_are_refused(path: Path) -> None:
    class Mine(L.Dense):
        pass

    built([Mine(3), L.Dense(2)], words().astype(np.float32)).save(path)
    refused(path, "Mine")


def test_half_precision_is_refused(path: Path) -> None:
    built([L.Dense(3, dtype="mixed_float16", name="half")], sequences()).save(path)
    refused(path, 'layer "half" (Dense): dtype=mixed_float16 is not supported')
