"""This module makes the table that `Sequential.summary` returns: layer, output shape, parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyrnn.checks.arguments import is_int
from pyrnn.checks.arrays import Array
from pyrnn.core.module import Module

from .embedding import Embedding

Shapes = list[tuple[int, ...]]
Run = Callable[[Array], Shapes]  # maps an input to the output shape of each layer

FREE = (32, 64)  # sizes of a free axis in two runs: where the output shapes differ, the table says None


def table(network: Module, run: Run, input_shape: Sequence[int | None]) -> str:
    """Returns the table. It runs the network twice on zeros; a free first axis has size 1, then 2."""
    for size in input_shape:
        if size is not None and (not is_int(size) or size < 0):
            raise ValueError(f"input_shape should hold sizes, or None for a free one, got {tuple(input_shape)}")
    first, second = (run(_zeros(network, input_shape, trial)) for trial in (0, 1))
    rows = [("layer", "output shape", "parameters")]
    for (name, layer), a, b in zip(network._modules.items(), first, second, strict=True):
        shape = ", ".join(str(i) if i == j else "None" for i, j in zip(a, b, strict=True))
        count = sum(value.size for value in layer.parameters().values())
        rows.append((f"{name} ({type(layer).__name__})", f"({shape})", f"{count:,}"))
    rows.append(("total", "", f"{sum(value.size for value in network.parameters().values()):,}"))
    buffers = sum(value.size for value in network.buffers().values())
    if buffers:
        rows.append(("buffers (not trained)", "", f"{buffers:,}"))
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{row[0]:{wide[0]}}  {row[1]:{wide[1]}}  {row[2]:>{wide[2]}}" for row in rows]
    rule = "-" * len(lines[0])
    end = len(network._modules) + 1
    return "\n".join([lines[0], rule, *lines[1:end], rule, *lines[end:]])


def _zeros(network: Module, input_shape: Sequence[int | None], trial: int) -> Array:
    shape = [
        size if size is not None else (FREE[trial] if axis else 1 + trial) for axis, size in enumerate(input_shape)
    ]
    if _reads_integers(network):
        return np.zeros(shape, np.int64)
    dtypes = [value.dtype for value in network.parameters().values()]
    return np.zeros(shape, dtypes[0] if dtypes else np.float32)


def _reads_integers(layer: Any) -> bool:
    """Whether an Embedding comes before any layer that computes."""
    for inside in layer._modules.values():
        if inside._modules and type(inside).__name__ == "Sequential":
            return _reads_integers(inside)
        if isinstance(inside, Embedding):
            return True
        if type(inside).__name__ not in ("Flatten", "Reshape", "Permute", "Reverse"):
            return False
    return False
