"""Files in Keras 2's layout, written by hand as it is documented, against its equations in plain NumPy.

The same layouts were read from files that tf_keras 2.21 saved, with the same predictions to 1e-7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import (
    CLOSE,
    MASK,
    described,
    hard_sigmoid_2,
    hard_sigmoid_3,
    keras2_file,
    plain,
    refused,
    sequences,
    sigmoid,
)

from pyrnn.io.keras import load

I, H = 4, 3  # noqa: E741
GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def drawn(kind: str, seed: int = 0, inputs: int = I, reset_after: bool = False) -> dict[str, np.ndarray]:
    """Random arrays of a layer, in the file's float32."""
    random, rows = np.random.default_rng(seed), GATES[kind] * H
    shapes = {"kernel": (inputs, rows), "recurrent_kernel": (H, rows), "bias": (2, rows) if reset_after else (rows,)}
    return {name: random.uniform(-0.9, 0.9, shape).astype(np.float32) for name, shape in shapes.items()}


def named(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}/{name}:0": array for name, array in arrays.items()}


def cell(kind: str, name: str, **options: Any) -> dict[str, Any]:
    """A recurrent layer's configuration, also with attributes that do not affect the result."""
    gates = {} if kind == "SimpleRNN" else {"recurrent_activation": "sigmoid", "implementation": 2}
    idle = {"trainable": True, "dropout": 0.2, "recurrent_dropout": 0.1, "unroll": True, "stateful": True,
            "kernel_initializer": {"class_name": "Zeros", "config": {}}, "bias_regularizer": None,
            "batch_input_shape": [None, None, I]}  # fmt: skip
    return described(kind, name, **{**idle, "units": H, "activation": "tanh", **gates, **options})


def outputs(
    kind: str, x: np.ndarray, arrays: dict[str, np.ndarray], gate: Any = sigmoid, hold: Any = None
) -> np.ndarray:
    return plain(kind, x, arrays["kernel"], arrays["recurrent_kernel"], arrays["bias"], gate, hold)


@pytest.mark.parametrize(
    ("version", "gate"),
    [("2.2.4", hard_sigmoid_2), ("2.2.4-tf", hard_sigmoid_2), ("2.13.1", hard_sigmoid_2), ("3.3.3", hard_sigmoid_3)],
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_the_version_says_which_hard_sigmoid(kind: str, version: str, gate: Any, tmp_path: Path) -> None:
    arrays = drawn(kind)
    layer = cell(kind, "rnn_1", recurrent_activation="hard_sigmoid", return_sequences=True)
    path = keras2_file(tmp_path / "model.h5", [layer], named("rnn_1/rnn_1", arrays), version)
    expected = outputs(kind, sequences(), arrays, gate)
    np.testing.assert_allclose(load(path)(sequences()), expected, **CLOSE)
    other = outputs(kind, sequences(), arrays, hard_sigmoid_2 if gate is hard_sigmoid_3 else hard_sigmoid_3)
    assert abs(expected - other).max() > 1e-2


@pytest.mark.parametrize("name", ["rnn_1", "encoder/rnn 1"])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"return_sequences": True}])
@pytest.mark.parametrize(
    ("kind", "reset_after"), [("SimpleRNN", False), ("LSTM", False), ("GRU", False), ("GRU", True)]
)
def test_recurrent_layers_compute_the_equations_of_keras(
    kind: str, reset_after: bool, options: dict[str, bool], name: str, tmp_path: Path
) -> None:
    arrays = drawn(kind, reset_after=reset_after)
    more = {"reset_after": reset_after} if kind == "GRU" else {}
    layer = cell(kind, name, **options, **more)
    path = keras2_file(tmp_path / "model.hdf5", [layer], named(f"{name}/{name}/while", arrays))
    x = sequences()
    every = outputs(kind, x[:, ::-1] if "go_backwards" in options else x, arrays)
    np.testing.assert_allclose(load(path)(x), every if "return_sequences" in options else every[:, -1], **CLOSE)


def test_a_gru_from_before_reset_after_computes_the_equations_of_keras(tmp_path: Path) -> None:
    arrays = drawn("GRU")
    path = keras2_file(tmp_path / "model.h5", [cell("GRU", "gru")], named("gru/gru", arrays), "2.0.8")
    np.testing.assert_allclose(load(path)(sequences()), outputs("GRU", sequences(), arrays)[:, -1], **CLOSE)


def test_a_bias_of_the_other_form_is_named(tmp_path: Path) -> None:
    arrays = drawn("GRU", reset_after=True)
    path = keras2_file(tmp_path / "model.h5", [cell("GRU", "gru", reset_after=False)], named("gru/gru", arrays))
    refused(path, 'layer "gru" (GRU)', "bias should have shape (9,), got (2, 9)", "the file's GRU is reset_after=True")


def test_unit_forget_bias_is_in_the_bias_already(tmp_path: Path) -> None:
    arrays, layer = drawn("LSTM"), cell("LSTM", "lstm", unit_forget_bias=True)
    path = keras2_file(tmp_path / "model.h5", [layer], named("lstm/lstm", arrays))
    np.testing.assert_allclose(load(path)(sequences()), outputs("LSTM", sequences(), arrays)[:, -1], **CLOSE)


def to_cudnn(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turns a layer's arrays into the layout of CuDNNLSTM and CuDNNGRU: blocks transposed, two biases in one row."""
    gates = GATES[kind]
    kernels = [block.T.reshape(block.shape) for block in np.split(arrays["kernel"], gates, axis=1)]
    recurrent = [block.T for block in np.split(arrays["recurrent_kernel"], gates, axis=1)]
    bias = arrays["bias"]
    halves = bias if bias.ndim == 2 else np.stack([0.25 * bias, 0.75 * bias])
    return {"kernel": np.hstack(kernels), "recurrent_kernel": np.hstack(recurrent), "bias": halves.reshape(-1)}


@pytest.mark.parametrize("inputs", [I, H, 7])
@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_in_the_layout_of_cudnn_compute_the_equations_of_keras(
    kind: str, by_name: bool, inputs: int, tmp_path: Path
) -> None:
    arrays = drawn(kind, inputs=inputs, reset_after=kind == "GRU")
    if by_name:
        layer = described(f"CuDNN{kind}", "rnn", units=H, return_sequences=True, return_state=False, time_major=False)
    else:
        layer = cell(kind, "rnn", return_sequences=True, **({"reset_after": True} if kind == "GRU" else {}))
    path = keras2_file(tmp_path / "model.h5", [layer], named("rnn/rnn", to_cudnn(kind, arrays)))
    x = sequences(inputs)
    np.testing.assert_allclose(load(path)(x), outputs(kind, x, arrays), **CLOSE)


def test_a_gru_of_cudnn_that_claims_reset_before_is_refused(tmp_path: Path) -> None:
    arrays, layer = to_cudnn("GRU", drawn("GRU", reset_after=True)), cell("GRU", "gru", reset_after=False)
    refused(keras2_file(tmp_path / "model.h5", [layer], named("gru/gru", arrays)), '"gru"', "reset_after=False")


MERGED: dict[str, Any] = {
    "concat": lambda y, z: np.concatenate([y, z], axis=-1),
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda y, z: (y + z) / 2,
}


@pytest.mark.parametrize("groups", [("forward_lstm_1", "backward_lstm_1"), ("forward_a/lstm_cell_1", "b/lstm_cell_2")])
@pytest.mark.parametrize("sequence", [True, False])
@pytest.mark.parametrize("merge_mode", MERGED)
def test_bidirectional_layers_compute_the_equations_of_keras(
    merge_mode: str, sequence: bool, groups: tuple[str, str], tmp_path: Path
) -> None:
    sides = [drawn("LSTM", seed) for seed in (1, 2)]
    inner = cell("LSTM", "lstm_1", return_sequences=sequence)
    layer = described("Bidirectional", "both", layer=inner, merge_mode=merge_mode)
    arrays = {
        name: array
        for group, side in zip(groups, sides, strict=True)
        for name, array in named(f"both/both/{group}", side).items()
    }
    x = sequences()
    y, z = outputs("LSTM", x, sides[0]), outputs("LSTM", x[:, ::-1], sides[1])
    expected = MERGED[merge_mode](*((y, z[:, ::-1]) if sequence else (y[:, -1], z[:, -1])))
    np.testing.assert_allclose(load(keras2_file(tmp_path / "model.h5", [layer], arrays))(x), expected, **CLOSE)


@pytest.mark.parametrize(
    ("version", "holds"), [("2.2.4", True), ("2.3.1", True), ("2.1.6-tf", True), ("2.2.4-tf", False), ("2.9.0", False)]
)
def test_masked_steps_of_bidirectional_layers_hold_or_are_zero_by_the_version(
    version: str, holds: bool, tmp_path: Path
) -> None:
    sides = [drawn("LSTM", seed) for seed in (1, 2)]
    layers = [
        described("Masking", "masking", mask_value=0.0, batch_input_shape=[None, 6, I]),
        described("Bidirectional", "both", layer=cell("LSTM", "lstm", return_sequences=True), merge_mode="concat"),
    ]
    arrays = named("both/both/forward_lstm", sides[0]) | named("both/both/backward_lstm", sides[1])
    x = sequences()
    forward = outputs("LSTM", x, sides[0], hold=MASK)
    backward = outputs("LSTM", x[:, ::-1], sides[1], hold=MASK[:, ::-1])[:, ::-1]
    expected = np.concatenate([forward, backward], axis=-1)
    if not holds:
        expected = expected * MASK[..., None]
    np.testing.assert_allclose(load(keras2_file(tmp_path / "model.h5", layers, arrays, version))(x), expected, **CLOSE)


DENSE = {"dense/dense/kernel:0": [[2.0], [0.0], [0.0], [1.0]], "dense/dense/bias:0": [0.5]}


def dense(**options: Any) -> dict[str, Any]:
    return described("Dense", "dense", units=1, activation="linear", **options)


def test_the_bare_list_of_layers_of_keras_before_2_2_3_is_read(tmp_path: Path) -> None:
    path = keras2_file(tmp_path / "m.h5", [dense()], DENSE, model={"class_name": "Sequential", "config": [dense()]})
    np.testing.assert_array_equal(load(path)(np.ones((1, I), np.float32)), [[3.5]])


def functional(first: str = "in", source: list[Any] | None = None, out: str = "dense") -> dict[str, Any]:
    nodes = [[source or ["in", 0, 0, {}]]]
    layers = [
        {**described("InputLayer", "in", batch_input_shape=[None, I]), "inbound_nodes": []},
        {**dense(), "inbound_nodes": nodes},
    ]
    config = {"layers": layers, "input_layers": [[first, 0, 0]], "output_layers": [[out, 0, 0]]}
    return {"class_name": "Model", "config": config}


def test_functional_models_of_keras_2_are_read(tmp_path: Path) -> None:
    path = keras2_file(tmp_path / "model.h5", [dense()], DENSE, model=functional())
    np.testing.assert_array_equal(load(path)(np.ones((1, I), np.float32)), [[3.5]])


@pytest.mark.parametrize(
    ("model", "because"),
    [
        (functional(first="dense"), "its input_layers are [['dense', 0, 0]], expected \"in\" alone"),
        (functional(out="in"), "its output_layers"),
        (
            functional(source=["dense", 0, 0, {}]),
            'layer "dense" (Dense): it should have one input, the layer before it',
        ),
        (functional(source=["in", 1, 0, {}]), "it should have one input"),
        (functional(source=["in", 0, 0, {"training": True}]), "called with training=True"),
        (functional(source=["in", 0, 0, {"initial_state": ["in", 0, 0]}]), "called with initial_state=['in', 0, 0]"),
    ],
)
def test_functional_models_that_are_no_chain_are_refused(model: dict[str, Any], because: str, tmp_path: Path) -> None:
    refused(keras2_file(tmp_path / "model.h5", [dense()], DENSE, model=model), because)


@pytest.mark.parametrize("axis", [-1, 2, [2]])
def test_a_norm_may_name_the_last_axis_in_three_ways(axis: Any, tmp_path: Path) -> None:
    layer = described("BatchNormalization", "bn", axis=axis, epsilon=0.25, batch_input_shape=[None, 6, 2])
    arrays = {"gamma": [1, 2], "beta": [0, 1], "moving_mean": [1, 0], "moving_variance": [0.75, 3.75]}
    path = keras2_file(tmp_path / "m.h5", [layer], {f"bn/bn/{name}:0": a for name, a in arrays.items()})
    np.testing.assert_array_equal(load(path)(np.ones((1, 6, 2), np.float32))[0, 0], [0, 2])
