"""One layer of every type in pyrnn.nn, small and in float64, with an input for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyrnn
from pyrnn import nn

Array = NDArray[Any]
F64: dict[str, Any] = {"dtype": np.float64, "seed": 1}


def draws(*shape: int) -> Array:
    return np.random.default_rng(3).normal(size=shape)


def words(*shape: int) -> Array:
    return np.random.default_rng(3).integers(0, 6, shape)


def pair(**options: Any) -> pyrnn.Module:
    forward = pyrnn.LSTM(3, 4, batch_first=True, **F64)
    return nn.Bidirectional(forward, pyrnn.GRU(3, 4, batch_first=True, **F64), **options)


def network() -> nn.Sequential:
    inner = nn.Sequential({"norm": nn.LayerNorm(8, dtype=np.float64), "head": nn.LastStep(batch_first=True)})
    return nn.Sequential(
        nn.Embedding(6, 3, mask_zero=True, **F64),
        pair(),
        nn.SpatialDropout1D(0.0, batch_first=True),
        inner,
        nn.Linear(8, 2, **F64),
    )


SAMPLES: dict[str, tuple[Callable[[], Any], Callable[[], Array]]] = {
    "RNN": (lambda: pyrnn.RNN(3, 4, nonlinearity="relu", **F64), lambda: draws(5, 2, 3)),
    "LSTM": (lambda: pyrnn.LSTM(3, 4, proj_size=2, peephole=True, **F64), lambda: draws(5, 2, 3)),
    "GRU": (lambda: pyrnn.GRU(3, 4, reset_after=False, masked_output="hold", **F64), lambda: draws(5, 2, 3)),
    "Linear": (lambda: nn.Linear(3, 4, **F64), lambda: draws(2, 5, 3)),
    "Embedding": (lambda: nn.Embedding(6, 3, padding_idx=-2, mask_zero=True, **F64), lambda: words(2, 5)),
    "Dropout": (lambda: nn.Dropout(0.4, seed=1), lambda: draws(4, 5)),
    "SpatialDropout1D": (lambda: nn.SpatialDropout1D(0.4, batch_first=True, seed=1), lambda: draws(4, 5, 3)),
    "Flatten": (lambda: nn.Flatten(1, -2), lambda: draws(2, 3, 2, 4)),
    "Reshape": (lambda: nn.Reshape((3, -1)), lambda: draws(2, 12)),
    "Permute": (lambda: nn.Permute((2, 0, 1)), lambda: draws(2, 3, 4)),
    "RepeatVector": (lambda: nn.RepeatVector(3, batch_first=True), lambda: draws(2, 4)),
    "Reverse": (lambda: nn.Reverse(batch_first=True), lambda: draws(2, 3, 4)),
    "ReLU": (lambda: nn.ReLU(), lambda: draws(3, 4)),
    "Sigmoid": (lambda: nn.Sigmoid(), lambda: draws(3, 4)),
    "Tanh": (lambda: nn.Tanh(), lambda: draws(3, 4)),
    "LogSoftmax": (lambda: nn.LogSoftmax(dim=1), lambda: draws(2, 5, 3)),
    "Softmax": (lambda: nn.Softmax(dim=1), lambda: draws(2, 5, 3)),
    "Activation": (lambda: nn.Activation("elu", alpha=0.7), lambda: draws(3, 4)),
    "LayerNorm": (lambda: nn.LayerNorm((3, 4), dtype=np.float64), lambda: draws(2, 5, 3, 4)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3, dtype=np.float64), lambda: draws(4, 3, 5)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3, dtype=np.float64), lambda: draws(2, 3, 4, 5)),
    "Bidirectional": (lambda: pair(merge_mode="mul"), lambda: draws(2, 5, 3)),
    "ChannelsLast": (lambda: nn.ChannelsLast(nn.Conv1d(3, 2, 3, **F64)), lambda: draws(2, 5, 3)),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, groups=2, **F64), lambda: draws(2, 4, 7)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, (3, 2), padding="same", **F64), lambda: draws(2, 2, 4, 5)),
    "MaxPool1d": (lambda: nn.MaxPool1d(2), lambda: draws(2, 3, 6)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2, stride=1), lambda: draws(2, 3, 4, 4)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2, padding=1), lambda: draws(2, 3, 6)),
    "AvgPool2d": (lambda: nn.AvgPool2d((2, 1)), lambda: draws(2, 3, 4, 4)),
    "GlobalAveragePool1d": (lambda: nn.GlobalAveragePool1d(batch_first=True), lambda: draws(2, 5, 3)),
    "GlobalMaxPool1d": (lambda: nn.GlobalMaxPool1d(masked=False), lambda: draws(5, 2, 3)),
    "GlobalAveragePool2d": (lambda: nn.GlobalAveragePool2d(), lambda: draws(2, 3, 4, 5)),
    "GlobalMaxPool2d": (lambda: nn.GlobalMaxPool2d(), lambda: draws(2, 3, 4, 5)),
    "LastStep": (lambda: nn.LastStep(), lambda: draws(5, 2, 3)),
    "Masking": (lambda: nn.Masking(0.5), lambda: draws(2, 5, 3)),
    "Sequential": (network, lambda: words(2, 5)),
}
