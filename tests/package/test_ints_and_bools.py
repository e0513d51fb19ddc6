"""Every public argument that is an int or a bool is checked alike: by type, with one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rich")

import numpy as np

import pyrnn
from pyrnn import forecast, nn, train

X = np.zeros((4, 2, 3), np.float32)
SIZES: dict[str, Any] = {"input_size": 3, "hidden_size": 4}


def linear() -> nn.Linear:
    return nn.Linear(3, 3, seed=0)


def sgd() -> train.SGD:
    return train.SGD(linear(), lr=0.1)


def given(**options: Any) -> dict[str, Any]:
    return options


# The test calls each of these with the arguments that it needs.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    **{name: (getattr(pyrnn, name), SIZES) for name in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell")},
    "LSTM call": (pyrnn.LSTM(3, 4).__call__, given(input=X)),
    "LSTM vjp": (pyrnn.LSTM(3, 4).vjp, given(input=X)),
    "stream": (pyrnn.GRU(3, 4).stream, {}),
    "Linear": (nn.Linear, given(in_features=3, out_features=4)),
    "load_state_dict": (linear().load_state_dict, given(state_dict=linear().state_dict())),
    "Embedding": (nn.Embedding, given(num_embeddings=5, embedding_dim=3)),
    "Dropout": (nn.Dropout, {}),
    "SpatialDropout1D": (nn.SpatialDropout1D, {}),
    "Bidirectional": (nn.Bidirectional, given(forward=pyrnn.GRU(3, 4))),
    "Conv1d": (nn.Conv1d, given(in_channels=2, out_channels=3, kernel_size=1)),
    "AvgPool1d": (nn.AvgPool1d, given(kernel_size=2)),
    "BatchNorm1d": (nn.BatchNorm1d, given(num_features=3)),
    "LayerNorm": (nn.LayerNorm, given(normalized_shape=3)),
    "Softmax": (nn.Softmax, {}),
    "LogSoftmax": (nn.LogSoftmax, {}),
    "Flatten": (nn.Flatten, {}),
    "RepeatVector": (nn.RepeatVector, given(n=3)),
    "Reverse": (nn.Reverse, {}),
    "LastStep": (nn.LastStep, {}),
    "GlobalAveragePool1d": (nn.GlobalAveragePool1d, {}),
    "GlobalMaxPool1d": (nn.GlobalMaxPool1d, {}),
    "predict": (nn.Sequential(linear()).predict, given(input=X[0])),
    "fit": (train.fit, given(model=linear(), data=(X[0], X[0]), epochs=1, progress=False)),
    "SGD": (train.SGD, given(model=linear(), lr=0.1, momentum=0.9)),
    "Adam": (train.Adam, given(model=linear())),
    "AdamW": (train.AdamW, given(model=linear())),
    "ReduceLROnPlateau": (train.ReduceLROnPlateau, given(optimizer=sgd())),
    "CosineAnnealingLR": (train.CosineAnnealingLR, given(optimizer=sgd(), T_max=3)),
    "clip_grad_norm": (train.clip_grad_norm, given(gradients={}, max_norm=1.0)),
    "cross_entropy": (train.cross_entropy, given(input=X[0], target=np.array([0, 1]))),
    "nll_loss": (train.nll_loss, given(input=X[0], target=np.array([0, 1]))),
    "Series": (forecast.Series, given(target=np.sin(np.arange(300.0)), features=None, lookback=8, horizon=2)),
}
WRONG: dict[str, list[Any]] = {
    "bool": [1, 0.0, "yes", None, np.True_],
    "int": [True, 2.0, "2", np.True_, np.float64(2)],
}
ARGUMENTS = [
    (call, name, kind)
    for call, (function, _) in CALLS.items()
    for name, parameter in inspect.signature(function).parameters.items()
    for kind in WRONG
    if str(parameter.annotation).split(" | ")[0] == kind
]


def test_the_walk_meets_the_arguments() -> None:
    assert len(ARGUMENTS) >= 99


@pytest.mark.parametrize(("call", "name", "kind"), ARGUMENTS)
def test_a_wrong_type_is_refused_by_name(call: str, name: str, kind: str) -> None:
    function, needed = CALLS[call]
    for value in WRONG[kind]:
        with pytest.raises(TypeError, match=f"^{name} should be of type {kind}, got: {type(value).__name__}$"):
            function(**{**needed, name: value})


@pytest.mark.parametrize(("call", "name"), [(call, name) for call, name, kind in ARGUMENTS if kind == "int"])
def test_an_int_of_numpy_is_an_int(call: str, name: str) -> None:
    function, needed = CALLS[call]
    default = inspect.signature(function).parameters[name].default
    function(**{**needed, name: np.int64(needed.get(name, default if isinstance(default, int) else 1))})
