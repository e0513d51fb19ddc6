"""Tracks which axis holds the channels, layer by layer of a model that takes Keras' weights; in Keras it is the last.

In a model with torch's layout, [B,C,T] or [B,C,H,W], `nn.Flatten` orders the features as [C,T], and Keras' Flatten
as [T,C]. The weights behind it, up to the first layer that mixes the features, then need that other order. Weights
alone do not tell what Keras did between its layers, so a layer with two possible readings is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, NoReturn

import numpy as np

from pyrnn import GRU, LSTM, RNN, Linear, nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import quoted
from pyrnn.core.module import Module

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)
GLOBAL_POOLS = (nn.GlobalAveragePool2d, nn.GlobalMaxPool2d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
RECURRENT = (RNN, LSTM, GRU)
HEADS = (nn.LastStep, nn.GlobalAveragePool1d, nn.GlobalMaxPool1d)
BY_ELEMENT = (nn.Activation, nn.Dropout, nn.Masking)


class Axis(Enum):
    """Says what is known of an array's axes."""

    UNKNOWN = auto()  # Nothing is known, as at the start of the model.
    LAST = auto()  # The features are the last of two or more axes.
    SEQUENCE = auto()  # The features are the last of three or more axes.
    FLAT = auto()  # The array is [B,F], with the features in Keras' order.
    FIRST = auto()  # The array is [B,C,*].
    FIRST_OR_FLAT = auto()  # The array is [B,C,*] or [B,C]; a batch norm takes both.
    TURNED = auto()  # The array is [B,C,*] with its axes permuted.
    MIXED = auto()  # The features have the order [C,*], where Keras has [*,C].


@dataclass(frozen=True)
class Place:
    """Describes the array between two layers.

    Attributes:
        axis: what is known of its axes.
        channels: the number of channels, or of features if these are the last axis; None if it is not known.
        since: the layer that tells it.
    """

    axis: Axis
    channels: int | None = None
    since: str = ""


def orders(model: nn.Sequential) -> dict[str, Array]:
    """Returns, for each layer behind a Flatten, the place that each of its input features has in Keras' order.

    Raises:
        ValueError: if what a layer computes has two readings in Keras, or a size it needs is not known.
    """
    walk = _Walk()
    end = walk.through(model, "", Place(Axis.UNKNOWN))
    if end.axis is Axis.MIXED and end.channels != 1:
        raise ValueError(
            f"the model ends with features that are not in Keras' order, since its layer {quoted(end.since)} has the "
            "channels first: Keras has them last; put nn.ChannelsLast around the layers that take them first"
        )
    return walk.orders


def reordered(layer: Module, state: dict[str, Array], order: Array) -> dict[str, Array]:
    """Returns the weights of a layer with its input features reordered; arrays of other sizes stay as they are."""
    inside = layer.layer if isinstance(layer, nn.ChannelsLast) else layer
    axes = 1 if isinstance(inside, (nn.LayerNorm, *BATCH_NORMS)) else 2
    return {
        name: array[..., order]
        if array.ndim == axes and array.shape[-1] == len(order) and not name.startswith("weight_hh")
        else array
        for name, array in state.items()
    }


class _Walk:
    def __init__(self) -> None:
        self.orders: dict[str, Array] = {}

    def through(self, model: nn.Sequential, prefix: str, place: Place) -> Place:
        for key, layer in model._modules.items():
            name = prefix + key
            if isinstance(layer, nn.Sequential):
                place = self.through(layer, f"{name}.", place)
            else:
                place = self._after(name, layer, place)
        return place

    def _after(self, name: str, layer: Any, place: Place) -> Place:
        """Returns the place behind a layer."""
        if isinstance(layer, BY_ELEMENT):
            return place
        if isinstance(layer, (Linear, nn.LayerNorm, nn.Bidirectional, *RECURRENT)):
            return self._reads_last(name, layer, place)
        if isinstance(layer, nn.ChannelsLast):
            return self._channels_last(name, layer.layer, place)
        if isinstance(layer, nn.BatchNorm1d):
            return self._batch_norm(name, layer, place)
        if isinstance(layer, (nn.BatchNorm2d, *CONVOLUTIONS, *POOLS, *GLOBAL_POOLS)):
            return self._reads_first(name, layer, place)
        return self._moves(name, layer, place)

    def _reads_last(self, name: str, layer: Any, place: Place) -> Place:
        size = _inputs(layer)
        joins = isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) > 1
        if place.axis is Axis.FIRST and (joins or place.channels in (None, size)):
            _refuse(name, layer, place, "reads the last axis")
        if place.axis is Axis.MIXED:
            self._reorder(name, layer, place, size)
        if isinstance(layer, nn.LayerNorm):
            return Place(Axis.LAST, size, name) if place.axis is Axis.UNKNOWN else place
        if isinstance(layer, Linear):
            kept = place.axis if place.axis in (Axis.FLAT, Axis.SEQUENCE) else Axis.LAST
            return Place(kept, layer.out_features, name)
        flat = isinstance(layer, nn.Bidirectional) and not layer.return_sequences
        return Place(Axis.FLAT if flat else Axis.SEQUENCE, None if flat else _outputs(layer), name)

    def _reads_first(self, name: str, layer: Any, place: Place) -> Place:
        inputs = layer.in_channels if isinstance(layer, CONVOLUTIONS) else None
        last = place.axis in (Axis.LAST, Axis.SEQUENCE)
        # If the channels are not as many as the last axis of Keras' array, Keras has moved its axes too.
        moved = last and None not in (inputs, place.channels) and inputs != place.channels
        if place.axis in (Axis.FLAT, Axis.TURNED, Axis.MIXED) or (last and not moved):
            _refuse(name, layer, place, "reads the axis behind the batch as the channels")
        if isinstance(layer, GLOBAL_POOLS):
            return Place(Axis.FLAT, None, name)
        made = layer.out_channels if inputs is not None else getattr(layer, "num_features", place.channels)
        return Place(Axis.FIRST, made, name)

    def _batch_norm(self, name: str, layer: Any, place: Place) -> Place:
        size = layer.num_features
        if place.axis is Axis.MIXED:
            self._reorder(name, layer, place, size)
        if place.axis in (Axis.SEQUENCE, Axis.TURNED):
            _refuse(name, layer, place, "reads the axis behind the batch as the channels")
        if place.axis is Axis.UNKNOWN:
            return Place(Axis.FIRST_OR_FLAT, size, name)
        return replace(place, channels=size) if place.axis is Axis.FIRST else place

    def _channels_last(self, name: str, layer: Any, place: Place) -> Place:
        if place.axis is Axis.MIXED and isinstance(layer, BATCH_NORMS):
            self._reorder(name, layer, place, layer.num_features)
            return place
        if place.axis in (Axis.FIRST, Axis.FIRST_OR_FLAT, Axis.MIXED):
            _refuse(name, layer, place, "reads the last axis as the channels")
        if isinstance(layer, CONVOLUTIONS):
            return Place(Axis.SEQUENCE, layer.out_channels, name)
        if isinstance(layer, GLOBAL_POOLS):
            return Place(Axis.FLAT, None, name)
        if isinstance(layer, POOLS):
            return Place(Axis.SEQUENCE, place.channels, name)
        return Place(Axis.LAST, None, name) if place.axis in (Axis.UNKNOWN, Axis.TURNED) else place

    def _moves(self, name: str, layer: Any, place: Place) -> Place:
        first = place.axis in (Axis.FIRST, Axis.FIRST_OR_FLAT)
        odd = first or place.axis in (Axis.TURNED, Axis.MIXED)
        if isinstance(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) == (1, -1):
            return self._flattened(name, layer, place)
        if isinstance(layer, nn.Reshape) and len(layer.shape) == 1:
            return self._flattened(name, layer, place)
        if isinstance(layer, nn.Permute) and place.axis is not Axis.MIXED:
            moved = place.channels if layer.dims[1:2] == [len(layer.dims) - 1] else None
            return replace(place, axis=Axis.TURNED) if first else Place(Axis.UNKNOWN, moved, name)
        if isinstance(layer, nn.RepeatVector) and not first:
            return place if place.axis is Axis.MIXED else Place(Axis.SEQUENCE, place.channels, name)
        if isinstance(layer, (nn.Reverse, *HEADS)) and not first:
            ends = isinstance(layer, HEADS) and place.axis is not Axis.MIXED
            return Place(Axis.FLAT, place.channels, name) if ends else place
        if isinstance(layer, nn.Softmax) and not first:
            return place
        if odd:
            _refuse(name, layer, place, "moves or joins the axes, or reads the last of them")
        if isinstance(layer, nn.Embedding):
            return Place(Axis.SEQUENCE, layer.embedding_dim, name)
        return Place(Axis.UNKNOWN, None, name)

    def _flattened(self, name: str, layer: Any, place: Place) -> Place:
        if place.axis is Axis.TURNED:
            _refuse(name, layer, place, "joins axes that the model has permuted, and Keras perhaps has not")
        if place.axis in (Axis.FIRST, Axis.FIRST_OR_FLAT):
            return Place(Axis.MIXED, place.channels, place.since)
        return place if place.axis is Axis.MIXED else Place(Axis.FLAT, None, name)

    def _reorder(self, name: str, layer: Any, place: Place, size: int) -> None:
        """Notes that input feature j of a layer, which is channel c at step s, is feature s C + c in Keras."""
        if place.channels is None or size % place.channels:
            known = "how many is not known" if place.channels is None else f"{place.channels} do not divide {size}"
            _refuse(name, layer, place, f"has {size} input features, which Flatten made of channels: {known}; it")
        self.orders[name] = np.arange(size).reshape(-1, place.channels).T.reshape(-1)


def _inputs(layer: Any) -> int:
    """Returns the size of the last axis that a layer takes."""
    if isinstance(layer, nn.Bidirectional):
        return _inputs(layer.forward)
    if isinstance(layer, nn.LayerNorm):
        return int(layer.normalized_shape[-1])
    return int(layer.in_features if isinstance(layer, Linear) else layer.input_size)


def _outputs(layer: Any) -> int | None:
    """Returns the size of the last axis that a recurrent layer gives."""
    return int(layer.hidden_size) if isinstance(layer, RECURRENT) else None


def _refuse(name: str, layer: Module, place: Place, does: str) -> NoReturn:
    raise ValueError(
        f"layer {quoted(name)} of the model ({type(layer).__name__}) {does}, where Keras has the channels last and "
        f"layer {quoted(place.since)} leaves them elsewhere: the weights alone do not say what Keras computes here; "
        "put nn.ChannelsLast around the layers that take the channels first"
    )
