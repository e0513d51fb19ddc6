"""Converts a Keras model, layer by layer, to a `pyrnn.nn.Sequential`."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyrnn import nn
from pyrnn.core.making import loading
from pyrnn.core.module import Module

from . import container, directions, layers, windows
from .chain import layers_of
from .config import KerasLayer, shown
from .container import Container
from .flow import Flow
from .recurrent import RECURRENT_CLASSES
from .store import Store, snake

# To add a layer, write a function that turns its configuration into the modules that compute it, and list it here
# under its class name.
CONVERTERS: dict[str, Callable[[KerasLayer, Flow], list[Module]]] = {
    **dict.fromkeys(RECURRENT_CLASSES, directions.recurrent),
    "Activation": layers.activation,
    "AveragePooling1D": windows.pooling,
    "AveragePooling2D": windows.pooling,
    "BatchNormalization": layers.batch_normalization,
    "Bidirectional": directions.bidirectional,
    "Conv1D": windows.conv1d,
    "Conv2D": windows.conv2d,
    "Dense": layers.dense,
    "Dropout": layers.dropout,
    "ELU": layers.elu,
    "Embedding": layers.embedding,
    "Flatten": layers.flatten,
    "GlobalAveragePooling1D": windows.global_pooling,
    "GlobalAveragePooling2D": windows.global_pooling,
    "GlobalMaxPooling1D": windows.global_pooling,
    "GlobalMaxPooling2D": windows.global_pooling,
    "InputLayer": layers.input_layer,
    "LayerNormalization": layers.layer_normalization,
    "LeakyReLU": layers.leaky_relu,
    "Masking": layers.masking,
    "MaxPooling1D": windows.pooling,
    "MaxPooling2D": windows.pooling,
    "Permute": layers.permute,
    "ReLU": layers.relu,
    "RepeatVector": layers.repeat_vector,
    "Reshape": layers.reshape,
    "Softmax": layers.softmax,
    "SpatialDropout1D": layers.spatial_dropout,
    "TimeDistributed": layers.time_distributed,
}


MOST_LETTERS = 200  # A layer's name is cut to this many letters.


def read(path: str, limit: int | None = None) -> nn.Sequential:
    """The model of a file; see `pyrnn.io.keras.load`."""
    file = container.read(path, limit)
    if file.model is None:
        raise ValueError(
            "it holds weights alone, as model.save_weights writes them, and not the layers; make an nn.Sequential "
            "of the same layers and use load_weights (pyrnn.io.keras.load_weights(path, model)), or save the "
            'whole model: model.save("model.keras")'
        )
    with loading():
        return network(file)


def network(file: Container) -> nn.Sequential:
    """Makes the file's model, in evaluation mode.

    Raises:
        ValueError: if a part of the model is not supported; the message names the layer and the attribute.
    """
    chain = layers_of(file)
    store = Store(file.arrays, [(layer.kind, layer.name) for layer in chain])
    flow = Flow(store, rank=_first_rank(chain[0]), budget=file.budget)
    found: dict[str, Module] = {}
    for layer in chain:
        if layer.kind not in CONVERTERS:
            layer.refuse(f"{shown(layer.kind)} is not supported; known are {', '.join(CONVERTERS)}")
        modules = _converted(layer, flow)
        for module in modules:
            # The module with the weights gets the layer's name; a helper such as LastStep adds its own name to it.
            helps = len(modules) > 1 and not module.state_dict()
            found[_free(f"{layer.name}_{snake(type(module).__name__)}" if helps else layer.name, found)] = module
    if not found:
        raise ValueError("its model has no layers but the input")
    return nn.Sequential(found).eval()


def _converted(layer: KerasLayer, flow: Flow) -> list[Module]:
    try:
        modules = CONVERTERS[layer.kind](layer, flow)
        layer.close()
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        if str(error).startswith("layer "):
            raise
        layer.refuse(f"{error}")  # The constructor of a pyrnn layer does not name the layer.
    return modules


def _first_rank(layer: KerasLayer) -> int | None:
    rank = layer.input_rank()
    return 2 if rank is None and layer.kind == "Embedding" else rank


def _free(name: str, taken: dict[str, Module]) -> str:
    """Returns a name like this that a Sequential can have as an attribute."""
    name = re.sub(r"\W", "_", name[:MOST_LETTERS]) or "layer"
    while name in taken or hasattr(nn.Sequential, name) or name == "training" or name.startswith("_"):
        name = f"layer{name}" if name.startswith("_") else f"{name}_"
    return name
