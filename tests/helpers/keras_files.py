"""Keras models with random weights, files of them, and files in Keras 2's layout written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras_backend  # noqa: F401  (before Keras)
import numpy as np
import pytest

# isort: split
import keras

from pyrnn import nn
from pyrnn.io.keras import load

# The sequences have padding in front, holes, padding behind, no step, and all steps.
MASK = np.array(
    [[0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool
)
BATCH, STEPS = MASK.shape

# Keras itself warns of torch's tensors, and where it drops a mask.
KERAS_WARNS = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer .* does not support masking:UserWarning"),
]

# Both sum some dozens of products of order 1 in float32, in another order, through up to 12 steps; the error is up to
# 1e-6.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def sequences(features: int = 4) -> np.ndarray:
    """float32 [B,T,features], zero where MASK is not set."""
    values = np.random.default_rng(1).normal(size=(BATCH, STEPS, features))
    return (values * MASK[..., None]).astype(np.float32)


def words() -> np.ndarray:
    """int64 [B,T] from 1 to 8, 0 where MASK is not set."""
    return np.random.default_rng(2).integers(1, 9, MASK.shape) * MASK


def images() -> np.ndarray:
    """float32 [B,9,7,3]."""
    return np.random.default_rng(3).normal(size=(BATCH, 9, 7, 3)).astype(np.float32)


def built(layers: list[Any], x: np.ndarray, batched: bool = False, functional: bool = False) -> Any:
    """A Keras model of these layers for inputs like x, with random weights and biases."""
    keras.utils.set_random_seed(0)
    batch = {"batch_size": len(x)} if batched else {}
    first = keras.Input(x.shape[1:], dtype=x.dtype.name, **batch)
    if functional:
        y = first
        for layer in layers:
            y = layer(y)
        model = keras.Model(first, y)
    else:
        model = keras.Sequential([first, *layers])
    random = np.random.default_rng(0)
    for weight in model.weights:
        if "state" not in weight.path:
            low, high = (0.5, 1.5) if "variance" in weight.path else (-0.9, 0.9)
            weight.assign(random.uniform(low, high, weight.shape))
    return model


def predicted(model: Any, x: np.ndarray) -> np.ndarray:
    """The outputs of Keras in evaluation mode."""
    return np.asarray(model(x, training=False).detach())


def agrees(path: Path, model: Any, x: np.ndarray) -> nn.Sequential:
    """Reads the file by pyrnn, asserts that the model computes what Keras' does, and returns it."""
    loaded = load(path)
    expected = predicted(model, x)
    assert np.ptp(expected) > 0.01  # outputs that are all alike would fit any weights
    np.testing.assert_allclose(loaded.predict(x), expected, **CLOSE)
    return loaded


def refused(path: Path, *because: str) -> None:
    """Asserts that the file is refused in one sentence that names it and holds all these words."""
    with pytest.raises(ValueError, match="cannot be loaded: ") as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert len(message) < len(str(path)) + 700
    for words_of_it in because:
        assert words_of_it in message, message


def plain(kind: str, x: np.ndarray, kernel: Any, recurrent: Any, bias: Any, gate: Any, hold: Any = None) -> np.ndarray:
    """All outputs [B,T,H] of a layer in float64, as Keras defines it.

    A bias is [G*H], or [2,3H] for a GRU with reset_after; `gate` is the recurrent activation. `hold`, bool [B,T], is
    true at the active steps; the others repeat the output before them.
    """
    hidden = recurrent.shape[0]
    split = lambda values: [values[..., i : i + hidden] for i in range(0, values.shape[-1], hidden)]  # noqa: E731
    h = c = np.zeros((len(x), hidden))
    outputs = []
    for t in range(x.shape[1]):
        one_bias, other_bias = bias if np.ndim(bias) == 2 else (bias, 0)
        a, b = x[:, t] @ kernel + one_bias, h @ recurrent + other_bias
        if kind == "LSTM":
            i, f, g, o = split(a + b)
            new_c = gate(f) * c + gate(i) * np.tanh(g)
            new_h = gate(o) * np.tanh(new_c)
        elif kind == "GRU":
            (az, ar, an), (bz, br, bn) = split(a), split(b)
            z, r = gate(az + bz), gate(ar + br)
            n = np.tanh(an + (r * bn if np.ndim(bias) == 2 else (r * h) @ recurrent[:, 2 * hidden :]))
            new_h, new_c = z * h + (1 - z) * n, c
        else:
            new_h, new_c = np.tanh(a + b), c
        keep = np.ones((len(x), 1), bool) if hold is None else hold[:, t, None]
        h, c = np.where(keep, new_h, h), np.where(keep, new_c, c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def hard_sigmoid_2(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def hard_sigmoid_3(x: np.ndarray) -> np.ndarray:
    return np.clip(x + 3, 0, 6) / 6


# -- files of Keras 2, written by hand ---------------------------------------------------------------------


def described(kind: str, name: str, /, **config: Any) -> dict[str, Any]:
    """The configuration of a layer in the form of Keras 2."""
    return {"class_name": kind, "config": {"name": name, **config}}


def keras2_file(
    path: Path,
    layers: list[dict[str, Any]],
    arrays: Mapping[str, Any],
    version: str | None = "2.2.4",
    model: Any = None,
) -> Path:
    """A full model in HDF5 as Keras 2 writes it; the names of arrays are "layer/group/name:0"."""
    with h5py.File(path, "w") as file:
        config = {"class_name": "Sequential", "config": {"name": "sequential_1", "layers": layers}}
        file.attrs["model_config"] = json.dumps(model or config).encode()
        file.attrs["backend"] = b"tensorflow"
        if version is not None:
            file.attrs["keras_version"] = version.encode()
        weights = file.create_group("model_weights")
        _write(weights, [layer["config"]["name"] for layer in layers], arrays)
    return path


def keras2_weights(path: Path, layer_names: list[str], arrays: Mapping[str, Any], version: str = "2.2.4") -> Path:
    """Weights alone in HDF5 as Keras 2's save_weights writes them."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version.encode()
        _write(file, layer_names, arrays)
    return path


def _write(group: Any, layer_names: list[str], arrays: Mapping[str, Any]) -> None:
    group.attrs["layer_names"] = [name.encode() for name in layer_names]
    for layer in layer_names:
        mine = [name for name in arrays if name.startswith(f"{layer}/")]
        group.require_group(layer).attrs["weight_names"] = [name.removeprefix(f"{layer}/").encode() for name in mine]
    for name, array in arrays.items():
        group[name] = np.asarray(array, np.float32)
