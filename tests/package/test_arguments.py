"""A sentence about an argument of a wrong kind names the argument and the value, and stays short."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import keras2_weights

import pyrnn
from pyrnn import export, forecast, nn, train, verify
from pyrnn.io import conversion as convert
from pyrnn.io import keras, notebook, onnx

X, Y = np.zeros((4, 3), np.float32), np.zeros((4, 2), np.float32)
SERIES = np.sin(np.arange(300) / 3)


def linear() -> nn.Linear:
    return nn.Linear(3, 2, seed=0)


def sgd() -> train.SGD:
    return train.SGD(linear(), lr=0.1)


def fit(**options: Any) -> Any:
    return train.fit(linear(), (X, Y), **{"epochs": 1, "progress": False, **options})


def series(**options: Any) -> Any:
    return forecast.Series(SERIES, None, **{"lookback": 8, "horizon": 2, **options})


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


WRONG = ["abc", b"abc", -1, float("nan"), [-1], Odd(), 1 + 2j, np.array([-1.5, 2]), -(10**5000)]

# Calls with an argument that takes none of these values; names differ by spaces where several calls have it.
NUMBERS: dict[str, Callable[[Any], Any]] = {
    "seed": lambda value: pyrnn.LSTM(3, 5, seed=value),
    "seed ": lambda value: pyrnn.GRUCell(3, 5, seed=value),
    "seed  ": lambda value: nn.Linear(3, 5, seed=value),
    "seed   ": lambda value: nn.Dropout(0.5, seed=value),
    "seed    ": lambda value: fit(seed=value),
    "seed     ": lambda value: forecast.train(series(), seed=value, progress=False),
    "dtype": lambda value: pyrnn.LSTM(3, 5, dtype=value),
    "dtype ": lambda value: nn.BatchNorm1d(3, dtype=value),
    "dtype  ": lambda value: notebook.load("no file", dtype=value),
    "dropout": lambda value: pyrnn.GRU(3, 5, 2, dropout=value),
    "lr": lambda value: train.Adam(linear(), lr=value),
    "eps": lambda value: train.Adam(linear(), eps=value),
    "eps ": lambda value: nn.LayerNorm(3, eps=value),
    "eps  ": lambda value: nn.BatchNorm1d(3, eps=value),
    "betas": lambda value: train.AdamW(linear(), betas=value),
    "betas[1]": lambda value: train.AdamW(linear(), betas=(0.9, value)),
    "weight_decay": lambda value: train.AdamW(linear(), weight_decay=value),
    "momentum": lambda value: train.SGD(linear(), 0.1, momentum=value),
    "dampening": lambda value: train.SGD(linear(), 0.1, dampening=value),
    "factor": lambda value: train.ReduceLROnPlateau(sgd(), factor=value),
    "patience": lambda value: train.ReduceLROnPlateau(sgd(), patience=value),
    "min_lr": lambda value: train.ReduceLROnPlateau(sgd(), min_lr=value),
    "T_max": lambda value: train.CosineAnnealingLR(sgd(), value),
    "max_norm": lambda value: train.clip_grad_norm({}, value),
    "clip_value": lambda value: train.clip_grad_value({}, value),
    "gradients": lambda value: train.clip_grad_norm(value, 1.0),
    "gradients ": lambda value: train.clip_grad_value(value, 1.0),
    "gradients  ": lambda value: sgd().step(value),
    "epochs": lambda value: fit(epochs=value),
    "batch_size": lambda value: fit(batch_size=value),
    "patience ": lambda value: fit(patience=value),
    "clip_norm": lambda value: fit(clip_norm=value),
    "shuffle": lambda value: fit(shuffle=value),
    "progress": lambda value: fit(progress=value),
    "hidden": lambda value: forecast.train(series(), hidden=value, progress=False),
    "epochs ": lambda value: forecast.train(series(), epochs=value, progress=False),
    "lookback": lambda value: series(lookback=value),
    "horizon": lambda value: series(horizon=value),
    "period": lambda value: series(period=value),
    "input_size": lambda value: pyrnn.RNN(value, 5),
    "n": lambda value: nn.RepeatVector(value),
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
def test_an_argument_that_is_no_such_number_is_refused_by_its_name(value: Any, name: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        NUMBERS[name](value)
    said, argument = str(caught.value), name.strip()
    assert said.startswith(f"{argument.partition('[')[0]}")
    assert any(word in said for word in ("should be", "must be", "should hold"))
    assert len(said) < 300


def test_gradients_of_none_say_what_they_should_be() -> None:
    with pytest.raises(TypeError, match=r"gradients should be arrays by parameter name.*\.parameters, got NoneType"):
        train.clip_grad_norm(None, 1.0)  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    optimizer = train.SGD(linear(), np.float32(0.5), momentum=np.array(0.25))  # type: ignore[arg-type]
    assert (optimizer.lr, optimizer.momentum) == (0.5, 0.25)
    assert pyrnn.LSTM(3, 5, seed=np.int64(3)).weight_ih_l0[0, 0] == pyrnn.LSTM(3, 5, seed=3).weight_ih_l0[0, 0]
    assert train.clip_grad_norm({}, float("inf")) == ({}, 0.0)


# -- a million letters -------------------------------------------------------------------------------------

LONG = "x" * 10**6
STATE = pyrnn.GRU(3, 5, seed=0).state_dict()


def saved(folder: Path, name: str, data: bytes = b"") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


WORDS: dict[str, Callable[[Path], Any]] = {
    "activation": lambda folder: pyrnn.LSTM(3, 5, activation=LONG),
    "recurrent_activation": lambda folder: pyrnn.GRU(3, 5, recurrent_activation=LONG),
    "nonlinearity": lambda folder: pyrnn.RNN(3, 5, nonlinearity=LONG),
    "nonlinearity of a cell": lambda folder: pyrnn.RNNCell(3, 5, nonlinearity=LONG),
    "masked_output": lambda folder: pyrnn.LSTM(3, 5, masked_output=LONG),
    "masked_output of a call": lambda folder: pyrnn.LSTM(3, 5)(np.zeros((2, 1, 3), np.float32), masked_output=LONG),
    "dtype": lambda folder: pyrnn.LSTM(3, 5, dtype=LONG),
    "format": lambda folder: pyrnn.LSTM(3, 5).quantize(LONG),
    "format of a network": lambda folder: nn.Sequential(pyrnn.LSTM(3, 5)).quantize(LONG),
    "Activation": lambda folder: nn.Activation(LONG),
    "padding": lambda folder: nn.Conv1d(1, 1, 1, padding=LONG),
    "merge_mode": lambda folder: nn.Bidirectional(pyrnn.LSTM(3, 5), merge_mode=LONG),
    "type of a description": lambda folder: nn.build({"type": LONG, "config": {}}),
    "name of a layer": lambda folder: nn.Sequential({LONG + ".": nn.Tanh()}),
    "value of a layer": lambda folder: nn.Sequential({LONG: 3}),  # type: ignore[dict-item]
    "loss": lambda folder: fit(loss=LONG),
    "optimizer": lambda folder: fit(optimizer=LONG),
    "argument of fit": lambda folder: fit(**{LONG: 1}),
    "mode": lambda folder: train.ReduceLROnPlateau(sgd(), mode=LONG),  # type: ignore[arg-type]
    "gradient": lambda folder: sgd().step({LONG: X}),
    "reduction": lambda folder: train.mse_loss(X, X, reduction=LONG),  # type: ignore[arg-type]
    "cell of a forecast": lambda folder: forecast.train(series(), cell=LONG),
    "option of trace": lambda folder: pyrnn.LSTM(3, 5).trace(np.zeros((2, 1, 3), np.float32), **{LONG: 1}),
    "key of a trace": lambda folder: pyrnn.LSTM(3, 5).trace(np.zeros((2, 1, 3), np.float32))[LONG],
    "option of from_state_dict": lambda folder: pyrnn.from_state_dict(STATE, **{LONG: 1}),
    "prefix": lambda folder: pyrnn.from_state_dict(STATE, LONG),
    "key of a state dict": lambda folder: pyrnn.GRU(3, 5).load_state_dict({**STATE, LONG: X}),
    "key of a state dict, weight": lambda folder: pyrnn.from_state_dict({**STATE, "weight_" + LONG: X}),
    "attribute": lambda folder: getattr(pyrnn.LSTM(3, 5), LONG),
    "option of load": lambda folder: pyrnn.load(
        saved(folder, "a.json", b'[{"type": "dense", "params": {"kernel": [[1.0]], "bias": [0.0]}}]'), **{LONG: 1}
    ),
    "suffix to save": lambda folder: pyrnn.save_state_dict(STATE, f"{folder}/a.{LONG}"),
    "suffix to save a Sequential": lambda folder: nn.Sequential(pyrnn.GRU(3, 5)).save(f"{folder}/a.{LONG}"),
    "suffix to convert": lambda folder: convert.convert(saved(folder, "a.npz"), f"{folder}/a.{LONG}"),
    "recurrent of a notebook": lambda folder: notebook.load(saved(folder, "a.json", b"[]"), recurrent=LONG),
    "output of onnx": lambda folder: pyrnn.load(onnx_file(folder), output=LONG),
    "against": lambda folder: verify.verify(saved(folder, "a.pt"), LONG, X),
    "recurrent_activation of load_weights": lambda folder: keras.load_weights(
        keras2_weights(folder / "a.h5", ["z"], {"z/z/kernel:0": X}),
        nn.Sequential(pyrnn.LSTM(3, 5)),
        recurrent_activation=LONG,
    ),
    "name of a C file": lambda folder: export.c(nn.Sequential(pyrnn.LSTM(3, 5)), LONG + "-", folder),
    "profile": lambda folder: export.c(nn.Sequential(pyrnn.LSTM(3, 5)), "a", folder, profile=LONG),
}


def onnx_file(folder: Path) -> Path:
    onnx.save(nn.Sequential(pyrnn.GRU(3, 5, batch_first=True)).eval(), folder / "a.onnx")
    return folder / "a.onnx"


@pytest.mark.parametrize("case", WORDS)
def test_a_word_of_a_million_letters_is_cut(case: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError, RuntimeError)) as caught:
        WORDS[case](tmp_path)
    assert "x" * 20 in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert all(len(note) < 1500 for note in getattr(caught.value, "__notes__", []))
