"""Keras layers and the layers of pyrnn that take their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from keras_files import built, keras

import pyrnn
from pyrnn import nn

L = keras.layers
Pair = tuple[Callable[[], list[Any]], Callable[[], list[Any]]]
FIRST: dict[str, Any] = {"batch_first": True}


def last() -> nn.LastStep:
    return nn.LastStep(batch_first=True)


PAIRS: dict[str, Pair] = {
    "rnn": (
        lambda: [L.SimpleRNN(5), L.Dense(2, activation="tanh")],
        lambda: [pyrnn.RNN(4, 5, **FIRST), last(), nn.Linear(5, 2), nn.Tanh()],
    ),
    "lstm": (
        lambda: [L.LSTM(5, return_sequences=True), L.Dropout(0.5), L.LSTM(3, use_bias=False)],
        lambda: [pyrnn.LSTM(4, 5, **FIRST), pyrnn.LSTM(5, 3, bias=False, **FIRST), last()],
    ),
    "gru": (
        lambda: [L.GRU(5, return_sequences=True), L.GRU(3, reset_after=False)],
        lambda: [pyrnn.GRU(4, 5, **FIRST), pyrnn.GRU(5, 3, reset_after=False, **FIRST), last()],
    ),
    "bidirectional": (
        lambda: [L.Bidirectional(L.LSTM(5), merge_mode="mul")],
        lambda: [nn.Bidirectional(pyrnn.LSTM(4, 5, **FIRST), merge_mode="mul", return_sequences=False)],
    ),
    "norms": (
        lambda: [L.BatchNormalization(), L.LayerNormalization(), L.Dense(2, use_bias=False), L.BatchNormalization()],
        lambda: [nn.ChannelsLast(nn.BatchNorm1d(4, eps=1e-3)), nn.LayerNorm(4, eps=1e-3), nn.Linear(4, 2, bias=False),
                 nn.ChannelsLast(nn.BatchNorm1d(2, eps=1e-3))],
    ),
    "conv": (
        lambda: [L.Conv1D(6, 3, padding="same"), L.Flatten(), L.Dense(2)],
        lambda: [nn.ChannelsLast(nn.Conv1d(4, 6, 3, padding="same")), nn.Flatten(), nn.Linear(36, 2)],
    ),
    "time distributed": (
        lambda: [L.GRU(5, return_sequences=True), L.TimeDistributed(L.Dense(3)), L.TimeDistributed(L.Dense(2))],
        lambda: [pyrnn.GRU(4, 5, **FIRST), nn.Linear(5, 3), nn.Linear(3, 2)],
    ),
}  # fmt: skip


def saved(path: Path, layers: list[Any], x: np.ndarray) -> Any:
    """Builds a Keras model, saves its weights alone in the layout of the suffix, and returns the model."""
    model = built(layers, x)
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
        with h5py.File(path, "r+") as file:  # Keras 3 writes this layout in full models only
            for name, value in file["model_weights"].attrs.items():
                file.attrs[name] = value
            for name in list(file["model_weights"]):
                file.move(f"model_weights/{name}", name)
            del file["model_weights"], file.attrs["model_config"]
    return model
