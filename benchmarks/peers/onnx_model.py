"""Makes an ONNX model of one node for a case, which onnxruntime and openvino run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from pyrnn.checks.arrays import Array
from pyrnn.io.onnx.exporting import IR_VERSION, OPSET
from pyrnn.io.onnx.written_recurrent import onnx_order

from ..case import Case


def one_node(case: Case, weights: Mapping[str, Array]) -> bytes:
    """The model from x [T,B,I], and h and c [1,B,H] if the case has a state, to Y [T,1,B,H], Y_h, Y_c [1,B,H]."""
    op = case.cell
    stored = {
        "W": onnx_order(op, weights["weight_ih_l0"])[None],
        "R": onnx_order(op, weights["weight_hh_l0"])[None],
        "B": np.concatenate([onnx_order(op, weights[f"bias_{half}_l0"]) for half in ("ih", "hh")])[None],
    }
    states = ["h", "c"] if op == "LSTM" else ["h"]
    given = states if case.has_state else []
    attributes: dict[str, Any] = {"linear_before_reset": 1} if op == "GRU" else {}
    outputs = ["Y", *(f"Y_{state}" for state in states)]
    inputs = ["x", "W", "R", "B", "", *given] if given else ["x", "W", "R", "B"]
    shapes = {"x": [case.steps, case.batch, case.input], "Y": [case.steps, 1, case.batch, case.hidden]}
    shapes |= {name: [1, case.batch, case.hidden] for state in states for name in (state, f"Y_{state}")}

    def info(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])

    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, hidden_size=case.hidden, **attributes)],
        "case",
        [info(name) for name in ("x", *given)],
        [info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


def feeds(case: Case) -> dict[str, Array]:
    """The model's inputs by name."""
    state = dict(zip(("h", "c"), case.state(), strict=False)) if case.has_state else {}
    return {"x": case.draw()[0], **state}


def results(outputs: list[Array]) -> list[Array]:
    """The output [T,B,H] and final state of the model's outputs."""
    return [outputs[0][:, 0], *outputs[1:]]
