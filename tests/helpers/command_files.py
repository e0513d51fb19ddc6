"""Runs the command in this process, and makes files for it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from keras_files import built, keras, sequences

import pyrnn
from pyrnn import nn
from pyrnn.cli import app as cli


def call(*arguments: str | Path) -> int:
    """Runs the command in this process and returns its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(map(str, arguments)))
    return int(ended.value.code or 0)


def network() -> nn.Sequential:
    gru = pyrnn.GRU(3, 5, batch_first=True, seed=0)
    return nn.Sequential({"rnn": gru, "last": nn.LastStep(batch_first=True), "out": nn.Linear(5, 2, seed=1)})


def keras_model(path: Path) -> Path:
    layers = [keras.layers.LSTM(5, name="rnn"), keras.layers.Dense(2, activation="softmax", name="out")]
    built(layers, sequences()).save(path)
    return path


def checkpoint(path: Path) -> Path:
    """Saves a checkpoint of a torch model with two recurrent layers and a linear one."""
    parts = {"encoder": torch.nn.GRU(3, 5), "decoder": torch.nn.RNN(5, 4), "out": torch.nn.Linear(4, 2)}
    torch.save({"epoch": 7, "model": torch.nn.ModuleDict(parts).state_dict()}, path)
    return path
