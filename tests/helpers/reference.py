"""The recurrent layers in float64 NumPy, a second implementation, with every backward derived by hand.

Notation: a pre-activation, σ the logistic function, d... = dLoss/d... . One step sees x [B,I], h [B,P or H],
c [B,H]; a sequence is x [T,B,I], time-major, T >= 1; states are (h,) or (h, c), each [L*D,B,...]. Names and
layouts of parameters are torch's; layers, directions, biases and projection are read from the names present.

    rnn_tanh, rnn_relu   h' = φ(a)      a = W_ih x + b_ih + W_hh h + b_hh
    lstm                 i, f, o = σ(a_i), σ(a_f), σ(a_o)      g = tanh(a_g)      a as above
                         c' = f c + i g      m = o tanh(c')    h' = m, or W_hr m with a projection
    gru                  r, z = σ(..), σ(..)      n = tanh(W_in x + b_in + r (W_hn h + b_hn))
                         h' = (1 - z) n + z h
    gru_reset_before     the same with n = tanh(W_in x + b_in + W_hn (r h) + b_hn)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]  # one layer and direction, by names without the suffix: weight_ih, bias_hh, ...
States = tuple[Array, ...]


class Gradients(NamedTuple):
    input: Array
    states: States
    parameters: dict[str, Array]


class Tape(NamedTuple):
    cell: str
    directions: int
    runs: list[tuple[str, Weights, list[Any]]]  # suffix, weights and each step's tape, by layer and direction
    names: list[str]


def sigmoid(a: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0.0, -a)))


def affine(w: Weights, kind: str, v: Array) -> Array:
    return v @ w[f"weight_{kind}"].T + w[f"bias_{kind}"]


def affine_backward(w: Weights, dw: Weights, kind: str, da: Array, v: Array) -> Array:
    """For a = W v + b, adds to the gradients of W and b and returns that of v."""
    dw[f"weight_{kind}"] += da.T @ v
    dw[f"bias_{kind}"] += da.sum(axis=0)
    return da @ w[f"weight_{kind}"]


# A step returns the new states and its tape. Its backward takes the gradients of the new states, adds to dw, and
# returns the gradients of x and of the old states.
def rnn_tanh(w: Weights, x: Array, states: States) -> tuple[States, Any]:
    h = states[0]
    h_new = np.tanh(affine(w, "ih", x) + affine(w, "hh", h))
    return (h_new,), (x, h, 1 - h_new**2)


def rnn_relu(w: Weights, x: Array, states: States) -> tuple[States, Any]:
    h = states[0]
    a = affine(w, "ih", x) + affine(w, "hh", h)
    return (np.maximum(a, 0),), (x, h, a > 0)


def rnn_backward(w: Weights, dw: Weights, kept: Any, dstates: States) -> tuple[Array, States]:
    x, h, slope = kept
    da = dstates[0] * slope
    return affine_backward(w, dw, "ih", da, x), (affine_backward(w, dw, "hh", da, h),)


def lstm(w: Weights, x: Array, states: States) -> tuple[States, Any]:
    h, c = states
    a_i, a_f, a_g, a_o = np.split(affine(w, "ih", x) + affine(w, "hh", h), 4, axis=-1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    c_new = f * c + i * g
    m = o * np.tanh(c_new)
    h_new = m @ w["weight_hr"].T if "weight_hr" in w else m
    return (h_new, c_new), (x, h, c, i, f, g, o, c_new, m)


def lstm_backward(w: Weights, dw: Weights, kept: Any, dstates: States) -> tuple[Array, States]:
    x, h, c, i, f, g, o, c_new, m = kept
    dh, dc = dstates
    dm = dh
    if "weight_hr" in w:
        dw["weight_hr"] += dh.T @ m
        dm = dh @ w["weight_hr"]
    dc = dc + dm * o * (1 - np.tanh(c_new) ** 2)
    da_i, da_f = dc * g * i * (1 - i), dc * c * f * (1 - f)
    da_g, da_o = dc * i * (1 - g**2), dm * np.tanh(c_new) * o * (1 - o)
    da = np.concatenate([da_i, da_f, da_g, da_o], axis=-1)
    dx = affine_backward(w, dw, "ih", da, x)
    return dx, (affine_backward(w, dw, "hh", da, h), dc * f)


def gru(w: Weights, x: Array, states: States) -> tuple[States, Any]:
    h = states[0]
    x_r, x_z, x_n = np.split(affine(w, "ih", x), 3, axis=-1)
    h_r, h_z, h_n = np.split(affine(w, "hh", h), 3, axis=-1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    n = np.tanh(x_n + r * h_n)
    return ((1 - z) * n + z * h,), (x, h, r, z, n, h_n)


def gru_backward(w: Weights, dw: Weights, kept: Any, dstates: States) -> tuple[Array, States]:
    x, h, r, z, n, h_n = kept
    dh = dstates[0]
    da_n = dh * (1 - z) * (1 - n**2)
    da_r = da_n * h_n * r * (1 - r)
    da_z = dh * (h - n) * z * (1 - z)
    dx = affine_backward(w, dw, "ih", np.concatenate([da_r, da_z, da_n], axis=-1), x)
    dh_sum = affine_backward(w, dw, "hh", np.concatenate([da_r, da_z, da_n * r], axis=-1), h)
    return dx, (dh * z + dh_sum,)


def gru_reset_before(w: Weights, x: Array, states: States) -> tuple[States, Any]:
    h = states[0]
    (w_r, w_z, w_n), (b_r, b_z, b_n) = np.split(w["weight_hh"], 3), np.split(w["bias_hh"], 3)
    x_r, x_z, x_n = np.split(affine(w, "ih", x), 3, axis=-1)
    r, z = sigmoid(x_r + h @ w_r.T + b_r), sigmoid(x_z + h @ w_z.T + b_z)
    n = np.tanh(x_n + (r * h) @ w_n.T + b_n)
    return ((1 - z) * n + z * h,), (x, h, r, z, n)


def gru_reset_before_backward(w: Weights, dw: Weights, kept: Any, dstates: States) -> tuple[Array, States]:
    x, h, r, z, n = kept
    w_r, w_z, w_n = np.split(w["weight_hh"], 3)
    dh = dstates[0]
    da_n = dh * (1 - z) * (1 - n**2)
    drh = da_n @ w_n
    da_r = drh * h * r * (1 - r)
    da_z = dh * (h - n) * z * (1 - z)
    da = np.concatenate([da_r, da_z, da_n], axis=-1)
    dw["weight_hh"] += np.concatenate([da_r.T @ h, da_z.T @ h, da_n.T @ (r * h)])
    dw["bias_hh"] += da.sum(axis=0)
    return affine_backward(w, dw, "ih", da, x), (dh * z + drh * r + da_r @ w_r + da_z @ w_z,)


CELLS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "rnn_tanh": (rnn_tanh, rnn_backward),
    "rnn_relu": (rnn_relu, rnn_backward),
    "lstm": (lstm, lstm_backward),
    "gru": (gru, gru_backward),
    "gru_reset_before": (gru_reset_before, gru_reset_before_backward),
}


def weights_of(parameters: Mapping[str, Any], suffix: str) -> Weights:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    w = {k: np.asarray(parameters[k + suffix], np.float64) for k in kinds if k + suffix in parameters}
    return {"bias_ih": np.zeros(len(w["weight_ih"])), "bias_hh": np.zeros(len(w["weight_ih"])), **w}


def run(cell: str, w: Weights, x: Array, states: States) -> tuple[Array, States, list[Any]]:
    hs, tape = [], []
    for x_t in x:
        states, kept = CELLS[cell][0](w, x_t, states)
        hs.append(states[0])
        tape.append(kept)
    return np.stack(hs), states, tape


def run_backward(cell: str, w: Weights, tape: list[Any], dy: Array, dstates: States) -> tuple[Any, ...]:
    dw, dxs = {name: np.zeros_like(value) for name, value in w.items()}, []
    for kept, dy_t in zip(tape[::-1], dy[::-1], strict=True):
        dx_t, dstates = CELLS[cell][1](w, dw, kept, (dstates[0] + dy_t, *dstates[1:]))
        dxs.append(dx_t)
    return np.stack(dxs[::-1]), dstates, dw


def forward(cell: str, parameters: Mapping[str, Any], x: Any, states: Any) -> tuple[Array, States, Tape]:
    """Runs x [T,B,I] through the stack: y [T,B,D*(P or H)], the last states, the tape for `backward`."""
    suffixes = [name.removeprefix("weight_ih") for name in parameters if name.startswith("weight_ih")]
    tape = Tape(cell, 2 if "_l0_reverse" in suffixes else 1, [], list(parameters))
    y, parts, last = np.asarray(x, np.float64), [], []
    for suffix, *first in zip(suffixes, *states, strict=True):
        w, order = weights_of(parameters, suffix), -1 if suffix.endswith("_reverse") else 1
        part, final, kept = run(cell, w, y[::order], tuple(np.asarray(s, np.float64) for s in first))
        parts.append(part[::order])
        last.append(final)
        tape.runs.append((suffix, w, kept))
        if len(parts) == tape.directions:  # the layer is complete: its output is the next layer's input
            y, parts = np.concatenate(parts, axis=-1), []
    return y, tuple(map(np.stack, zip(*last, strict=True))), tape


def backward(tape: Tape, dy: Any, dstates: Any) -> Gradients:
    """The gradients of sum(y * dy) + sum(h * dh) + sum(c * dc)."""
    dy, first, found = np.asarray(dy, np.float64), list[States](), {}
    for start in reversed(range(0, len(tape.runs), tape.directions)):
        dx, layer = 0.0, list[States]()
        for index, part in enumerate(np.split(dy, tape.directions, axis=-1), start):
            suffix, w, kept = tape.runs[index]
            order = -1 if suffix.endswith("_reverse") else 1
            last = tuple(d[index] for d in dstates)
            dx_part, dfirst, dw = run_backward(tape.cell, w, kept, part[::order], last)
            dx = dx + dx_part[::order]
            layer.append(dfirst)
            found.update({name + suffix: value for name, value in dw.items()})
        dy, first = dx, layer + first
    states = tuple(map(np.stack, zip(*first, strict=True)))
    return Gradients(dy, states, {name: found[name] for name in tape.names})
