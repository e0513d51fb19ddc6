"""Follows the masks that a functional model of Keras 3 computes beside its layers.

Keras writes them as operations: NotEqual(x, 0) for an Embedding of x with mask_zero, Any(NotEqual(x, value), -1) for a
Masking of x. A layer that uses a mask is called with mask=.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .config import KerasLayer

OPERATIONS = ("NotEqual", "Any")


def is_operation(description: Any) -> bool:
    """Tells whether this entry of a list of layers computes a mask."""
    return isinstance(description, dict) and description.get("class_name") in OPERATIONS


def tensor(arg: Any) -> str | None:
    """Returns the name of the layer whose first output is this argument of a call."""
    config = arg.get("config") if isinstance(arg, dict) else None
    history = config.get("keras_history") if isinstance(config, dict) else None
    return history[0] if isinstance(history, list) and history[1:] == [0, 0] and isinstance(history[0], str) else None


class Masks:
    """Finds the masks of a model by the names of their operations.

    Args:
        found: the list of layers and operations in the configuration.
    """

    def __init__(self, found: Sequence[Any]) -> None:
        operations = [KerasLayer(one, None) for one in found if is_operation(one)]
        nodes = [one.get("inbound_nodes") for one in found if is_operation(one)]
        args = {layer.name: _args(layer, node) for layer, node in zip(operations, nodes, strict=True)}
        self._compared = {one.name: args[one.name] for one in operations if one.kind == "NotEqual"}
        self._reduced: dict[str, Any] = {}
        for one in operations:
            if one.kind == "Any":
                one.expect(axis=-1, keepdims=False)
                self._reduced[one.name] = args[one.name]

    def maker(self, arg: Any, layers: Sequence[KerasLayer]) -> str | None:
        """Returns the name of the Embedding or Masking whose mask is this argument; None if neither made it."""
        name = tensor(arg)
        reduced = name in self._reduced
        source = tensor(self._reduced[name][0]) if name in self._reduced else name
        if source not in self._compared or len(self._compared[source]) != 2:
            return None
        of, value = self._compared[source]
        for before, layer in pairwise(layers):
            if before.name == tensor(of):
                from_embedding = layer.kind == "Embedding" and not reduced and value == 0
                from_masking = layer.kind == "Masking" and reduced and value == layer.get("mask_value", 0.0)
                return layer.name if from_embedding or from_masking else None
        return None


def _args(layer: KerasLayer, nodes: Any) -> list[Any]:
    node = nodes[0] if isinstance(nodes, list) and len(nodes) == 1 else None
    args = node.get("args") if isinstance(node, dict) and not node.get("kwargs") else None
    if not isinstance(args, list) or not args:
        layer.refuse("its arguments are not those of a mask")
    return args
