"""A causal convolution in C is a product with the last inputs, which the state keeps; they are zeros at first."""

from __future__ import annotations

import numpy as np

from pyrnn.nn.channels_last import ChannelsLast
from pyrnn.nn.conv import Conv1d

from .constants import panels
from .functions import Function
from .parts import INPUT, OUTPUT, CPart
from .products import MULTIPLY

PUSH = Function(
    "vad_push",
    """\
/* Moves the last K inputs of each group of C channels, window [groups][K][C], on by one step and adds x. The window is
   volatile because compilers would else make this loop a call of memmove. */
static void vad_push(const float *x, int groups, int K, int C, volatile float *window) {
  int i;
  for (; groups; --groups, window += K * C) {
    for (i = 0; i < (K - 1) * C; ++i) window[i] = window[i + C];
    for (; i < K * C; ++i) window[i] = *x++;
  }
}
""",
)


def part(before: str, layer: ChannelsLast, inputs: int) -> CPart:
    """Returns the part of a convolution.

    With a dilation d the state has d windows, of which each step uses the next; each works as without dilation.
    """
    conv: Conv1d = layer.layer
    channels, outputs, groups = conv.in_channels, conv.out_channels, conv.groups
    (taps,), (dilation,) = conv._windows.kernel_size, conv._windows.dilation
    more = "".join(f", {name} {value}" for name, value in (("dilation", dilation), ("groups", groups)) if value > 1)
    part = CPart(f"Conv1d({channels}, {outputs}, {taps}{more})", channels, outputs, functions=[PUSH, MULTIPLY])
    # Each sum runs over the places of the kernel, and at each place over the channels of the group.
    weight = np.moveaxis(conv.weight, 1, -1).reshape(groups, outputs // groups, -1)
    rows, columns = weight.shape[1:]
    shape = f"[{groups}][{rows}][{columns}]" if groups > 1 else f"[{rows}][{columns}]"
    flat = np.concatenate([panels(matrix) for matrix in weight])
    w = part.constant(f"{before}weight", flat, f"weight, {shape} in panels of eight rows")
    bias = conv.parameters().get("bias", np.zeros(outputs, np.float32))
    start = part.constant(f"{before}bias", bias, f"bias, [{outputs}]")
    part.macs = weight.size
    window = windows(part, before, (channels, taps, dilation))
    part.lines.append(f"vad_push({INPUT}, {groups}, {taps}, {channels // groups}, {window});")
    if groups == 1:
        part.lines.append(f"vad_multiply({w}, {start}, {window}, {columns}, {rows}, {OUTPUT});")
    else:
        part.lines += [
            f"for (i = 0; i < {groups}; ++i)",
            f"  vad_multiply({w} + {rows * columns} * i, {start} + {rows} * i,",
            f"               {window} + {columns} * i, {columns}, {rows}, {OUTPUT} + {rows} * i);",
        ]
    if dilation > 1:
        part.lines.append(next_turn(before, dilation))
    return part


def windows(part: CPart, before: str, sizes: tuple[int, int, int]) -> str:
    """Adds the state for (channels, taps, dilation); returns the C for the window that this step uses."""
    channels, taps, dilation = sizes
    member = f"inputs_{before}".removesuffix("_")
    part.state[member] = dilation * channels * taps
    if dilation == 1:
        return f"s->{member}"
    part.state[_turn(before)], part.types[_turn(before)] = 1, "int32_t"
    return f"s->{member} + {channels * taps} * s->{_turn(before)}[0]"


def next_turn(before: str, dilation: int) -> str:
    """Returns the line that chooses the next window at the end of a step."""
    return f"if (++s->{_turn(before)}[0] == {dilation}) s->{_turn(before)}[0] = 0;"


def _turn(before: str) -> str:
    return f"turn_{before}".removesuffix("_")


def refusal(conv: Conv1d) -> str:
    """Says why the layer has no part, in words that follow its name; returns "" if it has one."""
    (taps,), (dilation,), (stride,) = conv._windows.kernel_size, conv._windows.dilation, conv._windows.stride
    if stride != 1:
        return f"holds a Conv1d of stride {stride}, and in C every step has an output; use stride=1"
    causal = [(dilation * (taps - 1), 0)]
    if conv._windows.pads([1000]) != causal:
        return (
            f"holds a Conv1d that sees later steps or starts late; use padding={causal}, which sees earlier steps only"
        )
    return ""
