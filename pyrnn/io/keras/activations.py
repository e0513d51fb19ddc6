"""Translates the names of activations in a Keras configuration; some depend on the Keras that wrote it."""

from __future__ import annotations

from typing import Any

from pyrnn import nn
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

from .config import KerasLayer, shown, text

SAME = ("tanh", "sigmoid", "relu")
ELEMENTWISE = ("elu", "selu", "softplus", "softsign", "exponential", "swish", "silu", "gelu")
CLASSES: dict[str, type[Module]] = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softmax": nn.Softmax}


def of_cell(layer: KerasLayer, attribute: str, default: str) -> str:
    """Returns the name that pyrnn.RNN, LSTM and GRU use for the activation of an attribute."""
    name = _name(layer, attribute, default)
    if name == "linear":
        return "identity"
    if name == "hard_sigmoid":
        return _hard_sigmoid(layer, attribute)
    if name not in SAME:
        layer.refuse(
            f"{attribute}={shown(name)} is not supported in a recurrent layer, only tanh, sigmoid, relu, linear, "
            "hard_sigmoid"
        )
    return name


def after(layer: KerasLayer, attribute: str = "activation") -> list[Module]:
    """Returns the layer that computes an activation, in a list that is empty for the linear one."""
    name = _name(layer, attribute, "linear")
    if name == "linear":
        return []
    if name in CLASSES:
        return [CLASSES[name]()]
    if name == "hard_sigmoid":
        return [nn.Activation(_hard_sigmoid(layer, attribute))]
    if name == "leaky_relu":
        return [nn.Activation(name, alpha=0.2)]
    if name not in ELEMENTWISE:
        layer.refuse(f"{attribute}={shown(name)} is not supported")
    return [nn.Activation(name)]


def _name(layer: KerasLayer, attribute: str, default: str) -> str:
    value: Any = layer.get(attribute, default)
    if value is None:
        return "linear"
    if not isinstance(value, str):
        layer.refuse(f"{attribute} is a custom object, {quoted(text(value))}; only Keras' own activations, by name")
    return value


def _hard_sigmoid(layer: KerasLayer, attribute: str) -> str:
    if layer.version is None:
        layer.refuse(
            f"{attribute}=hard_sigmoid is clip(0.2 x + 0.5) in Keras 2 and relu6(x + 3) / 6 in Keras 3, and the file "
            "does not say which Keras wrote it: save it again with the Keras that trained it"
        )
    return f"hard_sigmoid_keras{layer.version[0]}"
