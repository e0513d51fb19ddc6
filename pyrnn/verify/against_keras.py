"""Compares a model with Keras: a functional probe returns the output of each of its layers."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from pyrnn import nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.io.keras.recurrent import LAYERS, ORDERS
from pyrnn.io.keras.store import snake
from pyrnn.io.loading import load

from .compare import Passed, cast, direction_difference, layer_report, output_difference, walk
from .equations import EquationsCell, blocks
from .report import Difference, LayerReport


def compare(
    path: str, data: Array, tolerance: float, model: Module | None, options: dict[str, Any]
) -> tuple[list[LayerReport], Difference | None]:
    """Compares the outputs of the model's layers with those of Keras."""
    mine = load(path, **options)  # pyrnn loads first, because it refuses files in which Keras might run code.
    mine = mine if model is None else model
    if not isinstance(mine, nn.Sequential):
        raise ValueError(f"against Keras, the model should be an nn.Sequential, got {type(mine).__name__}")
    data = cast(data, mine)
    keras = _keras()
    layers, outputs = _probed(keras, path, data)
    passed = list(walk(mine.eval(), data))
    reports: list[LayerReport] = []
    first: Difference | None = None
    for layer, there, group in zip(layers, outputs, _groups(passed, [layer.name for layer in layers]), strict=True):
        if not group:  # The layer computes nothing: it is a linear activation.
            continue
        here, kind = group[-1].output, type(layer).__name__
        reports.append(layer_report(layer.name, kind, here, there, tolerance))
        if first is None and not reports[-1].agrees:
            first = next(_gate_differences(keras, layer, group, tolerance), None)
            time = 1 if here.ndim == 3 else None
            first = first or output_difference(layer.name, here, there, tolerance, time)
    return reports, first


def _keras() -> Any:
    if find_spec("tensorflow") is None:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            f'verify against keras needs {error.name or "keras"}: pip install "pyrnn-cpu[keras-test]"'
        ) from error
    return keras


def _probed(keras: Any, path: str, data: Array) -> tuple[list[Any], list[Array]]:
    """Returns the layers of Keras' model and the output of each."""
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras warns of its older files.
            model = keras.models.load_model(path, compile=False)
            if isinstance(model, keras.Sequential) and not model.built:
                model.build(data.shape)
            layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
            probe = keras.Model(model.inputs[0], [layer.output for layer in layers])
            found = probe(data, training=False)
            found = found if len(layers) > 1 else [found]  # Keras returns one output without a list.
            outputs = [np.array(keras.ops.convert_to_numpy(output)) for output in found]
    except Exception as error:  # Keras and its backends raise many kinds of errors.
        why = " ".join(re.sub(r"\x1b\[\d*m", "", str(error)).split()) or type(error).__name__
        raise ValueError(f"Keras {keras.__version__} does not run {path}: {why[:300]}") from error
    return layers, outputs


def _groups(passed: Sequence[Passed], names: Sequence[str]) -> list[list[Passed]]:
    """Returns the modules for each layer of Keras: those with its name, and those with their class added to it."""
    bases = [re.sub(r"\W", "_", name).strip("_") for name in names]
    groups: list[list[Passed]] = []
    left = list(passed)
    for base, following in zip(bases, [*bases[1:], ""], strict=True):
        group: list[Passed] = []
        while left:
            name = left[0].name.removeprefix("layer_" if not base.startswith("layer_") else "").strip("_")
            helper = f"{base}_{snake(type(left[0].layer).__name__)}"
            if name != base and (name != helper or name == following):
                break
            group.append(left.pop(0))
        groups.append(group)
    if left:
        raise ValueError(
            f"layer {brief(left[0].name)} of the model stands for none of Keras' layers: {', '.join(names)[:300]}"
        )
    return groups


def _gate_differences(keras: Any, layer: Any, group: Sequence[Passed], tolerance: float) -> Iterator[Difference]:
    """Yields where the gates of a recurrent layer's directions differ from the equations."""
    backwards = any(isinstance(one.layer, nn.Reverse) for one in group)
    for one in group:
        sides: list[tuple[Any, Recurrent, bool]] = []
        if isinstance(one.layer, nn.Bidirectional) and hasattr(layer, "forward_layer"):
            sides = [(layer.forward_layer, one.layer.forward, False), (layer.backward_layer, one.layer.backward, True)]
        elif isinstance(one.layer, Recurrent) and hasattr(layer, "cell"):
            sides = [(layer, one.layer, backwards)]
        for theirs, mine, turned in sides:
            found = direction_difference(layer.name, _cell(keras, theirs), mine, one, tolerance, turned=turned)
            if found is not None:
                yield found


def _cell(keras: Any, layer: Any) -> EquationsCell:
    """Returns the equations of Keras' layer, with Keras' activations."""
    cell = layer.cell
    keras_name = type(layer).__name__
    kind, gates = LAYERS[keras_name], ORDERS[keras_name]
    kernel, recurrent, *rest = cell.get_weights()
    bias = rest[0] if rest else np.zeros(kernel.shape[-1])
    halves = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))

    def function(name: str) -> Any:
        return lambda a: np.array(keras.ops.convert_to_numpy(getattr(cell, name)(keras.ops.convert_to_tensor(a))))

    options = {} if kind == "RNN" else {"recurrent_activation": function("recurrent_activation")}
    return EquationsCell(
        kind,
        blocks(kernel, gates),
        blocks(recurrent, gates),
        blocks(halves[0], gates),
        blocks(halves[1], gates),
        activation=function("activation"),
        reset_after=getattr(cell, "reset_after", True),
        **options,
    )
