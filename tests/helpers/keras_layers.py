"""Keras layers that pyrnn reads: a name, and a function that makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_files import keras

L = keras.layers
Make = Callable[[], list[Any]]
CELLS: dict[str, Callable[..., Any]] = {
    "rnn": lambda **options: L.SimpleRNN(5, **options),
    "lstm": lambda **options: L.LSTM(5, **options),
    "gru": lambda **options: L.GRU(5, **options),
    "gru, reset before": lambda **options: L.GRU(5, reset_after=False, **options),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "last": {},
    "all": {"return_sequences": True},
    "backwards": {"go_backwards": True},
    "all backwards": {"go_backwards": True, "return_sequences": True},
    "no bias": {"use_bias": False},
    "relu": {"activation": "relu"},
    "linear": {"activation": "linear", "unroll": True},
    "dropout": {"dropout": 0.5, "recurrent_dropout": 0.5, "return_sequences": True},
}
RECURRENT: dict[str, Make] = {
    f"{cell}, {how}": lambda make=make, options=options: [make(**options)]
    for cell, make in CELLS.items()
    for how, options in OPTIONS.items()
}
RECURRENT |= {
    "lstm, hard gates": lambda: [L.LSTM(5, recurrent_activation="hard_sigmoid")],
    "gru, hard gates": lambda: [L.GRU(5, activation="sigmoid", recurrent_activation="hard_sigmoid")],
    "stack": lambda: [L.LSTM(5, return_sequences=True), L.Dropout(0.5), L.GRU(4, return_sequences=True), L.LSTM(3)],
}
BIDIRECTIONAL: dict[str, Make] = {
    f"{cell}, {merge}, {how}": lambda make=make, merge=merge, options=OPTIONS[how]: [
        L.Bidirectional(make(**options), merge_mode=merge)
    ]
    for cell, make in CELLS.items()
    for merge in ("concat", "sum", "mul", "ave")
    for how in ("last", "all")
}
BIDIRECTIONAL |= {
    "two kinds": lambda: [
        L.Bidirectional(L.LSTM(5), backward_layer=L.GRU(3, go_backwards=True, name="other"), merge_mode="concat")
    ],
    "stack": lambda: [L.Bidirectional(L.GRU(5, return_sequences=True)), L.Bidirectional(L.LSTM(3, name="forward"))],
}
AROUND: dict[str, Make] = {
    "dense": lambda: [L.Dense(5, activation="relu"), L.Dense(3, use_bias=False, activation="softmax")],
    "time distributed": lambda: [L.TimeDistributed(L.Dense(5, activation="tanh")), L.Flatten(), L.Dense(2)],
    "conv": lambda: [L.Conv1D(8, 3, activation="relu"), L.MaxPooling1D(2), L.Conv1D(6, 2, padding="same")],
    "conv, causal": lambda: [L.Conv1D(8, 3, padding="causal", dilation_rate=2), L.GlobalMaxPooling1D()],
    "conv, same": lambda: [L.Conv1D(8, 4, strides=3, padding="same"), L.AveragePooling1D(2, padding="same")],
    "conv, groups": lambda: [L.Conv1D(6, 3, groups=2, use_bias=False), L.GlobalAveragePooling1D()],
    "batch norm": lambda: [L.BatchNormalization(epsilon=0.1), L.GlobalAveragePooling1D(), L.BatchNormalization()],
    "batch norm, plain": lambda: [L.BatchNormalization(center=False), L.BatchNormalization(scale=False)],
    "layer norm": lambda: [L.LayerNormalization(), L.LayerNormalization(center=False, epsilon=0.1)],
    "layer norm, no scale": lambda: [L.LayerNormalization(scale=False)],
    "moves": lambda: [L.Permute((2, 1)), L.Reshape((-1, 3)), L.Flatten(), L.Dense(4), L.RepeatVector(3), L.GRU(2)],
    "dropouts": lambda: [L.SpatialDropout1D(0.5), L.Dropout(0.5), L.Dense(2)],
    "exponential": lambda: [L.Dense(9, activation="exponential"), L.Dense(2)],
    "relu": lambda: [L.Dense(9), L.ReLU(), L.Dense(9), L.LeakyReLU(negative_slope=0.4), L.ELU(0.7), L.Softmax()],
    **{
        name: lambda name=name: [L.Dense(9, activation=name), L.Dense(9), L.Activation(name)]
        for name in ("elu", "selu", "softplus", "softsign", "silu", "gelu", "sigmoid", "tanh",
                     "hard_sigmoid", "leaky_relu", "linear", "softmax")
    },
}  # fmt: skip
ON_IMAGES: dict[str, Make] = {
    "valid": lambda: [L.Conv2D(4, 3, strides=(2, 1)), L.MaxPooling2D((1, 2)), L.Flatten(), L.Dense(3)],
    "same": lambda: [L.Conv2D(4, (3, 2), padding="same", dilation_rate=2), L.AveragePooling2D(2, padding="same")],
    "norm": lambda: [L.BatchNormalization(), L.MaxPooling2D(3, strides=2, padding="same"), L.GlobalMaxPooling2D()],
    "average": lambda: [L.Conv2D(4, 3, strides=2, padding="same", activation="relu"), L.GlobalAveragePooling2D()],
}
