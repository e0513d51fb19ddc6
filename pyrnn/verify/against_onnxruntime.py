"""Compares an ONNX model with onnxruntime, at every node whose output a chain of pyrnn's layers computes too."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from pyrnn import nn
from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.core.module import Module
from pyrnn.core.recurrent import Recurrent
from pyrnn.io.loading import load
from pyrnn.io.onnx.node import ORDERS
from pyrnn.io.onnx.package import attributes, onnx_package
from pyrnn.io.onnx.reading import read_model

from .compare import Passed, cast, layer_report, output_difference, walk
from .onnx_gates import gate_differences
from .report import Difference, LayerReport


def compare(
    path: str, data: Array, tolerance: float, model: Module | None, options: dict[str, Any]
) -> tuple[list[LayerReport], Difference | None]:
    """Compares the outputs of the graph's nodes, and then its output."""
    mine = load(path, **options)
    mine = mine if model is None else model
    if not isinstance(mine, nn.Sequential):
        raise ValueError(f"against onnxruntime, the model should be an nn.Sequential, got {type(mine).__name__}")
    proto = read_model(path, Budget(os.path.getsize(path), options.get("limit")))
    end = options.get("output") or proto.graph.output[0].name
    data = cast(data, mine.eval())
    outputs = _outputs(proto, path, data)
    passed = list(walk(mine, data))
    reports: list[LayerReport] = []
    first: Difference | None = None
    for node, name, chain in _chains(proto, end):
        if chain is None or len(chain):
            (used, here), title, there = _output(passed, chain), node.name or name, outputs[name]
            reports.append(layer_report(title, node.op_type, here, there, tolerance))
            if first is None and not reports[-1].agrees:
                first = next(gate_differences(proto.graph, passed, used, tolerance), None)
                first = first or output_difference(title, here, there, tolerance, _time(node, name, used, here))
    return reports, first


def _outputs(proto: Any, path: str, data: Array) -> dict[str, Array]:
    """Returns what onnxruntime computes for the value of every node; the values become outputs of the model."""
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(
            f'verify against onnxruntime needs {error.name or "it"}: pip install "pyrnn-cpu[onnx-test]"'
        ) from error
    known = {value.name for value in proto.graph.output}
    inferred = onnx_package().shape_inference.infer_shapes(proto).graph.value_info
    made = {name for node in proto.graph.node for name in node.output}
    proto.graph.output.extend(value for value in inferred if value.name in made - known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # At this level it writes no warnings to standard error.
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, ["CPUExecutionProvider"])
        inputs = session.get_inputs()
        return dict(
            zip((y.name for y in session.get_outputs()), session.run(None, {inputs[0].name: data}), strict=True)
        )
    except Exception as error:  # onnxruntime has an exception for each cause, without a common class.
        why = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"onnxruntime {onnxruntime.__version__} does not run {path}: {why[:300]}") from error


def _chains(proto: Any, end: str) -> list[tuple[Any, str, nn.Sequential | None]]:
    """Returns (node, value, layers from the input to that value) in the order of the graph; None means all layers.

    Values that no chain computes (weights, shapes, states, halves of a Transpose) are omitted.
    """
    found: list[tuple[Any, str, nn.Sequential | None]] = []
    shown = {value.name for value in proto.graph.output}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(proto.SerializeToString())
        for node in proto.graph.node:
            for name in node.output:
                if name == end:
                    found.append((node, name, None))
                elif name in shown:
                    try:
                        chain = load(path, output=name)
                    except ValueError:
                        continue
                    assert isinstance(chain, nn.Sequential)
                    found.append((node, name, chain))
    return found


def _output(passed: list[Passed], chain: nn.Sequential | None) -> tuple[list[Passed], Array]:
    """Returns the layers of the model up to a value of the graph, and their output with that value's axes."""
    if chain is None:
        return passed, passed[-1].output
    same = 0
    for mine, layer in zip(passed, chain, strict=False):
        others = list(mine.layer.state_dict()) != list(layer.state_dict())  # A MatMul before its Add has no bias yet.
        moves = not layer.state_dict() and mine.layer.config() != layer.config()
        if type(mine.layer) is not type(layer) or others or moves:
            break
        same += 1
    output, rest = (passed[same - 1].output if same else passed[0].input), list(chain)[same:]
    one: Any
    for one in rest:
        output = one(output)[0] if isinstance(one, Recurrent) else one(output)
    return passed[:same], output


def _time(node: Any, name: str, used: list[Passed], here: Array) -> int | None:
    """Returns the axis of time in a value, or None if it has none."""
    if node.op_type in ORDERS:
        return int(attributes(node).get("layout", 0)) if name == node.output[0] else None
    if here.ndim != 3:
        return None
    flags = [one.layer.batch_first for one in used if hasattr(one.layer, "batch_first")]
    return 1 if not flags or flags[-1] else 0
