"""The layers with all their options as plain loops over layers, directions, rows and steps, a third implementation.

Forward only, in float64, to be read and not to be fast. A derivative is taken by a complex step: the loop runs on
numbers x + 1e-30 i d, and the imaginary part of the result is the derivative along d, exact to rounding because
nothing is subtracted (Squire & Trapp 1998). Kinks (relu) do not disturb it: branches look at the real part, in which
products of two imaginary parts, some 1e-60, count as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Key = tuple[int, str]
STEP = 1e-30

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.where(a.real > STEP, a, 0),
    "identity": lambda a: a,
    "hard_sigmoid_keras2": lambda a: np.where(a.real < -2.5, 0, np.where(a.real > 2.5, 1, 0.2 * a + 0.5)),
    "hard_sigmoid_keras3": lambda a: np.where(a.real < -3, 0, np.where(a.real > 3, 1, a / 6 + 0.5)),
}


class Result(NamedTuple):
    """Results, time first; the trace has fields by layer and direction, zero at masked steps."""

    output: Array  # [T,B,D*P]
    state: tuple[Array, ...]  # h [L*D,B,P] and for the LSTM c [L*D,B,H]
    cell_states: Array | None  # [T,B,D*H] of the last layer
    trace: dict[Key, dict[str, Array]]


class Cell:
    """One step of one row. `nudges` is added to h' and c' as soon as they are known."""

    def __init__(
        self, kind: str, weights: dict[str, Array], activation: str | None, recurrent_activation: str
    ) -> None:
        self.kind, self.w = kind, weights
        self.squash, self.gate = ACTIVATIONS[activation or "tanh"], ACTIVATIONS[recurrent_activation]
        if kind.startswith("rnn") and activation is None:
            self.squash = ACTIVATIONS[kind[4:]]

    def sums(self, kind: str, v: Array) -> Array:
        a = self.w[f"weight_{kind}"] @ v
        return a + self.w[f"bias_{kind}"] if f"bias_{kind}" in self.w else a

    def step(self, x: Array, h: Array, c: Array, nudge_h: Any, nudge_c: Any) -> dict[str, Array]:
        if self.kind == "lstm":
            return self.lstm(x, h, c, nudge_h, nudge_c)
        if self.kind.startswith("gru"):
            return self.gru(x, h, nudge_h)
        return {"h": self.squash(self.sums("ih", x) + self.sums("hh", h)) + nudge_h}

    def lstm(self, x: Array, h: Array, c: Array, nudge_h: Any, nudge_c: Any) -> dict[str, Array]:
        i, f, g, o = np.split(self.sums("ih", x) + self.sums("hh", h), 4)
        p_i, p_o, p_f = np.split(self.w.get("weight_peephole", np.zeros(3 * len(c))), 3)
        i, f, g = self.gate(i + p_i * c), self.gate(f + p_f * c), self.squash(g)
        c = f * c + i * g + nudge_c
        o = self.gate(o + p_o * c)
        h = o * self.squash(c)
        if "weight_hr" in self.w:
            h = self.w["weight_hr"] @ h
        return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": h + nudge_h}

    def gru(self, x: Array, h: Array, nudge_h: Any) -> dict[str, Array]:
        x_r, x_z, x_n = np.split(self.sums("ih", x), 3)
        h_r, h_z, h_n = np.split(self.sums("hh", h), 3)
        r, z = self.gate(x_r + h_r), self.gate(x_z + h_z)
        if self.kind == "gru_reset_before":
            h_n = np.split(self.sums("hh", r * h), 3)[2]
            n = self.squash(x_n + h_n)
        else:
            n = self.squash(x_n + r * h_n)
        return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h + nudge_h}


class Rows(NamedTuple):
    """Whether each step of each row, [T,B], is masked, past the end, or reset, by the options of a call."""

    masked: Array
    past: Array
    reset: Array
    hold: bool


def rows_of(
    steps: int,
    batch: int,
    lengths: Any = None,
    mask: Any = None,
    masked_output: str = "zero",
    reset: Any = None,
) -> Rows:
    past = np.zeros((steps, batch), bool)
    for row in range(batch if lengths is not None else 0):
        past[lengths[row] :, row] = True
    masked = past if mask is None else past | ~np.asarray(mask)
    # A sequence that has ended cannot start again, so resets in the padding do not count.
    no_reset = np.zeros_like(past) if reset is None else np.asarray(reset) & ~past
    return Rows(masked, past, no_reset, masked_output == "hold")


def scan(
    cell: Cell, x: Array, state: list[Array], reset_to: list[Array], rows: Rows, order: int, nudge: Any
) -> tuple[Array, Array, Array, Array, dict[str, Array]]:
    """Runs one direction of one layer: outputs and cell states of all steps, final h and c, the fields."""
    steps, batch = rows.masked.shape
    h0, c0 = state
    y, cells = np.zeros((steps, batch, h0.shape[-1]), x.dtype), np.zeros((steps, batch, c0.shape[-1]), x.dtype)
    last_h, last_c, fields = h0.copy(), c0.copy(), dict[str, Array]()
    for row in range(batch):
        h, c = h0[row], c0[row]
        for t in range(steps)[::order]:
            if rows.reset[t, row]:
                h, c = reset_to[0][row], reset_to[1][row]
            if rows.masked[t, row]:
                if rows.hold:
                    y[t, row], cells[t, row] = h, c
                continue
            found = cell.step(x[t, row], h, c, *(nudge[name][t, row] if name in nudge else 0 for name in "hc"))
            y[t, row] = h = found["h"]
            cells[t, row] = c = found.get("c", c)
            for name, value in found.items():
                fields.setdefault(name, np.zeros((steps, batch, len(value)), x.dtype))[t, row] = value
        last_h[row], last_c[row] = h, c
    return y, cells, last_h, last_c, fields


def weights_of(parameters: Mapping[str, Any], suffix: str) -> dict[str, Array]:
    return {name.removesuffix(suffix): np.asarray(v) for name, v in parameters.items() if name.endswith(suffix)}


def run(
    kind: str,
    parameters: Mapping[str, Any],
    x: Any,
    state: Any = None,
    *,
    reset_state: Any = None,
    activation: str | None = None,
    recurrent_activation: str = "sigmoid",
    nudges: Mapping[Key, Mapping[str, Array]] | None = None,
    **options: Any,
) -> Result:
    """Runs x [T,B,I] from states (h,) or (h, c); options are those of a call, `kind` a name of reference.CELLS."""
    given = [*parameters.values(), *(state or ()), *(reset_state or ())]
    given += [array for each in (nudges or {}).values() for array in each.values()]
    number = np.result_type(np.float64, x, *given)
    y = np.asarray(x, number)
    steps, batch = y.shape[:2]
    rows = rows_of(steps, batch, **options)
    directions = ["forward", "reverse"][: 1 + ("weight_ih_l0_reverse" in parameters)]
    layers = sum(name.startswith("weight_hh_l") and not name.endswith("_reverse") for name in parameters)
    last: list[tuple[Array, Array]] = []
    trace: dict[Key, dict[str, Array]] = {}
    for layer in range(layers):
        parts = []
        for name in directions:
            w = weights_of(parameters, f"_l{layer}" + "_reverse" * (name == "reverse"))
            hidden = w["weight_hr"].shape[1] if "weight_hr" in w else w["weight_hh"].shape[1]
            widths = w["weight_hh"].shape[1], hidden

            def part(states: Any, at: int = len(last), widths: tuple[int, int] = widths) -> list[Array]:
                """h and c of this layer and direction, zeros if not given."""
                zeros = [np.zeros((batch, width), number) for width in widths]
                return [np.asarray(s[at], number) for s in states or ()] + zeros[len(states or ()) :]

            cell = Cell(kind, w, activation, recurrent_activation)
            shown = rows._replace(hold=rows.hold and layer == layers - 1)
            nudge, order = (nudges or {}).get((layer, name), {}), -1 if name == "reverse" else 1
            found = scan(cell, y, part(state), part(reset_state), shown, order, nudge)
            *seen, h, c, trace[layer, name] = found
            parts.append(seen)
            last.append((h, c))
        y, cells = (np.concatenate(p, axis=-1) for p in zip(*parts, strict=True))
    final = tuple(map(np.stack, zip(*last, strict=True)))
    return Result(y, final, cells, trace) if kind == "lstm" else Result(y, final[:1], None, trace)
