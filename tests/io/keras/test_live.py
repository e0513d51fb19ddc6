"""A live Keras model is converted as its file would be, on Keras' backends torch and JAX."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import CLOSE, KERAS_WARNS, built, images, keras, predicted, sequences, words

import pyrnn

pytestmark = KERAS_WARNS
L = keras.layers
CHAINS: dict[str, tuple[Any, list[Any]]] = {
    "recurrent": (sequences(), [L.Masking(), L.Bidirectional(L.GRU(5, return_sequences=True)), L.LSTM(4, dropout=0.3),
                                L.Dense(2, activation="softmax")]),
    "reset before, sums": (sequences(), [L.Bidirectional(L.GRU(5, reset_after=False), merge_mode="sum")]),
    "words": (words(), [L.Embedding(9, 4, mask_zero=True), L.SimpleRNN(5, return_sequences=True),
                        L.TimeDistributed(L.Dense(3)), L.GlobalMaxPooling1D()]),
    "images": (images(), [L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(2), L.BatchNormalization(), L.Flatten(),
                          L.Dense(3)]),
}  # fmt: skip


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_converted_model_computes_what_the_live_model_does(name: str, functional: bool) -> None:
    x, layers = CHAINS[name]
    model = built([type(layer).from_config(layer.get_config()) for layer in layers], x, functional=functional)
    converted = pyrnn.load(model)
    expected = predicted(model, x)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(converted.predict(x), expected, **CLOSE)
    for variable in model.trainable_variables:
        variable.assign(variable * 0)
    np.testing.assert_allclose(converted.predict(x), expected, **CLOSE)


def test_model_that_is_not_converted_is_named_with_the_reason() -> None:
    x = keras.Input((6, 4), name="x")
    branches = keras.Model(x, L.Add()([L.GRU(3)(x), L.LSTM(3)(x)]), name="branches")
    with pytest.raises(ValueError, match=r'Keras model "branches" cannot be converted: .* one chain'):
        pyrnn.load(branches)
    nested = keras.Sequential([x, keras.Sequential([L.GRU(3)], name="inner")])
    with pytest.raises(ValueError, match=r'layer "inner" .*a model within a model is not supported'):
        pyrnn.load(nested)
    with pytest.raises(ValueError, match="it has no weights yet"):
        pyrnn.load(keras.Sequential([L.GRU(3)]))
    with pytest.raises(TypeError, match="a live Keras model takes no options, got prefix="):
        pyrnn.load(branches, prefix="rnn.")

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = L.GRU(3)

        def call(self, x: Any) -> Any:
            return self.rnn(x)

    own = Own()
    own(sequences())
    with pytest.raises(ValueError, match="cannot be converted"):
        pyrnn.load(own)


ON_JAX = """
import keras, numpy as np, pyrnn
L = keras.layers
model = keras.Sequential([keras.Input((6, 4)), L.Bidirectional(L.GRU(5, return_sequences=True)), L.LSTM(4)])
x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype(np.float32)
np.testing.assert_allclose(pyrnn.load(model).predict(x), np.asarray(model(x)), rtol=1e-5, atol=1e-5)
import pyrnn.keras
try:
    pyrnn.keras.accelerate(model)
except RuntimeError as error:
    print(error)
"""


@pytest.mark.jax
@pytest.mark.slow
def test_model_on_jax_is_converted_and_not_accelerated() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_JAX],
        env=os.environ | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Keras computes with jax here")
