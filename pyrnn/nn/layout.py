"""This module knows which axes of a network are batch, time and features, and warns if two layers disagree.

An array does not name its axes: a layer that takes [T,B,C] runs on [B,T,C] too, and computes something else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pyrnn.checks.arrays import Array
from pyrnn.checks.caution import caution
from pyrnn.core.linear import Linear
from pyrnn.core.making import is_loading
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent

from .activations import Activation, LogSoftmax, Softmax
from .batchnorm import BatchNorm1d
from .bidirectional import Bidirectional
from .channels_last import ChannelsLast
from .conv import Conv1d
from .dropout import Dropout
from .embedding import Embedding
from .heads import GlobalAveragePool1d, GlobalMaxPool1d, LastStep
from .masking import Masking
from .norm import LayerNorm
from .pool import AvgPool1d, MaxPool1d
from .shape import Flatten, Permute, RepeatVector, Reshape

TIME_FIRST = "[T,B,C] (steps, batch, features)"
BATCH_FIRST = "[B,T,C] (batch, steps, features)"
CHANNELS_FIRST = "[B,C,T] (batch, features, steps)"
TIME_AXIS = {TIME_FIRST: 0, BATCH_FIRST: 1}
HEADS = (LastStep, GlobalAveragePool1d, GlobalMaxPool1d)
IN_WINDOWS = (Conv1d, MaxPool1d, AvgPool1d)
WHOLE = [(first, last) for first in (0, -3) for last in (2, -1)]
MOVED: dict[tuple[str, tuple[int, ...]], str] = {
    (TIME_FIRST, (1, 0, 2)): BATCH_FIRST,
    (BATCH_FIRST, (1, 0, 2)): TIME_FIRST,
    (BATCH_FIRST, (0, 2, 1)): CHANNELS_FIRST,
    (CHANNELS_FIRST, (0, 2, 1)): BATCH_FIRST,
    (TIME_FIRST, (1, 2, 0)): CHANNELS_FIRST,
    (CHANNELS_FIRST, (2, 0, 1)): TIME_FIRST,
}
ELEMENTWISE = (Activation, Softmax, LogSoftmax, Dropout, LayerNorm, Masking)
STAYING = (*ELEMENTWISE, *HEADS, Linear, Embedding, Recurrent, Bidirectional)  # layers that move no axis


class Output(NamedTuple):
    """The known properties of a layer's output.

    Attributes:
        axes: one of the layouts above.
        channels: the size of C, 0 if it is unknown.
        layer: the layer that returned it, as messages name it.
    """

    axes: str
    channels: int
    layer: str


def taken_by(layer: Module) -> str | None:
    """Returns the layout that a layer takes and cannot see from its input; None if it works on any."""
    if isinstance(layer, Bidirectional):
        layer = layer.forward
    if isinstance(layer, ChannelsLast):
        return BATCH_FIRST if isinstance(layer.layer, IN_WINDOWS) else None
    if isinstance(layer, (*IN_WINDOWS, BatchNorm1d)):
        return CHANNELS_FIRST
    batch_first = getattr(layer, "batch_first", None)
    if isinstance(layer, RepeatVector) or not isinstance(batch_first, bool):
        return None
    return BATCH_FIRST if batch_first else TIME_FIRST


def check_layout(layers: Iterable[tuple[str, Module]]) -> None:
    """Warns once of each layer that takes other axes than the layer before it returns.

    It does not warn while a loader makes the layers, because their order comes from the file.

    Args:
        layers: the network's layers in order, with their names.
    """
    if is_loading():
        return
    before: Output | None = None
    for name, layer in layers:
        words = f"{type(layer).__name__} ({name})"
        problem = _problem(layer, before) if before else None
        if problem:
            caution(layer, "axes", f"{words} {problem}")
        before = _after(layer, before, words)


def check_cuts(network: Module, layers: Iterable[tuple[str, Module]], input: Array, axis: int) -> None:
    """Warns once if batches cut along an axis of the input would be pieces of sequences.

    Args:
        network: the network that the warning is about, at most once.
        layers: its layers in order, with their names.
        input: the array that is cut.
        axis: the axis along which it is cut.
    """
    name, layer = first_in_time(layers)
    if layer is None:
        return
    layout = str(taken_by(layer))
    if holds_sequences(input) and TIME_AXIS[layout] == axis % input.ndim:
        caution(
            network,
            "cuts",
            f"predict cuts the input into batches along axis {axis}, and {type(layer).__name__} ({name}) "
            f"takes {layout}: it would cut the sequences. Write batch_axis={1 - TIME_AXIS[layout]}, or make "
            f"the layer with batch_first={layout == TIME_FIRST}.",
        )


def first_in_time(layers: Iterable[tuple[str, Module]]) -> tuple[str, Module | None]:
    """Returns the first layer with a time axis and its name, provided that the layers before it move no axis."""
    for name, layer in layers:
        if taken_by(layer) in TIME_AXIS:
            return name, layer
        if not isinstance(layer, (*ELEMENTWISE, Linear, Embedding)):
            break
    return "", None


def holds_sequences(input: Array) -> bool:
    """Whether the input has axes for batch and time: [T,B] of integers, [T,B,F] of floats."""
    return input.ndim > 1 + (input.dtype.kind == "f")


def batch_axis_of(layers: Iterable[tuple[str, Module]]) -> int | None:
    """Returns the axis of the input that counts the sequences; None if some layer moves an axis or may do so."""
    every = list(layers)
    _, first = first_in_time(every)
    if first is None or not all(isinstance(layer, STAYING) and is_ours(layer) for _, layer in every):
        return None
    layout = str(taken_by(first))
    return 1 - TIME_AXIS[layout] if all(taken_by(layer) in (None, layout) for _, layer in every) else None


def is_ours(layer: Module) -> bool:
    """Whether the layer's class is pyrnn's; a caller's subclass may do anything."""
    return type(layer).__module__.startswith("pyrnn.")


def _problem(layer: Module, before: Output) -> str | None:
    """Returns the end of a sentence that says how a layer disagrees with its input; None if it does not."""
    given = f"{before.layer} gives {before.axes}"
    taken = taken_by(layer)
    if before.axes == TIME_FIRST and isinstance(layer, (Flatten, Reshape)) and _merges_the_batch(layer):
        return f"takes axis 0 to be the batch, but {given}; make that layer with batch_first=True."
    if taken in (None, before.axes):
        return None
    if CHANNELS_FIRST not in (taken, before.axes):
        return f"takes {taken}, but {given}; write batch_first={before.axes == BATCH_FIRST}."
    wanted = getattr(layer, "in_channels", getattr(layer, "num_features", getattr(layer, "input_size", None)))
    if wanted is not None and wanted != before.channels:
        return None  # C does not fit the layer, so the caller may mean another axis
    if taken == CHANNELS_FIRST:
        return f"takes {taken}, but {given}; put it in nn.ChannelsLast, behind layers with batch_first=True."
    return f"takes {taken}, but {given}; put nn.Permute((0, 2, 1)) between them, and write batch_first=True."


def _merges_the_batch(layer: Any) -> bool:
    """Whether it would merge the batch of [T,B,C] with the channels, rather than time with batch."""
    return isinstance(layer, Reshape) or layer.start_dim in (1, -2) or (layer.start_dim, layer.end_dim) in WHOLE


def _after(layer: Module, before: Output | None, words: str) -> Output | None:
    """Returns the known properties of a layer's output, given those of its input."""
    if isinstance(layer, Recurrent):
        directions = 2 if layer.bidirectional else 1
        return Output(str(taken_by(layer)), directions * (layer.proj_size or layer.hidden_size), words)
    if isinstance(layer, Bidirectional):
        return Output(str(taken_by(layer)), 0, words) if layer.return_sequences else None
    if isinstance(layer, RepeatVector):
        return Output(BATCH_FIRST if layer.batch_first else TIME_FIRST, 0, words)
    if isinstance(layer, IN_WINDOWS):
        known = before.channels if before and before.axes == CHANNELS_FIRST else 0
        return Output(CHANNELS_FIRST, getattr(layer, "out_channels", known), words)
    if isinstance(layer, ChannelsLast) and isinstance(layer.layer, IN_WINDOWS):
        return Output(BATCH_FIRST, getattr(layer.layer, "out_channels", before.channels if before else 0), words)
    if before is None:
        return None
    if isinstance(layer, Linear):
        return before._replace(channels=layer.out_features if before.axes != CHANNELS_FIRST else before.channels)
    if isinstance(layer, Permute):
        moved = MOVED.get((before.axes, tuple(layer.dims)))
        return before._replace(axes=moved, layer=words) if moved else None
    keeps = isinstance(layer, (*ELEMENTWISE, BatchNorm1d)) or (taken_by(layer) and not isinstance(layer, HEADS))
    return before if keeps else None
