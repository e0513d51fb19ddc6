"""One layer in C: constants, state, scratch, the functions that it calls, and its lines in a step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.recurrent import Recurrent

from . import cells
from .constants import Constant, panels, panels_int8, quantized
from .functions import Function
from .order import ROWS, rows_of
from .products import COPY, MULTIPLY, MULTIPLY_INT8, ZERO

INPUT, OUTPUT = "INPUT", "OUTPUT"  # placeholders in the lines for the arrays of inputs and outputs


@dataclass
class CPart:
    """One layer in C; of a recurrent network one of its layers.

    Attributes:
        title: the comment above its lines.
        inputs: the number of inputs of a step.
        outputs: the number of outputs of a step.
        home: the member of the state that holds its output after the step anyway, or "".
        constants: the arrays of weights.
        state: members of the state struct, with their sizes.
        functions: the functions that its lines call.
        lines: the C of a step, with INPUT and OUTPUT.
        sums, projected, bytes: the sizes of the scratch arrays that it needs; `bytes` is of int8.
        types: the C types of members, where they differ from that of the network's values.
        macs: multiply-adds of a step.
    """

    title: str
    inputs: int
    outputs: int
    home: str = ""
    constants: list[Constant] = field(default_factory=list)
    state: dict[str, int] = field(default_factory=dict)
    functions: list[Function] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sums: int = 0
    bytes: int = 0
    projected: int = 0
    types: dict[str, str] = field(default_factory=dict)
    macs: int = 0

    def constant(self, name: str, values: Array, comment: str) -> str:
        """Adds an array of weights; returns its name in C."""
        self.constants.append(Constant(name, values, comment))
        return f"vad_{name}"

    def product(self, name: str, weight: Array, comment: str, args: tuple[str, str, str], small: bool) -> None:
        """Adds y = start + W x for args (start, x, y)."""
        (rows, columns), (start, x, y) = weight.shape, args
        self.macs += rows * columns
        if small:
            integers, scales = quantized(weight)
            w = self.constant(name, panels_int8(integers), f"{comment}, [{rows}][{columns}] in panels of four rows")
            scale = self.constant(f"{name}_scale", scales, f"its scales, [{rows}]")
            self.lines.append(f"vad_multiply_int8({w}, {scale}, {start}, {x}, s->bytes, {columns}, {rows}, {y});")
            self.functions.append(MULTIPLY_INT8)
            self.bytes = max(self.bytes, -(-columns // 4) * 4)
        else:
            w = self.constant(name, panels(weight), f"{comment}, [{rows}][{columns}] in panels of eight rows")
            self.lines.append(f"vad_multiply({w}, {start}, {x}, {columns}, {rows}, {y});")
            self.functions.append(MULTIPLY)


def recurrent(name: str, layer: Recurrent, index: int, small: bool) -> CPart:
    """Returns the part of one layer of an RNN, LSTM or GRU."""
    H, P = layer.hidden_size, layer.proj_size or layer.hidden_size  # noqa: N806
    values = {key.removesuffix(f"_l{index}"): value for key, value in layer.parameters().items()}
    values = {key: values[key] for key in values if not key[-1].isdigit()}
    inputs = values["weight_ih"].shape[1]
    which = f", layer {index}" if layer.num_layers > 1 else ""
    part = CPart(f"{type(layer).__name__}({inputs}, {H}){which}", inputs, P, f"h_{name}l{index}")
    part.state[part.home] = P
    _sums(part, name, layer, index, values, small)
    _finish(part, name, layer, index, values)
    return part


def _sums(part: CPart, name: str, layer: Recurrent, index: int, values: dict[str, Array], small: bool) -> None:
    """Adds all sums of a step. In a GRU n comes first, so that the sums to which W_hh adds are contiguous."""
    H, h, sums = layer.hidden_size, f"s->{part.home}", "s->sums"  # noqa: N806
    weights, order = ordered(values, layer.mode, H), order_of_rows(layer.mode)
    start = part.constant(f"{name}bias_l{index}", weights["bias"], order["bias"])
    part.sums = len(weights["bias"])
    into = f"{sums} + {H}" if layer.mode.startswith("gru") else sums
    part.product(f"{name}weight_ih_l{index}", weights["ih"], order["ih"], (start, INPUT, sums), small)
    if layer.mode == "gru":  # its fourth sum, W_hn h + b_hn, has no input in it
        part.lines.append(f"vad_copy({start} + {3 * H}, {H}, {sums} + {3 * H});")
        part.functions.append(COPY)
    part.product(f"{name}weight_hh_l{index}", weights["hh"], order["hh"], (into, h, into), small)
    if layer.mode == "gru_reset_before":
        reset = cells.gru_reset(layer.recurrent_activation)
        part.functions.append(reset)
        part.lines.append(f"{reset.name}({sums}, {H}, {h});")
        part.product(f"{name}weight_hn_l{index}", weights["hn"], "weight_hh: n", (sums, into, sums), small)


def _finish(part: CPart, name: str, layer: Recurrent, index: int, values: dict[str, Array]) -> None:
    """Adds the cell's equations, and the LSTM's projection."""
    H, h = layer.hidden_size, f"s->{part.home}"  # noqa: N806
    state, gate = layer.activation, layer.recurrent_activation
    if layer.mode.startswith("rnn"):
        cell = cells.rnn("relu" if layer.mode == "rnn_relu" else state)
        arguments = ["s->sums", f"{H}", h, OUTPUT]
    elif layer.mode == "lstm":
        part.state[f"c_{name}l{index}"] = H
        cell = cells.lstm(state, gate, layer.peephole)
        to = ["s->projected", "s->projected"] if layer.proj_size else [h, OUTPUT]
        arguments = ["s->sums", f"{H}", to[0], f"s->c_{name}l{index}", to[1]]
        if layer.peephole:
            peepholes = values["weight_peephole"]
            arguments.insert(1, part.constant(f"{name}weight_peephole_l{index}", peepholes, "[3][H]: i, o, f"))
    else:
        cell = (cells.gru if layer.mode == "gru" else cells.gru_update)(state, gate)
        arguments = ["s->sums", f"{H}", h, OUTPUT]
    part.functions.append(cell)
    part.lines.append(f"{cell.name}({', '.join(arguments)});")
    if layer.proj_size:
        part.projected = H
        part.lines.append(f"vad_zero({h}, {layer.proj_size});")
        part.product(f"{name}weight_hr_l{index}", values["weight_hr"], "weight_hr", (h, "s->projected", h), False)
        part.lines.append(f"vad_copy({h}, {layer.proj_size}, {OUTPUT});")
        part.functions += [ZERO, COPY]


def order_of_rows(mode: str) -> dict[str, str]:
    """Returns the comments of the constants, which name the order of the rows."""
    if mode.startswith("rnn"):
        return {"bias": "b_ih + b_hh", "ih": "weight_ih", "hh": "weight_hh"}
    ih, hh = ", ".join(ROWS[mode]), ", ".join(_hidden(mode))
    bias = f"b_ih + b_hh, rows {ih}" if mode == "lstm" else f"b_ih + b_hh: {ih}"
    if mode == "gru":
        bias = ", ".join(["b_in", *(f"b_i{gate} + b_h{gate}" for gate in ROWS[mode][1:]), "b_hn"])
    return {"bias": bias, "ih": f"weight_ih: {ih}", "hh": f"weight_hh: {hh}"}


def _hidden(mode: str) -> tuple[str, ...]:
    """Returns the gates whose rows of weight_hh the first product of a step takes, in the order of the sums."""
    return {"gru": (*ROWS[mode][1:], *ROWS[mode][:1]), "gru_reset_before": ROWS[mode][1:]}.get(mode, ROWS[mode])


def ordered(values: dict[str, Array], mode: str, H: int) -> dict[str, Array]:  # noqa: N803
    """Returns bias and matrices in the order of the sums: in a GRU n, r, z, and W_hn h + b_hn."""
    ih, hh = values["weight_ih"], values["weight_hh"]
    none = np.zeros(len(ih), np.float32)
    bias_ih, bias_hh = values.get("bias_ih", none), values.get("bias_hh", none)
    both = bias_ih + bias_hh
    if not mode.startswith("gru"):
        return {"bias": both, "ih": ih, "hh": hh}
    rows, hidden, n = (rows_of(mode, gates, H) for gates in (ROWS[mode], _hidden(mode), "n"))
    if mode == "gru_reset_before":
        return {"bias": both[rows], "ih": ih[rows], "hh": hh[hidden], "hn": hh[n]}
    return {"bias": np.concatenate([bias_ih[n], both[rows[H:]], bias_hh[n]]), "ih": ih[rows], "hh": hh[hidden]}
