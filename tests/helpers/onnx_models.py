"""Small models of ONNX written as text, with arrays for their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx


def write(path: Path, graph: str, arrays: dict[str, Any] | None = None, opset: int = 20, domains: str = "") -> Path:
    """Writes a model whose graph is given in onnx.parser's syntax, "(inputs) => (outputs) {nodes}"."""
    header = f'<ir_version: 9, opset_import: ["": {opset}{domains}]> g '
    model = onnx.parser.parse_model(header + graph)
    for name, value in (arrays or {}).items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    path.write_bytes(model.SerializeToString())
    return path


def weights(
    gates: int, directions: int = 1, inner: int = 3, hidden: int = 5, dtype: Any = np.float32
) -> dict[str, Any]:
    """Random arrays w, r and b of a recurrent node."""
    random = np.random.default_rng(0)
    shapes = {"w": (directions, gates * hidden, inner), "r": (directions, gates * hidden, hidden)}
    shapes["b"] = (directions, 2 * gates * hidden)
    return {name: random.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}


BODY = "(float[b,3] x) => (float[b,2] y) { y = MatMul(x, m) }"
M = np.arange(6, dtype=np.float32).reshape(3, 2)
Edit = Callable[[Any], Any]


def edited(path: Path, edit: Edit, body: str = BODY, arrays: dict[str, Any] | None = None) -> Path:
    model = onnx.load(write(path, body, {"m": M} if arrays is None else arrays))
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path
