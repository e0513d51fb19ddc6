"""Compares a state dict with a recurrent layer with torch.nn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.facts import GATES
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.core.trace import DIRECTIONS
from pyrnn.io.from_weights import prefixes
from pyrnn.io.loading import load, named_arrays
from pyrnn.weights.files import load_state_dict

from .compare import cast, gate_difference, layer_report, output_difference
from .equations import EquationsCell, blocks
from .report import Difference, LayerReport

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def compare(
    path: str, data: Array, tolerance: float, model: Module | None, options: dict[str, Any]
) -> tuple[list[LayerReport], Difference | None]:
    """Compares the trace of pyrnn, layer by layer of the stack, with what torch.nn computes from the file's arrays."""
    try:
        import torch
    except ImportError as error:
        raise ImportError('verify against torch needs torch: pip install "pyrnn-cpu[torch]"') from error
    described = load(path, **options)
    layer = described if model is None else model
    if not isinstance(layer, Recurrent) or not isinstance(described, Recurrent):
        raise ValueError(f"against torch, the model should be one RNN, LSTM or GRU, got {type(layer).__name__}")
    _check_options(described)
    if (type(layer), layer.num_layers, layer.bidirectional) != (
        type(described), described.num_layers, described.bidirectional,
    ):  # fmt: skip
        raise ValueError(f"the file holds {described}, the model is {layer}")
    arrays = named_arrays(load_state_dict(path))
    prefix = options.get("prefix", prefixes(arrays)[0])
    arrays = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    x = _time_major(cast(data, layer), layer)
    trace = layer.trace(x.swapaxes(0, 1) if layer.batch_first else x)
    reports: list[LayerReport] = []
    first: Difference | None = None
    with torch.no_grad():
        for k in range(layer.num_layers):
            there = _torch_layer(torch, described, arrays, k)(torch.from_numpy(x.copy()))[0].numpy()
            directions = [name for index, name in trace if index == k]
            here = np.concatenate([trace[k, name].h for name in directions], axis=-1)
            reports.append(layer_report(f"l{k}", type(layer).__name__, here, there, tolerance))
            if first is None and not reports[-1].agrees:
                first = _first_gate(described, arrays, k, x, trace, tolerance)
                first = first or output_difference(f"l{k}", here, there, tolerance, 0)
            x = here
    return reports, first


def _check_options(layer: Recurrent) -> None:
    """Refuses options that torch.nn lacks."""
    expected = {"reset_after": True, "activation": "tanh", "recurrent_activation": "sigmoid", "peephole": False}
    for option, value in expected.items():
        if getattr(layer, option, value) != value:
            raise ValueError(
                f"{option}={getattr(layer, option)} is not in torch.nn: there is nothing to verify against"
            )


def _time_major(x: Array, layer: Recurrent) -> Array:
    if x.ndim not in (2, 3) or x.dtype.kind != "f":
        raise ValueError(f"the data should be floats with 2 or 3 axes, got {x.dtype} of shape {x.shape}")
    if x.ndim == 2:
        return x[:, None]
    return np.ascontiguousarray(x.swapaxes(0, 1)) if layer.batch_first else x


def _torch_layer(torch: Any, layer: Recurrent, arrays: Mapping[str, Array], k: int) -> Any:
    """Makes layer k of the stack as a torch.nn module with the file's arrays."""
    kind = type(layer).__name__
    mine = {name: array for name, array in arrays.items() if name.removesuffix("_reverse").endswith(f"_l{k}")}
    options: dict[str, Any] = {"bias": layer.bias, "bidirectional": layer.bidirectional}
    options |= {"nonlinearity": layer.config()["nonlinearity"]} if kind == "RNN" else {}
    options |= {"proj_size": layer.proj_size} if layer.proj_size else {}
    size = mine[f"weight_ih_l{k}"].shape[1]
    dtype = torch.from_numpy(np.zeros(0, layer.parameters()["weight_ih_l0"].dtype)).dtype
    made = getattr(torch.nn, kind)(size, layer.hidden_size, **options).to(dtype)
    made.load_state_dict({_first_of(name, k): torch.from_numpy(array) for name, array in mine.items()})
    return made


def _first_of(name: str, k: int) -> str:
    start, _, end = name.rpartition(f"_l{k}")
    return f"{start}_l0{end}"


def _first_gate(
    layer: Recurrent, arrays: Mapping[str, Array], k: int, x: Array, trace: Any, tolerance: float
) -> Difference | None:
    for name, end in zip(DIRECTIONS, ("", "_reverse"), strict=True):
        if (k, name) in list(trace):
            own = {kind: arrays[f"{kind}_l{k}{end}"] for kind in PARAMETERS if f"{kind}_l{k}{end}" in arrays}
            fields = vars(trace[k, name])
            found = gate_difference(f"l{k}", cell_of(layer, own), x, fields, None, bool(end), tolerance)
            if found is not None:
                return found
    return None


def cell_of(layer: Recurrent, arrays: Mapping[str, Array]) -> EquationsCell:
    """Returns the equations of torch.nn's layer from the arrays of one layer and direction, named without suffixes."""
    kind = type(layer).__name__
    gates = GATES[kind]
    zeros = np.zeros(len(arrays["weight_ih"]))
    w_ih, w_hh = (blocks(arrays[name].T, gates) for name in ("weight_ih", "weight_hh"))
    b_ih, b_hh = (blocks(arrays.get(name, zeros), gates) for name in ("bias_ih", "bias_hh"))
    relu = kind == "RNN" and layer.config()["nonlinearity"] == "relu"
    projection = arrays["weight_hr"].T.astype(np.float64) if "weight_hr" in arrays else None
    return EquationsCell(kind, w_ih, w_hh, b_ih, b_hh, activation=_relu if relu else np.tanh, projection=projection)


def _relu(a: Array) -> Array:
    return np.maximum(a, 0)
