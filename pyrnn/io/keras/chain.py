"""Lists the layers of a Keras model in the order they run, if the model is one chain."""

from __future__ import annotations

from typing import Any

from pyrnn.checks.quoting import quoted

from .config import KerasLayer, shown, text
from .container import Container
from .masks import Masks, is_operation, tensor

GRAPHS = ("Functional", "Model")
MODELS = ("Sequential", *GRAPHS)
MAX_LAYERS = 1000


def layers_of(file: Container) -> list[KerasLayer]:
    """Lists the layers of the file's model, with its InputLayer.

    Raises:
        ValueError: unless the model is a Sequential, or a functional model in which every layer has one input, the
            output of the layer before it.
    """
    assert file.model is not None
    kind, config = file.model.get("class_name"), file.model.get("config")
    if kind not in MODELS:
        raise ValueError(
            f"its model is of the class {quoted(text(kind))}; only Sequential and functional models are read"
        )
    # Keras before 2.2.3 wrote the list without a dict around it.
    found = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(found, list) or not 0 < len(found) <= MAX_LAYERS:
        raise ValueError(f"its model should have a list of 1 to {MAX_LAYERS} layers")
    chain = [description for description in found if kind == "Sequential" or not is_operation(description)]
    layers = [KerasLayer(description, file.version, file.standalone) for description in chain]
    names = [layer.name for layer in layers]
    for layer in layers:
        if layer.kind in MODELS:
            layer.refuse("a model within a model is not supported; build one model of all the layers and save that")
        if names.count(layer.name) > 1:
            layer.refuse("two layers have this name")
    if not layers:
        raise ValueError("its model has no layers")
    if kind in GRAPHS and isinstance(config, dict):
        _check_ends(config, layers)
        _check_chain(layers, chain, Masks(found))
    return layers


def _check_ends(config: dict[str, Any], layers: list[KerasLayer]) -> None:
    for which, end in (("input_layers", layers[0]), ("output_layers", layers[-1])):
        if _history(config.get(which)) != [end.name]:
            raise ValueError(
                f"its {which} are {shown(config.get(which))}, expected {quoted(end.name)} alone: only a model "
                "that is one chain of layers is read"
            )


def _check_chain(layers: list[KerasLayer], chain: list[Any], masks: Masks) -> None:
    """Refuses a functional model that is not a chain; a chain lists its layers in the order they run."""
    for before, layer, description in zip([None, *layers], layers, chain, strict=False):
        nodes = description.get("inbound_nodes")
        inputs = [_inputs(node, layer, layers, masks) for node in nodes] if isinstance(nodes, list) else None
        if inputs != ([] if before is None else [[before.name]]):
            layer.refuse("it should have one input, the layer before it: only a model that is one chain is read")


def _history(ends: Any) -> list[Any] | None:
    """Returns the names of the layers in [["name", 0, 0], ...] or ["name", 0, 0]."""
    if not isinstance(ends, list) or not ends:
        return None
    ends = ends if isinstance(ends[0], list) else [ends]
    return [end[0] if isinstance(end, list) and end[1:] == [0, 0] else None for end in ends]


def _inputs(node: Any, layer: KerasLayer, layers: list[KerasLayer], masks: Masks) -> list[Any]:
    """Returns the names of the layers that feed a call.

    Keras 3 writes {"args": ..., "kwargs": ...}, Keras 2 [["name", 0, 0, {}]].
    """
    if isinstance(node, dict):
        args, kwargs = node.get("args"), node.get("kwargs")
        mask = kwargs.pop("mask", None) if isinstance(kwargs, dict) else None
        layer.mask_from = None if mask is None else masks.maker(mask, layers)
        if mask is not None and layer.mask_from is None:
            layer.refuse("it is called with a mask that is none of an Embedding or a Masking of the chain")
        _check_kwargs(kwargs, layer)
        return [tensor(arg) for arg in args] if isinstance(args, list) else []
    if not isinstance(node, list):
        return []
    for source in node:
        _check_kwargs(source[3] if isinstance(source, list) and len(source) > 3 else {}, layer)
    return [source[0] if isinstance(source, list) and source[1:3] == [0, 0] else None for source in node]


def _check_kwargs(kwargs: Any, layer: KerasLayer) -> None:
    if not isinstance(kwargs, dict):
        layer.refuse("its call has arguments that are no JSON object")
    for name, value in kwargs.items():
        if value not in (None, False):
            layer.refuse(f"it is called with {shown(name)}={shown(value)}, which is not supported")
