"""The C functions of the cells: one step of one sequence, with the equations of csrc/cells.

`a` holds the sums of a step, [gates * H], in the order that each function names. The functions run after all sums are
complete, so they replace h and c in place. They write the new h to y too, which is the network's output for its last
layer, else h itself.
"""

from __future__ import annotations

import re

from .functions import ACTIVATIONS, FLUSH, Function

_RNN = """\
/* h' = f(a) */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) y[u] = h[u] = vad_flush(STATE(a[u]));
}
"""

_LSTM = """\
/* a holds the sums of i, f, g, o.
   c' = f c + i g
   h' = o tanh(c') */
static void NAME(const float *a, PEEPHOLE_ARGUMENTint H, float *h, float *c, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float i = GATE(PEEP(p[u], c[u], a[u]));
    const float f = GATE(PEEP(p[2 * H + u], c[u], a[H + u]));
    const float g = STATE(a[2 * H + u]);
    const float next = vad_flush(VAD_FMA(f, c[u], i * g));
    const float o = GATE(PEEP(p[H + u], next, a[3 * H + u]));
    c[u] = next;
    y[u] = h[u] = vad_flush(o * STATE(next));
  }
}
"""

_GRU = """\
/* a holds the sums of n, r, z, and W_hn h + b_hn.
   n = tanh(a_n + r (W_hn h + b_hn))
   h' = (1 - z) n + z h */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float r = GATE(a[H + u]), z = GATE(a[2 * H + u]), n = STATE(VAD_FMA(r, a[3 * H + u], a[u]));
    y[u] = h[u] = vad_flush(VAD_FMA(h[u] - n, z, n));
  }
}
"""

_GRU_RESET = """\
/* a holds the sums of n, r, z. This replaces that of r by r h, the vector that W_hn then multiplies. */
static void NAME(float *a, int H, const float *h) {
  int u;
  for (u = 0; u < H; ++u) a[H + u] = GATE(a[H + u]) * h[u];
}
"""

_GRU_UPDATE = """\
/* a holds the sums of n, r, z.
   n = tanh(a_n)
   h' = (1 - z) n + z h */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float n = STATE(a[u]), z = GATE(a[2 * H + u]);
    y[u] = h[u] = vad_flush(VAD_FMA(h[u] - n, z, n));
  }
}
"""


def rnn(state: str) -> Function:
    """Returns the Elman cell with the activation of that name."""
    return _cell("rnn", _RNN, state, None)


def lstm(state: str, gate: str, peephole: bool) -> Function:
    """Returns the LSTM cell with these activations; peepholes are one more argument, [3][H] in the order i, o, f."""
    kind = "lstm_peephole" if peephole else "lstm"
    text = _LSTM.replace("PEEPHOLE_ARGUMENT", "const float *p, " if peephole else "")
    text = re.sub(r"PEEP\((.*?), (.*?), (.*?)\)", r"VAD_FMA(\1, \2, \3)" if peephole else r"\3", text)
    return _cell(kind, text, state, gate)


def gru(state: str, gate: str) -> Function:
    """Returns torch's GRU cell, whose reset gate comes after the product."""
    return _cell("gru", _GRU, state, gate)


def gru_reset(gate: str) -> Function:
    """Returns the first stage of the GRU whose reset gate comes before the product."""
    return _cell("gru_reset", _GRU_RESET, None, gate)


def gru_update(state: str, gate: str) -> Function:
    """Returns the second stage of that GRU."""
    return _cell("gru_update", _GRU_UPDATE, state, gate)


def _cell(kind: str, text: str, state: str | None, gate: str | None) -> Function:
    """Puts the activations into the text, and unusual ones into the function's name too."""
    given = [name for name in (state, gate) if name is not None]
    usual = state in (None, "tanh") and gate in (None, "sigmoid")
    name = "_".join(["vad", kind, *([] if usual else given)])
    calls = [ACTIVATIONS[each] for each in given]
    text = text.replace("STATE(", f"vad_{state}(").replace("GATE(", f"vad_{gate}(").replace("NAME", name)
    return Function(name, text, (*calls, FLUSH) if state is not None else tuple(calls))
