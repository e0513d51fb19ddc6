"""The cells of the profile int16, each in C and below it in NumPy; they run after all sums are complete.

`a` holds the sums, [gates * H] of `bits` fraction bits, in the order of the float profile. h is int16 with 15 fraction
bits. The states that last are int32: c of an LSTM, and g of a GRU, which is h with 29 fraction bits. With 15 bits,
the small update of a gate near zero would be lost.
"""

from __future__ import annotations

from collections.abc import Callable

from pyrnn.checks.arrays import Array

from .. import order
from ..functions import Function
from ..order import SUMS
from .functions import ACTIVATIONS, CLAMP, INT16, SHIFTED, TIMES, clamp, int16, shifted, times

LONG = 29  # fraction bits of a GRU's g

_RNN = """\
/* h' = f(a) */
static void NAME(const int32_t *a, int bits, int H, int16_t *h, int16_t *y) {
  int u;
  for (u = 0; u < H; ++u) y[u] = h[u] = vad_int16(STATE(a[u], bits));
}
"""


def rnn(a: Array, bits: int, state: str) -> Array:
    """Returns h'."""
    return int16(ACTIVATIONS[state][1](a, bits))


_LSTM = """\
/* a holds the sums of SUMS; c has c_bits fraction bits, from 17 to 29.
   c' = f c + i g
   h' = o tanh(c') */
static void NAME(const int32_t *a, int bits, int H, int c_bits, int32_t *c, int16_t *h, int16_t *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const int32_t i = GATE(a_i, bits), f = GATE(a_f, bits);
    const int32_t g = STATE(a_g, bits), o = GATE(a_o, bits);
    c[u] = vad_clamp(vad_times(c[u], f) + vad_shifted(i * g, 30 - c_bits));
    y[u] = h[u] = vad_int16(vad_shifted(o * STATE(c[u] >> (c_bits - 17), 17), 15));
  }
}
"""


def lstm(a: Array, bits: int, c: Array, c_bits: int, names: tuple[str, str]) -> tuple[Array, Array]:
    """Returns h' and c', given sums a of shape [4,H]."""
    state, gate = _named(names)
    sums = dict(zip(SUMS["lstm"], a, strict=True))
    i, f, o = (gate(sums[name], bits) for name in "ifo")
    c = clamp(times(c, f) + shifted(i * state(sums["g"], bits), 30 - c_bits))
    return int16(shifted(o * state(c >> (c_bits - 17), 17), 15)), c


_GRU = """\
/* a holds the sums of SUMS; g is h with 29 fraction bits.
   n = tanh(a_n + r (W_hn h + b_hn))
   g' = (1 - z) n + z g
   h' = g' rounded to 15 fraction bits */
static void NAME(const int32_t *a, int bits, int H, int32_t *g, int16_t *h, int16_t *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const int32_t r = GATE(a_r, bits), z = GATE(a_z, bits);
    const int32_t n = 16384 * STATE(a_n + vad_times(a_hn, r), bits);
    g[u] = n + vad_times(g[u] - n, z);
    y[u] = h[u] = vad_int16(vad_shifted(g[u], 14));
  }
}
"""


def gru(a: Array, bits: int, g: Array, names: tuple[str, str]) -> tuple[Array, Array]:
    """Returns h' and g', given sums a of shape [4,H]."""
    state, gate = _named(names)
    sums = dict(zip(SUMS["gru"], a, strict=True))
    r, z = (gate(sums[name], bits) for name in "rz")
    n = state(sums["n"] + times(sums["hn"], r), bits) << 14
    g = n + times(g - n, z)
    return int16(shifted(g, 14)), g


_GRU_RESET = """\
/* a holds the sums of SUMS. y = r h, the vector that W_hn then multiplies. */
static void NAME(const int32_t *a, int bits, int H, const int16_t *h, int16_t *y) {
  int u;
  for (u = 0; u < H; ++u) y[u] = vad_int16(vad_shifted(GATE(a_r, bits) * h[u], 15));
}
"""


def gru_reset(a_r: Array, bits: int, h: Array, gate: str) -> Array:
    """Returns r h."""
    return int16(shifted(ACTIVATIONS[gate][1](a_r, bits) * h, 15))


_GRU_UPDATE = """\
/* a holds the sums of SUMS; g is h with 29 fraction bits.
   n = tanh(a_n)
   g' = (1 - z) n + z g
   h' = g' rounded to 15 fraction bits */
static void NAME(const int32_t *a, int bits, int H, int32_t *g, int16_t *h, int16_t *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const int32_t z = GATE(a_z, bits), n = 16384 * STATE(a_n, bits);
    g[u] = n + vad_times(g[u] - n, z);
    y[u] = h[u] = vad_int16(vad_shifted(g[u], 14));
  }
}
"""


def gru_update(a_n: Array, a_z: Array, bits: int, g: Array, names: tuple[str, str]) -> tuple[Array, Array]:
    """Returns h' and g'."""
    state, gate = _named(names)
    n = state(a_n, bits) << 14
    g = n + times(g - n, gate(a_z, bits))
    return int16(shifted(g, 14)), g


_TEXTS = {
    "rnn": _RNN,
    "lstm": order.in_c(_LSTM, "lstm"),
    "gru": order.in_c(_GRU, "gru"),
    "gru_reset": order.in_c(_GRU_RESET, "gru_reset_before"),
    "gru_update": order.in_c(_GRU_UPDATE, "gru_reset_before"),
}


def in_c(kind: str, names: tuple[str, str]) -> Function:
    """Returns the C of a cell with these activations of state and gates; unusual ones are a part of its name."""
    text = _TEXTS[kind]
    found = [(word, name) for word, name in zip(("STATE(", "GATE("), names, strict=True) if word in text]
    used = [name for _, name in found]
    usual = set(found) <= {("STATE(", "tanh"), ("GATE(", "sigmoid")}
    name = "_".join(["vad", kind, *([] if usual else used)])
    for word, activation in found:
        text = text.replace(word, f"vad_{activation}(")
    calls = (*(ACTIVATIONS[each][0] for each in used), CLAMP, INT16, SHIFTED, TIMES)
    return Function(name, text.replace("NAME", name), tuple(each for each in calls if f"{each.name}(" in text))


def _named(names: tuple[str, str]) -> tuple[Callable[[Array, int], Array], Callable[[Array, int], Array]]:
    return ACTIVATIONS[names[0]][1], ACTIVATIONS[names[1]][1]
