"""run_node passes ONNX's own backend tests, computes the equations of operators.md, and refuses the rest by name."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

pytest.importorskip("onnx")

import numpy as np
import onnx
from hypothesis import given
from onnx_nodes import expected, nodes

from pyrnn.io.onnx import run_node

with warnings.catch_warnings():  # the cases of other operators cast and divide beyond the range of a float
    warnings.simplefilter("ignore")
    from onnx.backend.test.case.node import collect_testcases

    BACKEND = [case for case in collect_testcases(None) if case.model.graph.node[0].op_type in ("RNN", "LSTM", "GRU")]


@pytest.mark.parametrize("case", BACKEND, ids=lambda case: case.name)
def test_the_backend_tests_of_onnx_pass(case: Any) -> None:
    [node] = case.model.graph.node
    assert case.data_sets
    for inputs, outputs in case.data_sets:
        for got, want in zip(run_node(node, inputs), outputs, strict=True):
            assert got.dtype == want.dtype
            # onnx's own tolerance is 1e-3; its numbers and pyrnn's are float32 with a rounding error of some 1e-7.
            np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_the_backend_tests_are_all_there() -> None:
    assert len(BACKEND) == 18


@given(nodes())
def test_drawn_nodes_compute_the_equations_of_the_specification(drawn: Any) -> None:
    node, inputs, functions = drawn
    outputs = run_node(node, [inputs[name] for name in node.input if name])
    # 5 steps of 9 units round; states are of order 1, but with Affine and Relu sums grow to some hundreds.
    unit = 1e-6 if inputs["X"].dtype == np.float32 else 1e-14
    for got, want in zip(outputs, expected(node, inputs, functions), strict=True):
        assert got.dtype == inputs["X"].dtype
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=20 * unit, atol=20 * unit * max(1, abs(want).max()))


def arrays(gates: int, directions: int = 1, dtype: Any = np.float32) -> list[Any]:
    return [np.ones(shape, dtype) for shape in ((4, 2, 3), (directions, 5 * gates, 3), (directions, 5 * gates, 5))]


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "clip": ("LSTM", {"clip": 3.0}, "attribute clip"),
    "input_forget": ("LSTM", {"input_forget": 1}, "attribute input_forget"),
    "direction": ("GRU", {"direction": "sideways"}, 'direction="sideways"'),
    "layout": ("GRU", {"layout": 2}, "layout=2"),
    "an unknown attribute": ("GRU", {"zoneout": 0.1}, 'attribute "zoneout"'),
    "an activation": ("RNN", {"activations": ["Softplus"]}, 'activation "Softplus"'),
    "alpha": ("RNN", {"activations": ["HardSigmoid"], "activation_alpha": [0.3]}, "alpha=0.3"),
    "too many alphas": ("RNN", {"activation_alpha": [0.3]}, "activation_alpha"),
    "too few activations": ("GRU", {"activations": ["Tanh"]}, "should have a list of 2 activations"),
    "two functions": ("LSTM", {"activations": ["Sigmoid", "Tanh", "Relu"]}, "candidate"),
    "hidden_size": ("LSTM", {"hidden_size": 6}, "hidden_size=6"),
    "both directions": ("LSTM", {"direction": "bidirectional"}, "W should have shape"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_attributes_that_are_not_supported_are_refused_by_name(case: str) -> None:
    op, attributes, sentence = REFUSED[case]
    node = onnx.helper.make_node(op, ["X", "W", "R"], ["Y"], name="tone", **attributes)
    with pytest.raises(ValueError, match=f'the {op} node "tone".*{sentence}'):
        run_node(node, arrays({"RNN": 1, "GRU": 3, "LSTM": 4}[op]))


def test_inputs_that_do_not_fit_are_refused() -> None:
    node = onnx.helper.make_node("GRU", ["X", "W", "R", "", "", "initial_h"], ["Y"])
    x, w, r = arrays(3)
    for inputs, sentence in [
        ([x, w], "names the inputs X, W, R, initial_h; got 2 arrays"),
        ([x, w, r, np.ones((1, 3, 5), np.float32)], "initial_h has a shape"),
        ([x, w, r, np.ones((1, 2, 5))], "initial_h is float64"),
        ([x.astype(float), w, r, np.ones((1, 2, 5))], "X is float64 and W float32"),
        ([x[0], w, r, np.ones((1, 2, 5), np.float32)], "X should have 3 axes"),
        ([*(a.astype(np.float16) for a in (x, w, r)), np.ones((1, 2, 5), np.float16)], "W is float16"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            run_node(node, inputs)
    with pytest.raises(ValueError, match='the Relu node "y" is no recurrent node'):
        run_node(onnx.helper.make_node("Relu", ["x"], ["y"]), [x])


def test_lengths_beyond_the_sequence_are_refused() -> None:
    node = onnx.helper.make_node("GRU", ["X", "W", "R", "", "lens"], ["Y"])
    with pytest.raises(ValueError, match="lengths"):
        run_node(node, [*arrays(3), np.array([9, 1], np.int32)])
