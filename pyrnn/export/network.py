"""A module becomes the parts of its C program, and runs in Python as the C does. Errors name layers that have no C."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.quantized import QuantizationError, Quantized
from pyrnn.core.recurrent import Recurrent
from pyrnn.nn.activations import Activation, Softmax
from pyrnn.nn.channels_last import ChannelsLast
from pyrnn.nn.dropout import Dropout
from pyrnn.nn.embedding import Embedding
from pyrnn.nn.heads import LastStep
from pyrnn.nn.sequential import Sequential

from . import layers, parts
from .profiles import profile_of

KNOWN = (
    "RNN, LSTM, GRU, Linear, Embedding, ChannelsLast(Conv1d), ReLU, Tanh, Sigmoid, Activation, Softmax, LastStep, "
    "Dropout, SpatialDropout1D, and a Sequential of these"
)


class CNetwork:
    """The layers of a model that compute something at a step, one after the other.

    Args:
        model: a layer or a Sequential.
        profile: a name in `PROFILES`.

    Attributes:
        value: the type of outputs and states in C.
        formats: the text about fraction bits in the header.

    Raises:
        TypeError: if the model is not a pyrnn module.
        ValueError: if a layer cannot be exported; it names the first.
    """

    value = "float"
    formats = ""

    def __init__(self, model: Module, profile: str) -> None:
        profile_of(profile)
        if not isinstance(model, Module):
            raise TypeError(f"model should be a pyrnn module, got {type(model).__name__}; torch's state dict goes "
                            "into one with pyrnn.from_state_dict")  # fmt: skip
        self.profile = profile
        self.layers = list(_steps(model))
        _check_order(self.layers)
        if profile == "int8" and not any(isinstance(layer, Recurrent) for _, layer in self.layers):
            raise ValueError("there is no RNN, LSTM or GRU in this model to quantize; use profile='float32'")
        self.parts: list[parts.CPart] = []
        self._taken: set[str] = set()
        for name, layer in self.layers:
            self.parts += self._parts(name, layer)
        if not self.parts:
            raise ValueError("the model has no layer that computes anything at a step")
        _check_sizes(self.parts)

    @property
    def batch_first(self) -> bool:
        """Whether its sequences are [B,T,*]."""
        return any(getattr(layer, "batch_first", isinstance(layer, ChannelsLast)) for _, layer in self.layers)

    @property
    def rows(self) -> int:
        """The number of rows of the Embedding at its beginning, whose inputs are indices; 0 if there is none."""
        return next((layer.num_embeddings for _, layer in self.layers if isinstance(layer, Embedding)), 0)

    @property
    def taken(self) -> str:
        """The type of inputs in C."""
        return "int32_t" if self.rows else self.value

    @property
    def inputs(self) -> int:
        """The number of inputs of a step."""
        return self.parts[0].inputs

    @property
    def outputs(self) -> int:
        """The number of outputs of a step."""
        return self.parts[-1].outputs

    def run(self, x: Array) -> Array:
        """Computes the outputs of the C for all steps, [T,outputs], of a sequence [T,inputs], from zeros."""
        return self._run(x, profile_of(self.profile).ready)

    def inputs_of(self, x: Array) -> Array:
        """Returns the user's inputs as C takes them."""
        return x

    def error(self, x: Array) -> QuantizationError:
        """Measures how far the outputs are from those of the profile's finer arithmetic."""
        return QuantizationError.between(self._run(x, profile_of(self.profile).finer), self.run(x))

    def _run(self, x: Array, change: Callable[[Module], Module]) -> Array:
        x = x.T if self.rows else x[None]
        for _, layer in self.layers:
            x = forward(change(layer), x)
        return np.ascontiguousarray(x[0])

    def _parts(self, name: str, layer: Module) -> Iterator[parts.CPart]:
        before = f"{self._identifier(name)}_" if name else ""
        if isinstance(layer, Recurrent):
            for index in range(layer.num_layers):
                yield parts.recurrent(before, layer, index, self.profile == "int8")
            return
        part = layers.part(before, layer, self.parts[-1].outputs if self.parts else 0)
        if part:
            yield part

    def _identifier(self, name: str) -> str:
        """Returns the layer's name as an identifier of C that no other layer has."""
        found = base = re.sub(r"[^A-Za-z0-9]", "_", name)
        number = 2
        while found in self._taken:
            found, number = f"{base}_{number}", number + 1
        self._taken.add(found)
        return found


def forward(layer: Any, x: Array) -> Array:
    """Computes the outputs [B,T,*] of a layer for sequences [B,T,*], from a state of zeros, without dropout."""
    weights = list(layer.parameters().values())
    if weights and x.dtype.kind == "f":
        x = x.astype(weights[0].dtype, copy=False)
    if isinstance(layer, Recurrent):
        x, stream = x if layer.batch_first else x.swapaxes(0, 1), layer.stream(len(x))  # streams have no dropout
        x = stream.run(np.ascontiguousarray(x))
        return x if layer.batch_first else x.swapaxes(0, 1)
    y: Array = x if isinstance(layer, (LastStep, Dropout)) else layer(x)
    return y


def _steps(model: Module, name: str = "") -> Iterator[tuple[str, Module]]:
    """Checks and yields the layers with their names, those inside of Sequentials too."""
    if isinstance(model, Sequential):
        for key, layer in model._modules.items():
            yield from _steps(layer, f"{name}.{key}" if name else key)
        return
    _check(model, shown(name, model))
    yield name, model


def shown(name: str, layer: Module) -> str:
    """Returns the layer in words with which a sentence begins."""
    return f"layer {brief(name)}, {type(layer).__name__}," if name else f"a {type(layer).__name__}"


def _check(layer: Module, what: str) -> None:
    for value in layer.parameters().values():
        if value.dtype != np.float32:
            raise ValueError(f"{what} is of {value.dtype}; make one with dtype=np.float32 and load the state dict")
        if not np.isfinite(value).all():
            raise ValueError(f"{what} has weights that are infinite or NaN, which C has no constants for")
    if isinstance(layer, Quantized):
        raise ValueError(f"{what} is quantized already; export the float32 layer with profile='int8'")
    if isinstance(layer, Recurrent):
        if layer.bidirectional:
            raise ValueError(f"{what} is bidirectional, which needs the end of a sequence at its first step; "
                             "only layers of one direction can be exported")  # fmt: skip
        return
    if not isinstance(layer, (LastStep, Dropout)):
        why = layers.refusal(layer, KNOWN)
        if why:
            raise ValueError(f"{what} {why}")


def _check_order(steps: list[tuple[str, Module]]) -> None:
    """Checks what depends on the layers before: LastStep, the layout, activations, an Embedding."""
    ended, sized, layouts = False, False, set()
    for name, layer in steps:
        what = shown(name, layer)
        if isinstance(layer, (Recurrent, LastStep, ChannelsLast)):
            layouts.add(getattr(layer, "batch_first", True))
            if ended:
                raise ValueError(f"{what} stands after a LastStep, where there are no steps any more")
        if isinstance(layer, (Activation, Softmax)) and not sized and layers.part("", layer, 1):
            raise ValueError(f"{what} stands before all layers that have a size; apply it to the inputs instead")
        if isinstance(layer, Embedding) and sized:
            raise ValueError(f"{what} stands after other layers; it takes indices, so it can only be the first")
        ended = ended or isinstance(layer, LastStep)
        sized = sized or not isinstance(layer, (Activation, Softmax, LastStep, Dropout))
    if len(layouts) > 1:
        raise ValueError("layers with and without batch_first cannot follow each other; ChannelsLast is one with, "
                         "LastStep() one without")  # fmt: skip


def _check_sizes(all_parts: list[parts.CPart]) -> None:
    for first, second in pairwise(all_parts):
        if first.outputs != second.inputs:
            raise ValueError(f"{second.title} takes {second.inputs} inputs, {first.title} before it gives "
                             f"{first.outputs}")  # fmt: skip
