"""Compares two computations by outputs, steps and gates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from pyrnn import nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import brief
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent

from .equations import EquationsCell
from .report import Difference, LayerReport


class Passed(NamedTuple):
    """Holds a layer of a Sequential with its input, the mask of the input, and its output."""

    name: str
    layer: Module
    input: Array
    mask: Array | None
    output: Array


def walk(model: nn.Sequential, data: Array) -> Iterator[Passed]:
    """Runs a Sequential layer by layer."""
    mask: Array | None = None
    for name, layer in model._modules.items():
        before, given = data, mask
        data, mask = nn.Sequential({name: layer})._through(data, mask, [])
        yield Passed(name, layer, before, given, data)


def cast(data: Array, model: Module) -> Array:
    """Casts floats to the model's dtype and leaves integers as they are."""
    if data.dtype.kind not in "fiu":
        raise ValueError(f"the data should be numbers, got dtype {data.dtype}")
    dtypes = [value.dtype for value in model.parameters().values()]
    return data.astype(dtypes[0]) if dtypes and data.dtype.kind == "f" else data


def apart(here: Array, there: Array, tolerance: float) -> Array:
    """Tells which numbers differ, as an array of bool."""
    both_nan = np.isnan(here) & np.isnan(there)
    same = (here == there) | (np.abs(here - there) <= tolerance * np.maximum(1, np.abs(there)))
    return np.asarray(~(same | both_nan))


def layer_report(name: str, kind: str, here: Array, there: Array, tolerance: float) -> LayerReport:
    """Summarises the differences of an output; raises ValueError if the shapes differ."""
    if here.shape != there.shape:
        raise ValueError(f"layer {brief(name)}: the output has shape {here.shape} here and {there.shape} there")
    here, there = here.astype(np.float64), there.astype(np.float64)
    with np.errstate(invalid="ignore"):  # The difference of two infinities is NaN.
        off, wrong = np.where(here == there, 0.0, np.abs(here - there)), apart(here, there, tolerance)
    off = np.where(np.isnan(here) & np.isnan(there), 0.0, off)
    return LayerReport(name, kind, float(off.max(initial=0)), not wrong.any())


def output_difference(name: str, here: Array, there: Array, tolerance: float, time: int | None) -> Difference:
    """Finds where two outputs first differ; `time` is the axis of time, or None."""
    step = None
    if time is not None:
        here, there = np.moveaxis(here, time, 0), np.moveaxis(there, time, 0)
        step = int(apart(here, there, tolerance).any(axis=tuple(range(1, here.ndim))).argmax())
        here, there = here[step], there[step]
    return _furthest(here, there, tolerance, layer=name, step=step, direction=None, gate=None, gates=())


def gate_difference(
    name: str,
    cell: EquationsCell,
    input: Array,
    fields: Mapping[str, Array],
    active: Array | None,
    turned: bool,
    tolerance: float,
) -> Difference | None:
    """Finds where one direction of a traced layer first differs from its equations; returns None if it does not.

    Args:
        name: the name of the layer.
        cell: the equations.
        input: [T,B,I], in the order of time.
        fields: [T,B,H] for each gate, as in a trace, in the order of time.
        active: bool [T,B], False at masked steps, or None.
        turned: whether the layer reads the sequence from its end.
        tolerance: the smallest difference that counts, as in `verify`.
    """
    order = slice(None, None, -1 if turned else 1)
    flags = None if active is None else active[order]
    expected = cell.run(input[order].astype(np.float64), flags)
    shown = np.ones(input.shape[:2], bool)[..., None] if active is None else active[order][..., None]
    found = {gate: np.asarray(fields[gate][order], np.float64) for gate in expected}
    wrong = {gate: apart(found[gate], expected[gate], tolerance) & shown for gate in expected}
    for t in range(len(input)):
        gates = tuple(gate for gate in expected if wrong[gate][t].any())
        if gates:
            step = len(input) - 1 - t if turned else t
            here, there = (np.where(shown[t], values[gates[0]][t], 0) for values in (found, expected))
            direction = "reverse" if turned else "forward"
            return _furthest(
                here, there, tolerance, layer=name, step=step, direction=direction, gate=gates[0], gates=gates
            )
    return None


def direction_difference(
    name: str,
    cell: EquationsCell,
    layer: Recurrent,
    passed: Passed,
    tolerance: float,
    *,
    turned: bool,
    direction: str = "forward",
) -> Difference | None:
    """Finds where one direction of a recurrent layer first differs from its equations, given the layer's input.

    Args:
        name: the name of the layer in the report.
        cell: the equations.
        layer: the layer, or one half of an `nn.Bidirectional`.
        passed: the input of the layer, and its mask.
        tolerance: the smallest difference that counts, as in `verify`.
        turned: whether an nn.Reverse or an nn.Bidirectional gives the layer the sequence from its end.
        direction: the direction of the layer itself, "forward" or "reverse".
    """
    values, mask = passed.input, passed.mask
    time = 1 if layer.batch_first else 0
    if turned and isinstance(passed.layer, nn.Bidirectional):
        values, mask = np.flip(values, time), None if mask is None else np.flip(mask, time)
    fields = vars(layer.trace(values, mask=mask)[0, direction])
    if layer.batch_first:
        values, mask = values.swapaxes(0, 1), None if mask is None else mask.T
    if turned:  # This restores the order of time.
        values, mask = values[::-1], None if mask is None else mask[::-1]
        fields = {gate: array[::-1] for gate, array in fields.items()}
    return gate_difference(name, cell, values, fields, mask, turned or direction == "reverse", tolerance)


def _furthest(here: Array, there: Array, tolerance: float, **where: Any) -> Difference:
    wrong = apart(here, there, tolerance)
    off = np.where(wrong, np.nan_to_num(np.abs(here - there), nan=np.inf), -1.0)
    place = np.unravel_index(int(off.argmax()), off.shape)
    return Difference(
        row=int(place[0]), unit=int(place[-1]), here=float(here[place]), there=float(there[place]), **where
    )
