"""load folds constants, follows chains of nodes, and refuses everything else by name; the graphs are hand-written."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

import numpy as np
import onnx
from onnx_models import weights, write
from onnx_refusals import BOTH, CONSTANTS, GRU, REFUSED

from pyrnn.io.onnx import load, run_node

X = np.random.default_rng(1).uniform(-1, 1, (4, 2, 3)).astype(np.float32)  # [T,B,I]


def test_weights_are_reached_through_constant_folding(tmp_path: Path) -> None:
    pieces = {"w0": GRU["w"][0, :5].T, "w1": GRU["w"][0, 5:].astype(float), "r0": GRU["r"][:, [2, 0, 1] * 5]}
    pieces["r0"] = np.stack([np.zeros((15, 5), np.float32), GRU["r"][0]])
    pieces |= {
        "b0": np.pad(GRU["b"][0], (2, 3)),
        "at0": np.int64([0]),
        "at1": np.int64([1]),
        "whole": np.int64([1, -1]),
    }
    pieces |= {"first": np.int64([2]), "last": np.int64([32]), "places": np.int64([0, 1, 2, 3, 4])}
    body = """(float[t,b,3] x) => (float[t,b,5] y) {
        turned = Transpose(w0)
        same = Identity(turned)
        picked = Gather(same, places)
        cast = Cast<to = 1>(w1)
        joined = Concat<axis = 0>(picked, cast)
        w = Unsqueeze(joined, at0)
        index = Constant<value_int = 1>()
        one = Gather(r0, index)
        r = Unsqueeze(one, at0)
        cut = Slice(b0, first, last)
        b = Reshape(cut, whole)
        all = GRU<hidden_size = 5>(x, w, r, b)
        y = Squeeze(all, at1)
    }"""
    node = onnx.helper.make_node("GRU", ["x", "w", "r", "b"], ["y"])
    [want] = run_node(node, [X, GRU["w"], GRU["r"], GRU["b"]])
    np.testing.assert_array_equal(load(write(tmp_path / "m.onnx", body, pieces))(X), want[:, 0])


# Each graph is a recurrent node followed by nodes that only move axes; its bits are those of run_node.
DIRECTIONS: dict[str, tuple[str, dict[str, Any], str]] = {
    "reverse": ("LSTM", {"direction": "reverse"}, "all = Squeeze(Y, one)"),
    "both": ("LSTM", {"direction": "bidirectional"}, "m = Transpose<perm=[0,2,1,3]>(Y) all = Reshape(m, keep)"),
    "both, other activations": (
        "LSTM",
        {"direction": "bidirectional", "activations": ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Relu", "Relu"]},
        "m = Transpose<perm=[0,2,1,3]>(Y) all = Reshape(m, keep)",
    ),
    "last of reverse": ("LSTM", {"direction": "reverse"}, "all = Squeeze(Y_h, zero)"),
    "last of both": (
        "LSTM",
        {"direction": "bidirectional"},
        "m = Transpose<perm=[1,0,2]>(Y_h) all = Reshape(m, pair)",
    ),
    "layout": ("LSTM", {"layout": 1}, "all = Squeeze(Y, two)"),
}


@pytest.mark.parametrize("case", DIRECTIONS)
def test_directions_and_layouts_are_those_of_run_node(case: str, tmp_path: Path) -> None:
    op, attributes, glue = DIRECTIONS[case]
    arrays = BOTH if "both" in case else weights(4)
    node = onnx.helper.make_node(op, ["x", "w", "r", "b"], ["Y", "Y_h"], **attributes)
    y, last = run_node(node, [X, *arrays.values()])
    shapes = {"one": [1], "zero": [0], "two": [2], "keep": [0, 0, -1], "pair": [0, -1]}
    sizes = {name: np.int64(value) for name, value in shapes.items()}
    path = write(tmp_path / "m.onnx", f"(float[a,b,3] x) => (float all) {{ {glue} }}", {**arrays, **sizes})
    model = onnx.load(path)
    model.graph.node.insert(0, node)
    onnx.save(model, path)
    want = {"Y_h": last.swapaxes(0, 1).reshape(2, -1), "Y": y.swapaxes(1, 2).reshape(4, 2, -1)}
    np.testing.assert_array_equal(
        load(path)(X), y[:, :, 0] if case == "layout" else want["Y_h" if "last" in case else "Y"]
    )


def test_one_output_of_several_is_chosen_by_name(tmp_path: Path) -> None:
    body = "(float[b,3] x) => (float[b,3] y, float[b,3] z) { y = Relu(x) z = Tanh(y) }"
    path = write(tmp_path / "m.onnx", body)
    with pytest.raises(ValueError, match=r"2 outputs \(.y., .z.\)"):
        load(path)
    with pytest.raises(ValueError, match=r'no output "q", only .y., .z.'):
        load(path, output="q")
    np.testing.assert_array_equal(load(path, output="y")(X[0]), np.maximum(X[0], 0))


@pytest.mark.parametrize("case", REFUSED)
def test_nodes_that_are_not_supported_are_refused_by_name(case: str, tmp_path: Path) -> None:
    body, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=rf"m.onnx cannot be loaded: .*{sentence}"):
        load(write(tmp_path / "m.onnx", body, CONSTANTS))


BOMBS = {
    "a fill": "big = ConstantOfShape(shape) y = Add(x, big)",
    "an expansion": "big = Expand(one, shape) y = Add(x, big)",
    "a gather": "big = Gather(column, zeros) y = Add(x, big)",
    "an outer product": "big = Mul(column, row) y = Add(x, big)",
    "doublings": " ".join(f"c{i + 1} = Concat<axis = 0>(c{i}, c{i})" for i in range(40)) + " y = Add(x, c40)",
}


@pytest.mark.parametrize("case", BOMBS)
def test_small_files_do_not_become_large_arrays(case: str, tmp_path: Path) -> None:
    arrays = {"shape": np.int64([10**6, 10**6]), "one": np.float32(1), "zeros": np.zeros(9000, np.int64)}
    arrays |= {
        "column": np.ones((9000, 1), np.float32),
        "row": np.ones((1, 9000), np.float32),
        "c0": np.ones(9, np.float32),
    }
    if case == "a gather":
        arrays["column"] = np.ones((1, 9000), np.float32)
    path = write(tmp_path / "m.onnx", f"(float[b,3] x) => (float y) {{ {BOMBS[case]} }}", arrays)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"would take .* bytes that this file may take"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * (64 * path.stat().st_size + 2**24)
    finally:
        tracemalloc.stop()


def test_an_old_opset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="it is of opset 6; convert it to 7"):
        load(write(tmp_path / "m.onnx", "(float[b,3] x) => (float y) { y = Relu(x) }", opset=6))
