"""Reads models and weights of Keras 2 and 3 with pyfive (pip install "pyrnn-cpu[keras]"), without Keras or TensorFlow.

It reads `.keras`, full models in `.h5` or `.hdf5`, and weights alone (`.h5`, `.weights.h5`) into an existing model.
Files may come from strangers: nothing in them is executed, and the memory they take is bounded by their size. A layer
or an attribute without a counterpart raises an error that names it, and no half-built model is left.

Settings that only change training are dropped: initializers, regularizers, constraints, dropout inside a recurrent
layer, the optimizer. stateful=True is accepted, but each call starts from zeros: the caller keeps the state, which
`pyrnn.LSTM.__call__` takes and returns. If all steps of a sequence are masked, pyrnn returns zeros where Keras'
GlobalAveragePooling1D returns NaN.

Source: https://keras.io/api/models/model_saving_apis/
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from pyrnn import nn
from pyrnn.io.loading import load_kind
from pyrnn.weights.source import printable

from . import container
from .into import fill

__all__ = ["load", "load_weights"]


def load(path: str | os.PathLike[str], *, limit: int | None = None) -> nn.Sequential:
    """`pyrnn.load` for a file of Keras: a `.keras` file, or a full-model `.h5` or `.hdf5` file.

    Args:
        path: the path of a file that Keras 2 or 3 (tf.keras included) saved: a Sequential, or a functional model that
            is one chain of layers.
        limit: the number of bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.

    Returns:
        A Sequential of batch-first layers in evaluation mode, for inputs [B,T,*] as in Keras, with the model's
        precision (float32 or float64). Layers have Keras' names; those of an activation or a last step have the class
        added: "dense", "dense_softmax", "lstm_last_step".

    Raises:
        ValueError: if the file is damaged, holds weights alone, or has an unsupported layer or attribute, which the
            message names.
        FileNotFoundError: if the file does not exist.
        ImportError: if pyfive is not installed.

    >>> import h5py, json, tempfile, numpy as np
    >>> dense = {"class_name": "Dense", "config": {"name": "out", "units": 2, "activation": "relu"}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/model.h5", "w") as file:
    ...         file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [dense]}})
    ...         file["model_weights/out/out/kernel:0"] = np.eye(2)
    ...         file["model_weights/out/out/bias:0"] = [0.0, 1.0]
    ...     load(f"{folder}/model.h5")(np.array([[-1.0, 5.0]], np.float32))
    array([[0., 6.]], dtype=float32)

    Source: https://keras.io/api/models/model_saving_apis/model_saving_and_loading/
    """
    model: nn.Sequential = load_kind("keras", path, limit)
    return model


def load_weights(
    path: str | os.PathLike[str],
    model: nn.Sequential,
    *,
    recurrent_activation: str | Sequence[str] | None = None,
    limit: int | None = None,
) -> None:
    """Reads the weights of a file into an existing model: all of them, or none if there is an error.

    A file of weights alone does not tell the activations, nor whether a Bidirectional sums or concatenates; the model
    does. The model's layers with weights have to be those of Keras, in the same order. If the file holds the layers
    too, they are compared with the model's.

    Keras has the channels last. In a model that has them first, as in torch, `nn.Flatten` orders the features
    differently from Keras' Flatten, and the weights behind it are reordered. Where weights alone do not tell what
    Keras computed, as behind an `nn.Permute` of such channels, a ValueError names the layer; `nn.ChannelsLast` around
    the convolutions, poolings and norms has Keras' own layout. Keras' data_format is assumed to be "channels_last".

    Args:
        path: a `.h5`, `.hdf5` or `.weights.h5` file of Keras' save_weights, or a file that `load` reads.
        model: a Sequential of single-direction, single-layer RNN, LSTM and GRU, `nn.Bidirectional`, and layers of
            `pyrnn.nn`.
        recurrent_activation: the activation of the gates that the file was trained with, which it does not tell. It is
            required if the model has an LSTM or a GRU, and has to equal the model's; a list has one entry a layer.
            "sigmoid" is the default from Keras 2.3 on and in tf.keras 2, "hard_sigmoid_keras2" is that of Keras 2.2
            and before.
        limit: the number of bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.

    Raises:
        ValueError: if the file is damaged, its layers are not the model's, a layer has two readings in Keras, or
            recurrent_activation is missing or differs from the model's. The message names the layer.
        TypeError: if the model is not a Sequential.
        FileNotFoundError: if the file does not exist.
        ImportError: if pyfive is not installed.

    >>> import h5py, pyrnn, tempfile, numpy as np
    >>> from pyrnn import nn
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/weights.h5", "w") as file:
    ...         file.attrs["layer_names"] = ["dense"]
    ...         file["dense/dense/kernel:0"], file["dense/dense/bias:0"] = [[2.0], [3.0]], [1.0]
    ...     load_weights(f"{folder}/weights.h5", model)
    >>> model(np.ones((1, 2), np.float32))
    array([[6.]], dtype=float32)

    Source: https://keras.io/api/models/model_saving_apis/weights_saving_and_loading/
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"model should be a pyrnn.nn.Sequential, got {type(model).__name__}")
    try:
        fill(container.read(os.fspath(path), limit), model, recurrent_activation)
    except ValueError as error:
        raise ValueError(f"{printable(path)} cannot be loaded: {error}.") from error
