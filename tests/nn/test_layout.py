"""A network warns once, when it is made, of layers that take other axes than the layer before gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nn_samples import draws

from pyrnn import GRU, LSTM, RNN, nn

FIRST: dict[str, Any] = {"batch_first": True}
S = nn.Sequential

DISAGREE: dict[str, tuple[Callable[[], Any], str]] = {
    "last step": (lambda: S(GRU(3, 4, **FIRST), nn.LastStep()), r"LastStep \(1\) takes \[T,B,C\].*GRU \(0\).*=True"),
    "the other way": (lambda: S(RNN(3, 4), nn.LastStep(**FIRST)), r"takes \[B,T,C\].*RNN \(0\).*batch_first=False"),
    "maximum": (lambda: S(LSTM(3, 4, **FIRST), nn.Linear(4, 4), nn.GlobalMaxPool1d()), r"GlobalMaxPool1d \(2\)"),
    "mean": (lambda: S(nn.Bidirectional(GRU(3, 4)), nn.GlobalAveragePool1d(**FIRST)), r"Bidirectional \(0\) gives"),
    "nested": (
        lambda: S(S(GRU(3, 4, **FIRST), nn.ReLU()), S({"drop": nn.Dropout(), "head": nn.LastStep()})),
        r"LastStep \(1\.head\) .* GRU \(0\.0\)",
    ),
    "flatten": (lambda: S(GRU(3, 4), nn.Tanh(), nn.Flatten()), r"Flatten \(2\) takes axis 0 to be the batch"),
    "flatten of two axes": (lambda: S(GRU(3, 4), nn.Flatten(1, 2)), r"Flatten \(1\) takes axis 0"),
    "reshape": (lambda: S(GRU(3, 4), nn.Reshape((-1,))), r"Reshape \(1\) takes axis 0"),
    "repeat": (lambda: S(nn.RepeatVector(5), GRU(4, 5, **FIRST)), r"RepeatVector \(0\) gives \[T,B,C\]"),
    "two layers": (lambda: S(GRU(3, 4, **FIRST), LSTM(4, 5)), r"LSTM \(1\) takes \[T,B,C\]"),
    "reverse": (lambda: S(GRU(3, 4, **FIRST), nn.Reverse()), r"Reverse \(1\)"),
    "dropout of channels": (lambda: S(GRU(3, 4, **FIRST), nn.SpatialDropout1D(0.5)), r"SpatialDropout1D \(1\)"),
    "moved": (lambda: S(GRU(3, 4, **FIRST), nn.Permute((1, 0, 2)), nn.LastStep(**FIRST)), r"Permute \(1\) gives \[T"),
    "channels first": (lambda: S(nn.Conv1d(3, 8, 3), nn.ReLU(), GRU(8, 4, **FIRST)), r"Permute\(\(0, 2, 1\)\)"),
    "head of a convolution": (lambda: S(nn.Conv1d(3, 8, 3), nn.GlobalMaxPool1d(**FIRST)), r"Conv1d \(0\) gives"),
    "convolution behind": (lambda: S(GRU(3, 8, **FIRST), nn.Conv1d(8, 4, 3)), r"nn\.ChannelsLast"),
    "pooling behind": (lambda: S(GRU(3, 8, **FIRST), nn.MaxPool1d(2)), r"MaxPool1d \(1\) takes \[B,C,T\]"),
    "channels last": (lambda: S(nn.ChannelsLast(nn.Conv1d(3, 4, 3)), GRU(4, 5)), r"ChannelsLast \(0\) gives \[B,T"),
}  # fmt: skip

AGREE: dict[str, Callable[[], Any]] = {
    "batch first": lambda: S(GRU(3, 4, **FIRST), nn.Linear(4, 4), nn.LastStep(**FIRST), nn.Flatten()),
    "time first": lambda: S(GRU(3, 4), nn.LayerNorm(4), nn.GlobalMaxPool1d(), nn.Linear(4, 1), nn.Reshape((1, 1))),
    "moved": lambda: S(GRU(3, 4, **FIRST), nn.Permute((1, 0, 2)), nn.LastStep()),
    "flatten of steps": lambda: S(GRU(3, 4), nn.Flatten(0, 1), nn.Linear(4, 2)),
    "flatten of batch first": lambda: S(GRU(3, 4, **FIRST), nn.Flatten()),
    "permuted": lambda: S(nn.Conv1d(3, 8, 3), nn.MaxPool1d(2), nn.Permute((0, 2, 1)), GRU(8, 4, **FIRST)),
    "steps as features": lambda: S(nn.Conv1d(3, 8, 3), GRU(5, 4, **FIRST)),
    "normalized steps": lambda: S(GRU(3, 4, **FIRST), nn.BatchNorm1d(7)),
    "channels last": lambda: S(*map(nn.ChannelsLast, (nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4))), GRU(4, 5, **FIRST)),
    "last of both directions": lambda: S(nn.Bidirectional(GRU(3, 4), return_sequences=False), nn.Flatten()),
    "a vector repeated": lambda: S(GRU(3, 4, **FIRST), nn.LastStep(**FIRST), nn.RepeatVector(3), GRU(4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREE)
def test_axes_that_disagree_warn_once_when_the_network_is_made(name: str) -> None:
    make, words = DISAGREE[name]
    with pytest.warns(UserWarning, match=words) as told:
        network = make()
    assert len(told) == 1
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        S(S(*network))


@pytest.mark.parametrize("name", AGREE)
def test_axes_that_agree_do_not_warn(name: str) -> None:
    AGREE[name]()  # every warning is an error here


def test_predict_warns_where_it_would_cut_sequences() -> None:
    model, x = S(nn.LayerNorm(3), GRU(3, 4, seed=0)), draws(9, 2, 3).astype(np.float32)
    whole = model.predict(x)  # one batch holds the whole sequences
    np.testing.assert_array_equal(model.predict(x, 1, batch_axis=1), whole)
    with pytest.warns(UserWarning, match=r"axis 0, and GRU \(1\) takes \[T,B,C\].*it would cut.*batch_axis=1"):
        model.predict(x, 4)
