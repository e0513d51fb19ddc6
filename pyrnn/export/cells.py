"""The C functions of the cells: one step of one sequence, with the equations of csrc/cells.

`a` holds the sums of a step, [gates * H], in the order that each function names. The functions run after all sums are
complete, so they replace h and c in place. They write the new h to y too, which is the network's output for its last
layer, else h itself.
"""

from __future__ import annotations

import re

from .functions import ACTIVATIONS, FLUSH, Function
from .order import in_c

_RNN = """\
/* h' = f(a) */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) y[u] = h[u] = vad_flush(STATE(a[u]));
}
"""

_LSTM = """\
/* a holds the sums of SUMS.
   c' = f c + i g
   h' = o tanh(c') */
static void NAME(const float *a, PEEPHOLE_ARGUMENTint H, float *h, float *c, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float i = GATE(PEEP(p_i, c[u], a_i));
    const float f = GATE(PEEP(p_f, c[u], a_f));
    const float g = STATE(a_g);
    const float next = vad_flush(VAD_FMA(f, c[u], i * g));
    const float o = GATE(PEEP(p_o, next, a_o));
    c[u] = next;
    y[u] = h[u] = vad_flush(o * STATE(next));
  }
}
"""

_GRU = """\
/* a holds the sums of SUMS.
   n = tanh(a_n + r (W_hn h + b_hn))
   h' = (1 - z) n + z h */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float r = GATE(a_r), z = GATE(a_z), n = STATE(VAD_FMA(r, a_hn, a_n));
    y[u] = h[u] = vad_flush(VAD_FMA(h[u] - n, z, n));
  }
}
"""

_GRU_RESET = """\
/* a holds the sums of SUMS. This replaces that of r by r h, the vector that W_hn then multiplies. */
static void NAME(float *a, int H, const float *h) {
  int u;
  for (u = 0; u < H; ++u) a_r = GATE(a_r) * h[u];
}
"""

_GRU_UPDATE = """\
/* a holds the sums of SUMS.
   n = tanh(a_n)
   h' = (1 - z) n + z h */
static void NAME(const float *a, int H, float *h, float *y) {
  int u;
  for (u = 0; u < H; ++u) {
    const float n = STATE(a_n), z = GATE(a_z);
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
    return _cell(kind, in_c(text, "lstm"), state, gate)


def gru(state: str, gate: str) -> Function:
    """Returns torch's GRU cell, whose reset gate comes after the product."""
    return _cell("gru", in_c(_GRU, "gru"), state, gate)


def gru_reset(gate: str) -> Function:
    """Returns the first stage of the GRU whose reset gate comes before the product."""
    return _cell("gru_reset", in_c(_GRU_RESET, "gru_reset_before"), None, gate)


def gru_update(state: str, gate: str) -> Function:
    """Returns the second stage of that GRU."""
    return _cell("gru_update", in_c(_GRU_UPDATE, "gru_reset_before"), state, gate)


def _cell(kind: str, text: str, state: str | None, gate: str | None) -> Function:
    """Puts the activations into the text, and unusual ones into the function's name too."""
    given = [name for name in (state, gate) if name is not None]
    usual = state in (None, "tanh") and gate in (None, "sigmoid")
    name = "_".join(["vad", kind, *([] if usual else given)])
    calls = [ACTIVATIONS[each] for each in given]
    text = text.replace("STATE(", f"vad_{state}(").replace("GATE(", f"vad_{gate}(").replace("NAME", name)
    return Function(name, text, (*calls, FLUSH) if state is not None else tuple(calls))
