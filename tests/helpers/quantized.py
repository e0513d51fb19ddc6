"""Quantized layers in NumPy with the library's bits: bf16 by integer arithmetic, int8 with exact integers and every
float32 operation rounded once, in the library's order.

    row of x or W    m = max |x|    s = m / 127    q = round(x * (127 / m))      all zero for m < 2^-100
    sums             a = fma(q_h . q_whh, s_h s_whh, fma(q_x . q_wih, s_x s_wih, b))    after it the cell, as ever

tanh and sigmoid are the library's own, whose errors core/test_math.py measures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from cases import Array

from pyrnn import _core

FLOAT = np.float32
TINY = FLOAT(2.0**-100)


def bf16(values: Array) -> Array:
    """Rounds float32 to 8 bits of significand, to nearest, ties to even."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(FLOAT)


def is_quantized(name: str) -> bool:
    """Whether a parameter is quantized: W_ih and W_hh are, projection, peepholes and biases are not."""
    return name.startswith(("weight_ih", "weight_hh"))


def fma(a: Array, b: Array, c: Array) -> Array:
    """a b + c in float32, rounded once: the sum is rounded to odd in float64 first (Boldo & Melquiond 2008)."""
    product = a.astype(np.float64) * b
    total = product + c
    rest = total - product
    lost = (product - (total - rest)) + (c - rest)
    is_even = np.ascontiguousarray(total).view(np.int64) % 2 == 0
    odd = np.where((lost != 0) & is_even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return odd.astype(FLOAT)


def quantize(rows: Array) -> tuple[Array, Array]:
    """Integers and scales [...,1] of rows [...,K]."""
    most = np.abs(rows).max(axis=-1, keepdims=True, initial=FLOAT(0))
    is_zero = most < TINY
    inverse = np.where(is_zero, FLOAT(0), FLOAT(127) / np.where(is_zero, FLOAT(1), most))
    scale = np.where(is_zero, FLOAT(0), most / FLOAT(127))
    # float64 holds the product of two float32 exactly
    return np.rint(rows.astype(np.float64) * inverse).astype(np.int64), scale


def product(weight: Array, v: Array, start: Array) -> Array:
    (q_w, s_w), (q_v, s_v) = quantize(weight), quantize(v)
    return fma((q_v @ q_w.T).astype(FLOAT), s_v * s_w.T, np.broadcast_to(start, (len(v), len(weight))))


def sigmoid(a: Array) -> Array:
    return _core.activate("sigmoid", a)


def tanh(a: Array) -> Array:
    return _core.activate("tanh", a)


def flush(a: Array) -> Array:
    return np.where(np.abs(a) < TINY, FLOAT(0), a)


Weights = dict[str, Array]  # the weights of one layer and direction
States = tuple[Array, ...]


def rnn(w: Weights, x: Array, states: States, squash: Any) -> States:
    a = product(w["weight_ih"], x, w["bias_ih"] + w["bias_hh"])
    return (flush(squash(product(w["weight_hh"], states[0], a))),)


def lstm(w: Weights, x: Array, states: States) -> States:
    h, c = states
    a = product(w["weight_hh"], h, product(w["weight_ih"], x, w["bias_ih"] + w["bias_hh"]))
    i, f, g, o = np.split(a, 4, axis=-1)
    c = flush(fma(sigmoid(f), c, sigmoid(i) * tanh(g)))
    m = flush(sigmoid(o) * tanh(c))
    if "weight_hr" not in w:
        return m, c
    h = np.zeros_like(h)
    for k in range(m.shape[-1]):  # one fma in float32 after the other
        h = fma(np.broadcast_to(m[:, k : k + 1], h.shape), np.broadcast_to(w["weight_hr"][:, k], h.shape), h)
    return h, c


def gru(w: Weights, x: Array, states: States) -> States:
    h = states[0]
    hidden = len(w["bias_hh"]) // 3
    bias = w["bias_ih"] + np.where(np.arange(3 * hidden) < 2 * hidden, w["bias_hh"], FLOAT(0))
    a_x = product(w["weight_ih"], x, bias)
    start = a_x.copy()
    start[:, 2 * hidden :] = w["bias_hh"][2 * hidden :]
    r, z, h_n = np.split(product(w["weight_hh"], h, start), 3, axis=-1)
    n = tanh(fma(sigmoid(r), h_n, a_x[:, 2 * hidden :]))
    return (flush(fma(h - n, sigmoid(z), n)),)


def gru_reset_before(w: Weights, x: Array, states: States) -> States:
    h = states[0]
    hidden = h.shape[-1]
    a = product(w["weight_ih"], x, w["bias_ih"] + w["bias_hh"])
    gates = product(w["weight_hh"][: 2 * hidden], h, a[:, : 2 * hidden])
    r, z = np.split(sigmoid(gates), 2, axis=-1)
    n = tanh(product(w["weight_hh"][2 * hidden :], r * h, a[:, 2 * hidden :]))
    return (flush(fma(h - n, z, n)),)


def relu(a: Array) -> Array:
    return np.maximum(a, FLOAT(0))


CELLS: dict[str, Any] = {
    "rnn_tanh": lambda *call: rnn(*call, squash=tanh),
    "rnn_relu": lambda *call: rnn(*call, squash=relu),
    "lstm": lstm,
    "gru": gru,
    "gru_reset_before": gru_reset_before,
}


def weights_of(parameters: Mapping[str, Array], suffix: str) -> Weights:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    w = {kind: parameters[kind + suffix] for kind in kinds if kind + suffix in parameters}
    zeros = np.zeros(len(w["weight_ih"]), FLOAT)
    return {"bias_ih": zeros, "bias_hh": zeros, **w}


def forward(cell: str, parameters: Mapping[str, Array], x: Array, states: States) -> tuple[Array, States]:
    """int8 outputs and last states of x [T,B,I] and states (h,) or (h, c), each [L*D,B,...]."""
    suffixes = [name.removeprefix("weight_ih") for name in parameters if name.startswith("weight_ih")]
    directions = 2 if "_l0_reverse" in suffixes else 1
    y, parts, last = x, list[Array](), list[States]()
    for suffix, *first in zip(suffixes, *states, strict=True):
        order, now, outputs = -1 if suffix.endswith("_reverse") else 1, tuple(first), []
        for x_t in y[::order]:
            now = CELLS[cell](weights_of(parameters, suffix), x_t, now)
            outputs.append(now[0])
        parts.append(np.stack(outputs)[::order])
        last.append(now)
        if len(parts) == directions:
            y, parts = np.concatenate(parts, axis=-1), []
    return y, tuple(map(np.stack, zip(*last, strict=True)))
