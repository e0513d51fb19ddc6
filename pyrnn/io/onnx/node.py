"""Runs one RNN, LSTM or GRU node of ONNX on pyrnn's kernels: it reads the attributes and reorders the weights.

ONNX stacks the gates of an LSTM as i o f c and those of a GRU as z r h; torch as i f g o and r z n. The shapes are W
[D,G*H,I], R [D,G*H,H], B [D,2*G*H] (the input's half, then the state's), P [D,3*H].

Source: https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyrnn import GRU, LSTM, RNN
from pyrnn.checks.arrays import Array
from pyrnn.checks.quoting import quoted
from pyrnn.core.facts import GATES, reordered

from .activations import activations
from .package import attributes, title

OPS = ("RNN", "LSTM", "GRU")
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
OUTPUTS = ("Y", "Y_h", "Y_c")
# The order of the gates in ONNX's W, R and B, under our names.
ORDERS = {"RNN": ("h",), "LSTM": ("i", "o", "f", "g"), "GRU": ("z", "r", "n")}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


@dataclass(frozen=True, slots=True)
class Options:
    """Holds the attributes of a recurrent node; `activations` has one tuple of pyrnn's names for each direction."""

    op: str
    title: str
    direction: str
    batch_first: bool
    reset_after: bool
    hidden_size: int | None
    activations: tuple[tuple[str, ...], ...]

    @property
    def reversed(self) -> tuple[bool, ...]:
        """Tells for each direction whether it runs backward in time."""
        return {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[self.direction]


def read(node: Any) -> Options:
    """Reads the attributes of a node; raises ValueError, which names the attribute, if one is not supported."""
    given, who = attributes(node), title(node)
    if node.op_type not in OPS or node.domain not in ("", "ai.onnx"):
        raise ValueError(f"{who} is no recurrent node of ONNX; {', '.join(OPS)} are run")
    direction = given.pop("direction", "forward")
    if direction not in DIRECTIONS:
        raise ValueError(f"{who} has direction={quoted(direction)}; expected one of {', '.join(DIRECTIONS)}")
    for name in ("clip", "input_forget"):
        if given.pop(name, 0):
            raise ValueError(f"{who} has the attribute {name}, which pyrnn's cells do not have")
    layout, reset_after = given.pop("layout", 0), given.pop("linear_before_reset", 0)
    hidden_size = given.pop("hidden_size", None)
    functions = activations(who, node.op_type, DIRECTIONS[direction], given)
    if given:
        raise ValueError(f"{who} has an attribute {quoted(sorted(given)[0])} that is not known")
    if layout not in (0, 1):
        raise ValueError(f"{who} has layout={layout}; expected 0 or 1")
    return Options(node.op_type, who, direction, layout == 1, bool(reset_after), hidden_size, functions)


def layer_of(options: Options, weights: dict[str, Array], directions: slice, batch_first: bool) -> RNN | LSTM | GRU:
    """Makes a layer of pyrnn with the weights of some directions of a node.

    Args:
        options: the node's attributes, with equal activations for these directions.
        weights: W, R and, if the node has them, B and P.
        directions: the directions to take.
        batch_first: whether the layer is batch-first.
    """
    parts = {name: value[directions] for name, value in weights.items()}
    functions = options.activations[directions]
    keywords: dict[str, Any] = {
        "bias": "B" in parts,
        "batch_first": batch_first,
        "bidirectional": len(functions) == 2,
        "dtype": parts["W"].dtype,
        "seed": 0,
    }
    sizes = parts["W"].shape[2], parts["R"].shape[2]
    if options.op == "RNN":
        ours = functions[0][0]
        keywords["nonlinearity" if ours in ("tanh", "relu") else "activation"] = ours
        layer: RNN | LSTM | GRU = RNN(*sizes, **keywords)
    else:
        keywords |= {"recurrent_activation": functions[0][0], "activation": functions[0][1]}
        if options.op == "LSTM":
            layer = LSTM(*sizes, peephole="P" in parts, **keywords)
        else:
            layer = GRU(*sizes, reset_after=options.reset_after, **keywords)
    layer.load_state_dict(_state_dict(options.op, parts))
    return layer


def _state_dict(op: str, parts: dict[str, Array]) -> dict[str, Array]:
    state_dict = {}
    for direction, suffix in enumerate(("_l0", "_l0_reverse")[: len(parts["W"])]):
        state_dict[f"weight_ih{suffix}"] = torch_order(op, parts["W"][direction])
        state_dict[f"weight_hh{suffix}"] = torch_order(op, parts["R"][direction])
        if "B" in parts:
            bias_ih, bias_hh = np.split(parts["B"][direction], 2)
            state_dict[f"bias_ih{suffix}"] = torch_order(op, bias_ih)
            state_dict[f"bias_hh{suffix}"] = torch_order(op, bias_hh)
        if "P" in parts:
            state_dict[f"weight_peephole{suffix}"] = parts["P"][direction]
    return state_dict


def torch_order(op: str, value: Array) -> Array:
    """Reorders the gates in rows [G*H, ...] from ONNX's order to torch's."""
    return reordered(value, ORDERS[op], GATES[op])


def check_weights(options: Options, given: Mapping[str, Array | None], input_size: int) -> dict[str, Array]:
    """Returns W, R and, if given, B and P; raises ValueError unless dtypes agree and shapes fit R's hidden size."""
    missing = [name for name in ("W", "R") if given.get(name) is None]
    if missing:
        raise ValueError(f"{options.title} has no {missing[0]}")
    weights = {name: value for name in ("W", "R", "B", "P") if (value := given.get(name)) is not None}
    if weights["R"].ndim != 3:
        raise ValueError(f"{options.title}: R should have 3 axes, got shape {weights['R'].shape}")
    gates, directions, hidden = len(ORDERS[options.op]), DIRECTIONS[options.direction], weights["R"].shape[-1]
    if options.hidden_size not in (None, hidden):
        raise ValueError(f"{options.title} has hidden_size={options.hidden_size}, and its R is for {hidden}")
    expected = {
        "W": (directions, gates * hidden, input_size),
        "R": (directions, gates * hidden, hidden),
        "B": (directions, 2 * gates * hidden),
        "P": (directions, 3 * hidden),
    }
    for name, value in weights.items():
        if value.shape != expected[name]:
            raise ValueError(f"{options.title}: {name} should have shape {expected[name]}, got {value.shape}")
        if value.dtype not in (np.float32, np.float64) or value.dtype != weights["W"].dtype:
            raise ValueError(f"{options.title}: {name} is {value.dtype}; expected all of float32 or all of float64")
    return weights


def run_node(node: Any, inputs: Sequence[Array]) -> list[Array]:
    """Runs one RNN, LSTM or GRU node of ONNX on pyrnn's kernels.

    In the shapes, T is time, B batch, I input size, H hidden size and D directions. With the attribute layout=1, X is
    [B,T,I], the states are [B,D,H] and Y is [B,T,D,H].

    Args:
        node: an onnx.NodeProto.
        inputs: an array for each input that the node names (an empty name is no input), in the order X [T,B,I], W, R,
            B, sequence_lens [B] of integers, initial_h [D,B,H], initial_c, P. All but sequence_lens are float32, or
            all float64.

    Returns:
        The outputs that the node names, in the order Y [T,D,B,H], Y_h [D,B,H], Y_c [D,B,H].

    Raises:
        ValueError: if pyrnn lacks an attribute or activation, or an input has a wrong number, shape or dtype.
        ImportError: if the package onnx is not installed.

    >>> import numpy as np, onnx
    >>> node = onnx.helper.make_node("GRU", ["X", "W", "R"], ["", "Y_h"], hidden_size=5)
    >>> arrays = [np.ones(shape, np.float32) for shape in ((7, 2, 3), (1, 15, 3), (1, 15, 5))]
    >>> [Y_h] = run_node(node, arrays)
    >>> Y_h.shape
    (1, 2, 5)

    Source: https://onnx.ai/onnx/operators/onnx__GRU.html
    """
    options = read(node)
    given = _named(options, node, inputs)
    if given["X"].ndim != 3:
        raise ValueError(f"{options.title}: X should have 3 axes, got shape {given['X'].shape}")
    weights = check_weights(options, given, given["X"].shape[2])
    if options.batch_first:
        given |= {name: given[name].swapaxes(0, 1) for name in ("X", "initial_h", "initial_c") if name in given}
    if given["X"].dtype != weights["W"].dtype:
        raise ValueError(f"{options.title}: X is {given['X'].dtype} and W {weights['W'].dtype}; expected the same")
    _check_states(options, given, weights["R"].shape[-1])
    results = [_run(options, given, weights, direction) for direction in range(len(options.reversed))]
    outputs = [np.stack(parts, axis) for parts, axis in zip(zip(*results, strict=True), (1, 0, 0), strict=False)]
    if options.batch_first:
        outputs = [outputs[0].transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in outputs[1:])]
    return [np.ascontiguousarray(value) for name, value in zip(node.output, outputs, strict=False) if name]


def _named(options: Options, node: Any, inputs: Sequence[Array]) -> dict[str, Array]:
    names = [name for name, given in zip(INPUTS, node.input, strict=False) if given]
    if len(names) != len(inputs) or "X" not in names:
        raise ValueError(f"{options.title} names the inputs {', '.join(names)}; got {len(inputs)} arrays")
    if len(node.output) > (3 if options.op == "LSTM" else 2):
        raise ValueError(f"{options.title} has {len(node.output)} outputs, more than its operator")
    return {name: np.asarray(value) for name, value in zip(names, inputs, strict=True)}


def _check_states(options: Options, given: dict[str, Array], hidden: int) -> None:
    batch = given["X"].shape[1]
    for name in ("initial_h", "initial_c"):
        if name in given and given[name].shape != (DIRECTIONS[options.direction], batch, hidden):
            raise ValueError(f"{options.title}: {name} has a shape that does not fit X and R")
        if name in given and given[name].dtype != given["X"].dtype:
            raise ValueError(f"{options.title}: {name} is {given[name].dtype}; expected {given['X'].dtype} as X")
    if "sequence_lens" in given and given["sequence_lens"].shape != (batch,):
        raise ValueError(f"{options.title}: sequence_lens should have shape ({batch},)")


def _run(options: Options, given: dict[str, Array], weights: dict[str, Array], direction: int) -> list[Array]:
    """Computes Y [T,B,H] and the final states [B,H] of one direction."""
    layer = layer_of(options, weights, slice(direction, direction + 1), batch_first=False)
    x, lengths = given["X"], given.get("sequence_lens")
    zeros = np.zeros((len(options.reversed), x.shape[1], layer.hidden_size), x.dtype)
    names = ("initial_h", "initial_c") if options.op == "LSTM" else ("initial_h",)
    before = [np.ascontiguousarray(given.get(name, zeros)[direction : direction + 1]) for name in names]
    turn = _reversed if options.reversed[direction] else lambda sequence, lengths: sequence
    y, after = layer(turn(x, lengths), tuple(before) if len(before) == 2 else before[0], lengths=lengths)
    states = after if isinstance(after, tuple) else (after,)
    return [turn(y, lengths), *(state[0] for state in states)]


def _reversed(sequence: Array, lengths: Array | None) -> Array:
    """Reverses each sequence of [T,B,*] within its length; steps beyond the length stay."""
    if lengths is None:
        return sequence[::-1]
    step = np.arange(len(sequence))[:, None]
    source = np.where(step < lengths, lengths - 1 - step, step)
    return np.take_along_axis(sequence, source[:, :, None], axis=0)
