"""The profiles of export.c: which layer of Python has the bits of the C, and what its error is measured against.

Another profile is an entry here, and what `parts` and `products` write for it.
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
    """How numbers are kept.

    Attributes:
        says: for the help.
        ready: a layer of the model to one with the bits of the C.
        finer: a layer of the model to one of the next finer arithmetic, and reference: its name.
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
    """The layer with the same weights in float64."""
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
    "int16": Profile("integers only, for chips without an FPU", _same, _same, "float32"),  # run: fixed/network.py
}


def profile_of(name: object) -> Profile:
    """The profile of that name; ValueError for another."""
    if not isinstance(name, str) or name not in PROFILES:
        raise ValueError(f"profile should be {' or '.join(map(repr, PROFILES))}, got {brief(name)}")
    return PROFILES[name]
