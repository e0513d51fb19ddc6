"""RNN, LSTM and GRU out of torch's own differentiable operators, step by step.

They are slow, but do all that torch's operators can do and the kernels cannot: vmap, forward-mode and second
derivatives, other dtypes and devices. The equations are those of csrc/cells. As vmap demands, nothing is written in
place, and no branch depends on a number in a tensor.

Letters in shapes: T time, B batch, I inputs, H hidden units, P projections or H, L layers, D directions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pyrnn.core.facts import GATES_OF_CELL, IS_PAIR

States = tuple[Tensor, ...]  # (h,) or (h, c)


class Network(NamedTuple):
    """The description of a recurrent network; a projection shows in the weights only.

    Attributes:
        mode: "rnn_tanh", "rnn_relu", "lstm", "gru" or "gru_reset_before".
        bias: whether there are biases.
        num_layers: L.
        bidirectional: whether D is 2.
        activation: of the state and the candidate; in an RNN anything but "tanh" replaces the nonlinearity of `mode`.
        recurrent_activation: of the gates.
        peephole: whether the gates of an LSTM see the cell state.
    """

    mode: str
    bias: bool
    num_layers: int
    bidirectional: bool
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    peephole: bool = False


class Steps(NamedTuple):
    """The options of single steps.

    Attributes:
        active: bool [T,B]; a step marked False leaves the state alone.
        hold: whether the output of such a step is the state, which the step left alone, rather than zero.
        reset: bool [T,B]; before a step marked True the state becomes reset_state.
        reset_state: h [L*D,B,P], and for the LSTM c [L*D,B,H]; empty for zeros.
    """

    active: Tensor | None = None
    hold: bool = False
    reset: Tensor | None = None
    reset_state: States = ()


EVERY_STEP = Steps()


def clipped(a: Tensor, top: float) -> Tensor:
    """Limits a to [0, top]. As in the kernels, the gradient is 0 at the limits, beyond them and at NaN."""
    return torch.where((a > 0) & (a < top), a, a.detach().clamp(0.0, top))


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "identity": lambda a: a,
    "hard_sigmoid_keras2": lambda a: clipped(0.2 * a + 0.5, 1.0),
    "hard_sigmoid_keras3": lambda a: clipped(a + 3, 6.0) / 6,
}


class ComposedCell:
    """One layer in one direction."""

    def __init__(self, network: Network, weights: Sequence[Tensor]) -> None:
        rectified = network.mode == "rnn_relu" and network.activation == "tanh"
        self.activation = ACTIVATIONS["relu" if rectified else network.activation]
        self.gate = ACTIVATIONS[network.recurrent_activation]
        self.has_cell_state = IS_PAIR[network.mode]
        self.gates = GATES_OF_CELL[network.mode]
        steps = {"lstm": self.lstm, "gru": self.gru, "gru_reset_before": self.gru_reset_before}
        self.step = steps.get(network.mode, self.rnn)
        rest = iter(weights)
        self.weight_ih, self.weight_hh = next(rest), next(rest)
        self.bias_ih: Tensor | None = next(rest) if network.bias else None
        self.bias_hh: Tensor | None = next(rest) if network.bias else None
        self.peephole = next(rest).chunk(3) if network.peephole else None  # for the gates i, o, f
        self.weight_hr = next(rest, None)

    def project_inputs(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight_ih, self.bias_ih)

    def project_state(self, h: Tensor) -> Tensor:
        return functional.linear(h, self.weight_hh, self.bias_hh)

    def by_gate(self, sums: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.gates, sums.chunk(len(self.gates), -1), strict=True))

    def zeros(self, x: Tensor) -> States:
        """Returns the state before the first step, for x [T,B,I]."""
        recurrent = self.weight_hh.shape[1]
        hidden = recurrent if self.weight_hr is None else self.weight_hr.shape[1]
        widths = (recurrent, hidden) if self.has_cell_state else (recurrent,)
        return tuple(x.new_zeros(x.shape[1], width) for width in widths)

    def rnn(self, a: Tensor, state: States) -> States:
        return (self.activation(a + self.project_state(state[0])),)

    def lstm(self, a: Tensor, state: States) -> States:
        h, c = state
        sums = self.by_gate(a + self.project_state(h))
        i, f, g, o = sums["i"], sums["f"], sums["g"], sums["o"]
        if self.peephole is not None:
            i, f = i + self.peephole[0] * c, f + self.peephole[2] * c
        c = self.gate(f) * c + self.gate(i) * self.activation(g)
        if self.peephole is not None:
            o = o + self.peephole[1] * c
        h = self.gate(o) * self.activation(c)
        return h if self.weight_hr is None else functional.linear(h, self.weight_hr), c

    def gru(self, a: Tensor, state: States) -> States:
        (h,) = state
        from_x, from_h = self.by_gate(a), self.by_gate(self.project_state(h))
        r, z = (self.gate(from_x[gate] + from_h[gate]) for gate in "rz")
        n = self.activation(from_x["n"] + r * from_h["n"])
        return ((h - n) * z + n,)

    def gru_reset_before(self, a: Tensor, state: States) -> States:
        (h,) = state
        from_x, from_h = self.by_gate(a), self.by_gate(self.project_state(h))
        r, z = (self.gate(from_x[gate] + from_h[gate]) for gate in "rz")
        n = self.activation(from_x["n"] + self.by_gate(self.project_state(r * h))["n"])
        return ((h - n) * z + n,)


def scan(
    cell: ComposedCell, x: Tensor, state: States, reset_to: States, steps: Steps, order: int
) -> tuple[list[Tensor], States]:
    """Returns the states after all steps, each [T,B,*], and the final state; order -1 runs from the end on."""
    sums = cell.project_inputs(x).unbind()
    shown: list[States] = []
    for t in range(len(sums))[::order]:
        if steps.reset is not None:
            state = where(steps.reset[t], reset_to, state)
        after = cell.step(sums[t], state)
        state = after if steps.active is None else where(steps.active[t], after, state)
        shown.append(state)
    # torch.stack refuses an empty list, so with T = 0 it gets the initial state, and the slice removes that again.
    sequences = [torch.stack(part)[: len(sums)] for part in zip(*(shown[::order] or [state]), strict=True)]
    if steps.active is not None and not steps.hold:
        sequences = [torch.where(steps.active.unsqueeze(-1), sequence, 0) for sequence in sequences]
    return sequences, state


def where(flags: Tensor, one: States, other: States) -> States:
    """Chooses rows of the states [B,*] in `one` where flags [B] are True, else in `other`."""
    return tuple(torch.where(flags.unsqueeze(-1), *pair) for pair in zip(one, other, strict=True))


def compose(
    network: Network,
    x: Tensor,
    states: States,
    weights: Sequence[Tensor],
    masks: Sequence[Tensor] = (),
    steps: Steps = EVERY_STEP,
) -> tuple[Tensor, States, Tensor | None]:
    """Runs the layers over a sequence.

    Args:
        network: the description of the layers.
        x: [T,B,I].
        states: h [L*D,B,P], and for the LSTM c [L*D,B,H]; empty for zeros.
        weights: for every layer and direction in turn weight_ih, weight_hh, and if there are any bias_ih, bias_hh,
            weight_peephole, weight_hr; all of the dtype of x and the states.
        masks: factors [T,B,D*P] on the output of each layer but the last, for dropout; empty for none.
        steps: which steps count, and before which ones the state is reset.

    Returns:
        The output of the last layer [T,B,D*P]; the final states, shaped as `states`; and for the LSTM the cell states
        of all steps of the last layer [T,B,D*H], else None.

    Example:
        >>> import torch
        >>> gru = torch.nn.GRU(3, 5)
        >>> network, weights = Network("gru", bias=True, num_layers=1, bidirectional=False), list(gru.parameters())
        >>> torch.vmap(lambda x: compose(network, x, (), weights)[0])(torch.zeros(4, 7, 2, 3)).shape
        torch.Size([4, 7, 2, 5])
    """
    directions = 1 + network.bidirectional
    each = len(weights) // (network.num_layers * directions)
    if steps.active is not None:  # a NaN in a masked step would make gradients NaN: 0 times NaN
        x = torch.where(steps.active.unsqueeze(-1), x, 0)
    last: list[States] = []
    seen: list[Tensor] = []
    for layer in range(network.num_layers):
        x = x * masks[layer - 1] if layer and masks else x
        parts = []
        for run in range(layer * directions, (layer + 1) * directions):
            cell = ComposedCell(network, weights[run * each : (run + 1) * each])
            state, reset_to = (
                tuple(part[run] for part in given) if given else cell.zeros(x) for given in (states, steps.reset_state)
            )
            part, final = scan(cell, x, state, reset_to, steps, -1 if run % directions else 1)
            parts.append(part)
            last.append(final)
        x, *seen = (torch.cat(side, -1) for side in zip(*parts, strict=True))
    return x, tuple(torch.stack(part) for part in zip(*last, strict=True)), seen[0] if seen else None
