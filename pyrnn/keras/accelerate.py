"""`accelerate` lets the recurrent layers of a Keras model compute on the kernels, and `restore` undoes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from pyrnn.torch import AccelerateReport

from .cells import network_of
from .loop import Loop

METHOD = "inner_loop"
NOTHING = "the model has no GRU, LSTM, SimpleRNN or RNN layer, or Keras has not seen its layers yet"
LOOPS = {keras.layers.RNN.inner_loop, keras.layers.SimpleRNN.inner_loop, keras.layers.LSTM.inner_loop,
         keras.layers.GRU.inner_loop}  # fmt: skip


def accelerate(model: Any) -> AccelerateReport:
    """Lets every GRU, LSTM and SimpleRNN layer of a Keras model compute its steps on the kernels.

    It replaces the loop over steps of each layer, and nothing else: weights, optimizer, callbacks and the layers'
    classes stay the same objects, and files of `save` have the same contents. A model that Keras makes from this one,
    by `clone_model` or by loading a file, is not accelerated.

    Layers inside others are found too: in Bidirectional, TimeDistributed and nested models, and RNN with one of Keras'
    own cells. Calls that the kernels do not cover run Keras' own loop; `explain` says why.

    Args:
        model: a Keras model or layer, built or not.

    Returns:
        An `AccelerateReport`: the model, the class of each layer that was changed, by its path in the model, and the
        reasons why others were left.

    Raises:
        TypeError: if the model is no Keras model or layer.
        RuntimeError: if Keras' backend is not torch.

    Example:
        >>> import keras, pyrnn.keras
        >>> layers = [keras.Input((10, 8)), keras.layers.GRU(16, name="gru"), keras.layers.Dense(1)]
        >>> model = keras.Sequential(layers, name="model")
        >>> pyrnn.keras.accelerate(model)
        AccelerateReport(swapped={'model/gru': 'GRU'}, left={})
        >>> pyrnn.keras.restore(model)
        ['model/gru']

    Source: https://keras.io/api/layers/recurrent_layers/
    """
    check_model(model, "accelerate")
    check_backend()
    swapped, left, already = {}, {}, {}
    for name, layer in layers_of(model):
        if isinstance(layer.__dict__.get(METHOD), Loop):
            already[name] = type(layer).__name__
            continue
        try:
            check_layer(layer)
        except ValueError as error:
            left[name] = str(error)
        else:
            swapped[name] = type(layer).__name__
            layer.__dict__[METHOD] = Loop(layer)  # not an attribute of Keras, which would track it
    return AccelerateReport(model, swapped, left, already, nothing=NOTHING)


def restore(model: Any) -> list[str]:
    """Undoes `accelerate`, in place.

    Args:
        model: a model or layer that `accelerate` has changed.

    Returns:
        The paths of the layers that compute as Keras does again.

    Raises:
        TypeError: if the model is no Keras model or layer.

    Example:
        >>> import keras, pyrnn.keras
        >>> pyrnn.keras.restore(keras.layers.GRU(3))
        []
    """
    check_model(model, "restore")
    names = []
    for name, layer in layers_of(model):
        if isinstance(layer.__dict__.get(METHOD), Loop):
            del layer.__dict__[METHOD]
            names.append(name)
    return names


def explain(layer: Any, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> str:
    """Says in a sentence who would run the call of a recurrent layer, and why. It does not run the call.

    Args:
        layer: a recurrent layer of Keras, accelerated or not.
        sequences: the call's input, a tensor or array [B,T,I].
        initial_state: the call's initial state, or a list of states.
        mask: the call's mask [B,T].
        training: whether it is a call in training.

    Returns:
        A sentence that begins with "pyrnn's kernels" or "Keras' own".

    Raises:
        TypeError: if `layer` is no Keras layer.

    Example:
        >>> import keras, numpy as np, pyrnn.keras
        >>> layer, x = keras.layers.LSTM(3, recurrent_dropout=0.5), np.zeros((2, 5, 4), np.float32)
        >>> y = layer(x)
        >>> report = pyrnn.keras.accelerate(layer)
        >>> pyrnn.keras.explain(layer, x)
        "pyrnn's kernels: the call is covered."
        >>> pyrnn.keras.explain(layer, x, training=True)
        "Keras' own: recurrent_dropout drops inside the steps, in training."
    """
    check_model(layer, "explain")
    loop = layer.__dict__.get(METHOD)
    if not isinstance(loop, Loop):
        return f"Keras' own: {layer.name} is not accelerated; see accelerate()."
    sequences, initial_state, mask = (
        part if part is None else keras.tree.map_structure(lambda x: as_called(layer, x), part)
        for part in (sequences, initial_state, mask)
    )
    reason = loop.refusal(sequences, initial_state, mask, training) if layer.built else "the layer has no weights yet"
    return "pyrnn's kernels: the call is covered." if reason is None else f"Keras' own: {reason}."


def as_called(layer: Any, value: Any) -> Any:
    """Returns the tensor that Keras makes of an argument of a call, in the layer's dtype."""
    return layer.dtype_policy.convert_input(keras.ops.convert_to_tensor(value), layer.autocast, layer.input_dtype)


def layers_of(model: Any) -> Iterator[tuple[str, Any]]:
    """Yields the recurrent layers of a model, each once, with its path, or its name before it is built."""
    for layer in model._flatten_layers():  # of Keras 3.0 to 3.15; model.layers lacks those inside of layers
        if isinstance(layer, keras.layers.RNN):
            yield layer.path or layer.name, layer


def check_layer(layer: Any) -> None:
    """Raises ValueError, with the reason, for a layer whose steps the kernels do not compute."""
    if METHOD in layer.__dict__:
        raise ValueError("its inner_loop was replaced by hand")
    if type(layer).inner_loop not in LOOPS:
        raise ValueError(f"{type(layer).__name__} has an inner_loop of its own, which may compute anything")
    network_of(layer.cell)


def check_backend() -> None:
    """Raises RuntimeError if Keras does not compute with torch."""
    backend = keras.backend.backend()
    if backend != "torch":
        raise RuntimeError(
            f"Keras computes with {backend} here, and the kernels compute on torch's tensors: set KERAS_BACKEND=torch "
            "before Keras is imported. For inference, pyrnn.load(model) converts a model of any backend"
        )


def check_model(model: Any, caller: str) -> None:
    """Raises TypeError for what is no Keras model or layer; the error names the function `caller`."""
    if not isinstance(model, keras.layers.Layer):
        kind = model.__name__ if isinstance(model, type) else type(model).__name__
        shown = f"the class {kind}" if isinstance(model, type) else kind
        raise TypeError(f"{caller} takes a Keras model or layer, got {shown}; for torch's see pyrnn.torch.{caller}")
