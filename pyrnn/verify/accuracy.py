"""Measures the errors of pyrnn and torch for `pyrnn accuracy`.

A float32 network is compared with torch's float64 computation from the same weights. A float64 network has no more
exact reference, so pyrnn and torch are compared with each other. One layer has T = 100 steps, B = 8, I = 64, H = 128.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core import layers

CELLS = ("LSTM", "GRU", "RNN")
STEPS, BATCH, INPUT, HIDDEN = 100, 8, 64, 128


def errors(cell: str) -> dict[str, float]:
    """Measures the largest errors of one cell: absolute for outputs, which are of order 1, relative for gradients.

    Args:
        cell: "LSTM", "GRU" or "RNN".

    Returns:
        Errors by "{dtype} {output|gradient} {pyrnn|torch}"; for float64 the difference between pyrnn and torch. A
        gradient's error is relative to its largest number.
    """
    import torch

    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((STEPS, BATCH, INPUT)), rng.standard_normal((STEPS, BATCH, HIDDEN))
    torch.manual_seed(0)
    weights = getattr(torch.nn, cell)(INPUT, HIDDEN).state_dict()
    found: dict[str, float] = {}
    truth = _torch_arrays(cell, weights, x.astype(np.float32).astype(float), dy.astype(np.float32).astype(float))
    for name, run in {"pyrnn": _pyrnn_arrays, "torch": _torch_arrays}.items():
        arrays = run(cell, weights, x.astype(np.float32), dy.astype(np.float32))
        found[f"float32 output {name}"] = _distance(arrays[:1], truth[:1], relative=False)
        found[f"float32 gradient {name}"] = _distance(arrays[1:], truth[1:], relative=True)
    wide, judge = (run(cell, weights, x, dy) for run in (_pyrnn_arrays, _torch_arrays))
    found["float64 output pyrnn"] = _distance(wide[:1], judge[:1], relative=False)
    found["float64 gradient pyrnn"] = _distance(wide[1:], judge[1:], relative=True)
    return found


def _pyrnn_arrays(cell: str, weights: dict[str, Any], x: Array, dy: Array) -> list[Array]:
    layer = getattr(layers, cell)(INPUT, HIDDEN, dtype=x.dtype)
    layer.load_state_dict(weights)
    y, _, pullback = layer.vjp(x)
    gradients = pullback(dy)
    return [y, gradients.input, *gradients.parameters.values()]


def _torch_arrays(cell: str, weights: dict[str, Any], x: Array, dy: Array) -> list[Array]:
    import torch

    module = getattr(torch.nn, cell)(INPUT, HIDDEN).to(torch.from_numpy(x).dtype)
    module.load_state_dict(weights)
    leaf = torch.from_numpy(x).requires_grad_()
    y = module(leaf)[0]
    y.backward(torch.from_numpy(dy))
    return [tensor.detach().numpy() for tensor in (y, leaf.grad, *(p.grad for p in module.parameters()))]


def _distance(arrays: list[Array], truth: list[Array], relative: bool) -> float:
    scale: Callable[[Array], float] = (lambda a: float(np.abs(a).max())) if relative else (lambda a: 1.0)
    return max(float(np.abs(a - t).max()) / scale(t) for a, t in zip(arrays, truth, strict=True))


def run() -> None:
    """Prints the table of errors."""
    from rich.console import Console
    from rich.table import Table

    table = Table("largest error", *CELLS, title=f"T={STEPS}, B={BATCH}, I={INPUT}, H={HIDDEN}")
    found = {cell: errors(cell) for cell in CELLS}
    for key in found[CELLS[0]]:
        table.add_row(key, *(f"{found[cell][key]:.1e}" for cell in CELLS))
    Console().print(table)


if __name__ == "__main__":
    run()
