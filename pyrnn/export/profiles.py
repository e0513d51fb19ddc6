"""A profile of export.c says which layer of Python has the bits of the C, and which one the error is measured against.

A new profile is an entry here, and its C in `parts` and `products`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.quantized import Quantized
from pyrnn.core.recurrent import Recurrent
from pyrnn.nn.channels_last import ChannelsLast


class Profile(NamedTuple):
    """An arithmetic for exported networks.

    Attributes:
        says: the description in the command line's help.
        ready: makes the layer with the bits of the C from a layer of the model.
        finer: makes the layer that the error is measured against from a layer of the model.
        reference: the name of that finer arithmetic.
    """

    says: str
    ready: Callable[[Module], Module]
    finer: Callable[[Module], Module]
    reference: str


def _same(layer: Module) -> Module:
    return layer


def _int8(layer: Module) -> Module:
    return Quantized(layer, "int8") if isinstance(layer, Recurrent) else layer


def _float64(layer: Module) -> Module:
    """Returns the layer with the same weights in float64."""
    if isinstance(layer, ChannelsLast):
        return ChannelsLast(_float64(layer.layer))
    if not layer.parameters():
        return layer
    kind: Any = type(layer)
    wide: Module = kind(**layer.config(), dtype=np.float64)
    wide.load_state_dict(layer.parameters())
    return wide


PROFILES = {
    "float32": Profile("the bits of the model", _same, _float64, "float64"),
    "int8": Profile("a quarter of the weights' memory", _int8, _same, "float32"),
    "int16": Profile("integers only, for chips without an FPU", _same, _same, "float32"),  # fixed/network.py runs it
}


def profile_of(name: object) -> Profile:
    """Returns the profile of that name; raises ValueError for another name."""
    if not isinstance(name, str) or name not in PROFILES:
        raise ValueError(f"profile should be {' or '.join(map(repr, PROFILES))}, got {brief(name)}")
    return PROFILES[name]
