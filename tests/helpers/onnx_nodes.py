"""Recurrent nodes of ONNX drawn by hypothesis, and the equations of its operators.md in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STATES = {"RNN": 1, "GRU": 1, "LSTM": 2}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")

# Each is a name, then alpha and beta if the function takes them.
FUNCTIONS = [("Tanh",), ("Sigmoid",), ("Relu",), ("Affine", 1.0, 0.0), ("HardSigmoid", 0.2, 0.5)]
FUNCTIONS += [("HardSigmoid", 1 / 6, 0.5)]
DEFAULTS = {"RNN": [("Tanh",)], "GRU": [("Sigmoid",), ("Tanh",)], "LSTM": [("Sigmoid",), ("Tanh",), ("Tanh",)]}


@st.composite
def nodes(draw: Any) -> tuple[Any, dict[str, Any], list[list[tuple[Any, ...]]]]:
    """Draws a node, its inputs by name, and the activations of each direction."""
    op = draw(st.sampled_from(list(GATES)))
    direction = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    count = 2 if direction == "bidirectional" else 1
    steps, batch, inner, hidden = (draw(st.integers(1, n)) for n in (5, 3, 3, 9))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    layout = draw(st.integers(0, 1))
    state = (batch, count, hidden) if layout else (count, batch, hidden)
    shapes = {
        "X": (batch, steps, inner) if layout else (steps, batch, inner),
        "W": (count, GATES[op] * hidden, inner),
        "R": (count, GATES[op] * hidden, hidden),
        "B": (count, 2 * GATES[op] * hidden),
        "initial_h": state,
        **({"initial_c": state, "P": (count, 3 * hidden)} if op == "LSTM" else {}),
    }
    inputs = {name: random.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}
    lengths = draw(st.none() | st.lists(st.integers(1, steps), min_size=batch, max_size=batch))
    if lengths is not None:
        inputs["sequence_lens"] = np.array(lengths, np.int32)
    left_out = draw(st.sets(st.sampled_from(["B", "initial_h", "initial_c", "P"])))
    inputs = {name: inputs[name] for name in INPUTS if name in inputs and name not in left_out}
    functions, attributes = draw(activations(op, count))
    attributes |= {"direction": direction, "layout": layout, "hidden_size": hidden}
    if op == "GRU":
        attributes["linear_before_reset"] = draw(st.integers(0, 1))
    outputs = ["Y", "Y_h", "Y_c"][: 1 + STATES[op]]
    names = [name if name in inputs else "" for name in INPUTS[: 8 if op == "LSTM" else 6]]
    return onnx.helper.make_node(op, names, outputs, **attributes), inputs, functions


@st.composite
def activations(draw: Any, op: str, count: int) -> tuple[list[list[tuple[Any, ...]]], dict[str, Any]]:
    """Draws the functions of each direction, and the attributes that set them; the defaults need none."""
    if draw(st.booleans()):
        return [DEFAULTS[op]] * count, {}
    one = st.sampled_from(FUNCTIONS)
    groups = []
    for _ in range(count):
        drawn = [draw(one) for _ in DEFAULTS[op]]
        groups.append(drawn[:2] + drawn[1:2] if op == "LSTM" else drawn)
    every = [function for group in groups for function in group]
    attributes: dict[str, Any] = {"activations": [name for name, *_ in every]}
    for place, name in ((0, "activation_alpha"), (1, "activation_beta")):
        numbers = [values[place] for _, *values in every if values]
        if numbers:
            attributes[name] = numbers
    return groups, attributes


def applied(function: tuple[Any, ...], a: Any) -> Any:
    """Applies an activation in float64."""
    name, *numbers = function
    match name:
        case "Tanh":
            return np.tanh(a)
        case "Sigmoid":
            return 1 / (1 + np.exp(-a))
        case "Relu":
            return np.maximum(a, 0)
        case "Affine":
            return numbers[0] * a + numbers[1]
    return np.clip(numbers[0] * a + numbers[1], 0, 1)


def expected(node: Any, inputs: dict[str, Any], functions: list[list[tuple[Any, ...]]]) -> list[Any]:
    """Y, Y_h and for an LSTM Y_c in float64."""
    given = {name: value.astype(float) if value.dtype.kind == "f" else value for name, value in inputs.items()}
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if attributes["layout"]:
        given |= {name: given[name].swapaxes(0, 1) for name in ("X", "initial_h", "initial_c") if name in given}
    steps, batch, _ = given["X"].shape
    lengths = given.get("sequence_lens", np.full(batch, steps))
    count, hidden = len(functions), attributes["hidden_size"]
    outputs = np.zeros((steps, count, batch, hidden))
    states = np.zeros((STATES[node.op_type], count, batch, hidden))
    for d in range(count):
        backward = attributes["direction"] == b"reverse" or d == 1
        part = {name: given[name][d] for name in ("W", "R", "B", "P", "initial_h", "initial_c") if name in given}
        for b, length in enumerate(lengths):
            state = [part[name][b] if name in part else np.zeros(hidden) for name in ("initial_h", "initial_c")]
            for t in range(length)[:: -1 if backward else 1]:
                state = step(node.op_type, given["X"][t, b], state, part, functions[d], attributes)
                outputs[t, d, b] = state[0]
            states[:, d, b] = state[: len(states)]
    if attributes["layout"]:
        return [outputs.transpose(2, 0, 1, 3), *states.swapaxes(1, 2)]
    return [outputs, *states]


def step(op: str, x: Any, state: Any, part: Any, functions: Any, attributes: Any) -> list[Any]:
    """One step of one sequence by the equations of operators.md."""
    h, c = state
    w, r = (part["B"] if "B" in part else np.zeros(2 * len(part["W"]))).reshape(2, -1)
    from_x, from_h, gates = part["W"] @ x + w, part["R"] @ h + r, GATES[op]
    if op == "RNN":
        return [applied(functions[0], from_x + from_h), c]
    xs, hs = np.split(from_x, gates), np.split(from_h, gates)
    f, g = functions[:2]
    if op == "GRU":
        z, reset = applied(f, xs[0] + hs[0]), applied(f, xs[1] + hs[1])
        inner = np.split(part["R"], 3)[2] @ (reset * h) + np.split(r, 3)[2]
        n = applied(g, xs[2] + (reset * hs[2] if attributes["linear_before_reset"] else inner))
        return [(1 - z) * n + z * h, c]
    p = np.split(part["P"] if "P" in part else np.zeros(3 * len(h)), 3)  # i o f
    i, forget = applied(f, xs[0] + hs[0] + p[0] * c), applied(f, xs[2] + hs[2] + p[2] * c)
    c = forget * c + i * applied(g, xs[3] + hs[3])
    return [applied(f, xs[1] + hs[1] + p[1] * c) * applied(functions[2], c), c]
