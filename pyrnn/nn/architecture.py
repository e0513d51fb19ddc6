"""A layer as a description, {"type": name, "config": arguments}, and back: what JSON holds of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.checks.arguments import arguments_of
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module

# Type names to classes; pyrnn.nn fills it. A class of one's own may be added: it needs config().
LAYERS: dict[str, type[Module]] = {}

Description = dict[str, Any]


def describe(layer: Module) -> Description:
    """{"type", "config"} of a layer.

    Raises:
        TypeError: if its class is not in `LAYERS`.
    """
    name = type(layer).__name__
    if LAYERS.get(name) is not type(layer):
        raise TypeError(f"{name} has no description: add the class to pyrnn.nn.LAYERS, and give it config()")
    return {"type": name, "config": layer.config()}


def build(description: Any, where: str = "", tensors: Mapping[str, Array] | None = None) -> Module:
    """The layer of a description, with fresh weights.

    Args:
        description: {"type", "config"}; other layers may stand in the config as such descriptions.
        where: the layer's name, for messages, and before its parameters in `tensors`.
        tensors: the network's arrays by state-dict name: they tell the precision of each layer; float32 without.

    Raises:
        ValueError: for a type that is not in `LAYERS`, or a config that its class does not take; it names the layer.
    """
    kind, config = _parts(description, where)
    if kind == "Sequential":
        return _sequential(config, where, tensors)
    layer_class = LAYERS[kind]
    accepted = set(arguments_of(layer_class))
    unexpected = sorted(name for name in config if name not in accepted - {"dtype", "seed"})
    if unexpected:
        raise ValueError(f"layer {brief(where)} ({kind}) has unknown arguments: {', '.join(map(repr, unexpected))}")
    inside = {
        name: build(value, f"{where}.{name}", tensors) if isinstance(value, dict) else value
        for name, value in config.items()
    }
    options = {"dtype": _dtype(where, tensors)} if "dtype" in accepted else {}
    try:
        return layer_class(**inside, **options)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"layer {brief(where)} ({kind}) cannot be made: {error}") from error


def named_layers(descriptions: Any, where: str = "", tensors: Mapping[str, Array] | None = None) -> dict[str, Module]:
    """The layers of a list of {"name", "type", "config"}, by name."""
    if not isinstance(descriptions, list):
        raise ValueError(f"the layers should be a list, got {type(descriptions).__name__}")
    found: dict[str, Module] = {}
    for description in descriptions:
        name = description.get("name") if isinstance(description, dict) else None
        if not isinstance(name, str) or name in found:
            raise ValueError(f"each layer should have a name of its own, got {brief(name)}")
        rest = {key: value for key, value in description.items() if key != "name"}
        found[name] = build(rest, f"{where}.{name}" if where else name, tensors)
    return found


def _parts(description: Any, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(description, dict) or set(description) != {"type", "config"}:
        raise ValueError(f'layer {brief(where)} should be described by "type" and "config"')
    kind, config = description["type"], description["config"]
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"layer {brief(where)} is of unknown type {brief(kind)}; known are {', '.join(LAYERS)}")
    if not isinstance(config, dict):
        raise ValueError(f"the config of layer {brief(where)} should be an object, got {type(config).__name__}")
    return kind, config


def _sequential(config: dict[str, Any], where: str, tensors: Mapping[str, Array] | None) -> Module:
    if set(config) != {"layers"}:
        raise ValueError(f'layer {brief(where)} (Sequential) should have "layers", and nothing else')
    make: Any = LAYERS["Sequential"]
    layers = named_layers(config["layers"], where, tensors)
    try:
        network: Module = make(layers)
    except (TypeError, ValueError) as error:
        raise ValueError(f"layer {brief(where)} (Sequential) cannot be made: {error}") from error
    return network


def _dtype(where: str, tensors: Mapping[str, Array] | None) -> np.dtype[Any]:
    """That of the layer's own arrays; float32 where they say nothing."""
    own = [array for name, array in (tensors or {}).items() if name.startswith(f"{where}.")]
    return np.dtype(np.float64 if any(array.dtype == np.float64 for array in own) else np.float32)
