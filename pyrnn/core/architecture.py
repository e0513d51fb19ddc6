"""A description, {"type": name, "config": arguments}, is a layer as JSON holds it; this module converts both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arguments import arguments_of
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief

from .making import LAYERS

if TYPE_CHECKING:
    from .module import Module

# Types whose parameters have the names of those of the model inside.
TRANSPARENT = ("Quantized", "QuantizedSequential")

Description = dict[str, Any]


def describe(layer: Module) -> Description:
    """Returns the description {"type", "config"} of a layer.

    Raises:
        TypeError: if its class is not in `LAYERS`.

    Example:
        >>> import pyrnn.nn as nn
        >>> nn.describe(nn.Softmax(dim=1))
        {'type': 'Softmax', 'config': {'dim': 1}}
    """
    name = type(layer).__name__
    if LAYERS.get(name) is not type(layer):
        raise TypeError(f"{name} has no description: add the class to pyrnn.nn.LAYERS, and give it config()")
    return {"type": name, "config": layer.config()}


def build(description: Any, where: str = "", tensors: Mapping[str, Array] | None = None) -> Module:
    """Makes the layer of a description, with fresh weights.

    Args:
        description: {"type", "config"}; values in the config may be descriptions of further layers.
        where: the layer's name, which messages quote; in `tensors` its parameters begin with it.
        tensors: the network's arrays by state-dict name: each layer gets the dtype of its own arrays. None for
            float32.

    Returns:
        The layer.

    Raises:
        ValueError: for a type that is not in `LAYERS`, or a config that its class refuses; it names the layer.

    Example:
        >>> import pyrnn.nn as nn
        >>> nn.build({"type": "Linear", "config": {"in_features": 3, "out_features": 2}})
        Linear(in_features=3, out_features=2, bias=True)
    """
    kind, config = _parts(description, where)
    if kind == "Sequential":
        return _sequential(config, where, tensors)
    layer_class = LAYERS[kind]
    accepted = set(arguments_of(layer_class))
    unexpected = sorted(name for name in config if name not in accepted - {"dtype", "seed"})
    if unexpected:
        raise ValueError(f"{_who(where)} ({kind}) has unknown arguments: {', '.join(map(repr, unexpected))}")
    inside = {
        name: build(value, where if kind in TRANSPARENT else _inside(where, name), tensors)
        if isinstance(value, dict)
        else value
        for name, value in config.items()
    }
    options = {"dtype": _dtype(where, tensors)} if "dtype" in accepted else {}
    try:
        return layer_class(**inside, **options)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{_who(where)} ({kind}) cannot be made: {error}") from error


def named_layers(descriptions: Any, where: str = "", tensors: Mapping[str, Array] | None = None) -> dict[str, Module]:
    """Makes the layers of a list of {"name", "type", "config"}; returns them by name."""
    if not isinstance(descriptions, list):
        raise ValueError(f"the layers should be a list, got {type(descriptions).__name__}")
    found: dict[str, Module] = {}
    for description in descriptions:
        name = description.get("name") if isinstance(description, dict) else None
        if not isinstance(name, str) or name in found:
            raise ValueError(f"each layer should have a name of its own, got {brief(name)}")
        rest = {key: value for key, value in description.items() if key != "name"}
        found[name] = build(rest, _inside(where, name), tensors)
    return found


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _who(where: str) -> str:
    return f"layer {brief(where)}" if where else "the model"


def _parts(description: Any, where: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(description, dict) or set(description) != {"type", "config"}:
        raise ValueError(f'{_who(where)} should be described by "type" and "config"')
    kind, config = description["type"], description["config"]
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"{_who(where)} is of unknown type {brief(kind)}; known are {', '.join(LAYERS)}")
    if not isinstance(config, dict):
        raise ValueError(f"the config of {_who(where)} should be an object, got {type(config).__name__}")
    return kind, config


def _sequential(config: dict[str, Any], where: str, tensors: Mapping[str, Array] | None) -> Module:
    if set(config) != {"layers"}:
        raise ValueError(f'{_who(where)} (Sequential) should have "layers", and nothing else')
    make: Any = LAYERS["Sequential"]
    layers = named_layers(config["layers"], where, tensors)
    try:
        network: Module = make(layers)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_who(where)} (Sequential) cannot be made: {error}") from error
    return network


def _dtype(where: str, tensors: Mapping[str, Array] | None) -> np.dtype[Any]:
    """Returns the dtype of the layer's own arrays, float32 if it has none."""
    start = f"{where}." if where else ""
    own = [array for name, array in (tensors or {}).items() if name.startswith(start)]
    return np.dtype(np.float64 if any(array.dtype == np.float64 for array in own) else np.float32)
