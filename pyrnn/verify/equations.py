"""Computes the recurrent cells in float64, gate by gate, from a file's weights, for comparison with a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.core.facts import FACTS

Function = Callable[[Array], Array]


@dataclass(frozen=True)
class EquationsCell:
    """Holds one direction of a layer.

    Attributes:
        kind: "RNN", "LSTM" or "GRU".
        inputs: the weights [I,H] of the input, by gate: "i" "f" "g" "o", "r" "z" "n" or "h".
        states: the weights [H,H] of the state, or [P,H] with a projection, by gate.
        input_bias: the biases [H] of the input, by gate.
        state_bias: the biases [H] of the state, by gate.
        activation: the activation of the candidate and of the LSTM's output.
        recurrent_activation: the activation of the other gates.
        reset_after: whether a GRU multiplies by the reset gate after the product.
        projection: the weights [H,P] of the projection, or None.
    """

    kind: str
    inputs: Mapping[str, Array]
    states: Mapping[str, Array]
    input_bias: Mapping[str, Array]
    state_bias: Mapping[str, Array]
    activation: Function = np.tanh
    recurrent_activation: Function = lambda a: np.asarray(1 / (1 + np.exp(-a)))
    reset_after: bool = True
    projection: Array | None = None

    def run(self, x: Array, active: Array | None = None) -> dict[str, Array]:
        """Computes every gate and state, [T,B,H], in the order in which a step computes them.

        Args:
            x: float64 [T,B,I], in the order in which the layer reads it.
            active: bool [T,B]; a step marked False leaves the state unchanged.

        Returns:
            The gates, then the states, by name.
        """
        steps: list[dict[str, Array]] = []
        hidden = next(iter(self.states.values())).shape
        h, c = np.zeros((x.shape[1], hidden[0])), np.zeros((x.shape[1], hidden[1]))
        step = {"RNN": self._rnn, "LSTM": self._lstm, "GRU": self._gru}[self.kind]
        with np.errstate(over="ignore"):  # The exponential of a large number overflows, and the sigmoid is then 0.
            for t, x_t in enumerate(x):
                found = step(x_t, h, c)
                keep = np.ones((len(h), 1), bool) if active is None else active[t][:, None]
                found["h"], found["c"] = np.where(keep, found["h"], h), np.where(keep, found.get("c", c), c)
                h, c = found["h"], found["c"]
                steps.append(found)
        names = next((*facts.gates, *facts.states[::-1]) for facts in FACTS.values() if facts.layer == self.kind)
        return {name: np.stack([found[name] for found in steps]) for name in dict.fromkeys(names)}

    def _sums(self, gate: str, x: Array, h: Array) -> tuple[Array, Array]:
        """Returns the sums of the input and of the state, each with its bias."""
        return x @ self.inputs[gate] + self.input_bias[gate], h @ self.states[gate] + self.state_bias[gate]

    def _gate(self, gate: str, x: Array, h: Array) -> Array:
        return self.recurrent_activation(sum(self._sums(gate, x, h), np.zeros(())))

    def _rnn(self, x: Array, h: Array, c: Array) -> dict[str, Array]:
        return {"h": self.activation(sum(self._sums("h", x, h), np.zeros(())))}

    def _lstm(self, x: Array, h: Array, c: Array) -> dict[str, Array]:
        found = {gate: self._gate(gate, x, h) for gate in "ifo"}
        found["g"] = self.activation(sum(self._sums("g", x, h), np.zeros(())))
        found["c"] = found["f"] * c + found["i"] * found["g"]
        shown = found["o"] * self.activation(found["c"])
        found["h"] = shown if self.projection is None else shown @ self.projection
        return found

    def _gru(self, x: Array, h: Array, c: Array) -> dict[str, Array]:
        r, z = (self._gate(gate, x, h) for gate in "rz")
        own, state = self._sums("n", x, h if self.reset_after else r * h)
        n = self.activation(own + (r * state if self.reset_after else state))
        return {"r": r, "z": z, "n": n, "h": (1 - z) * n + z * h}


def blocks(matrix: Array, gates: Sequence[str]) -> dict[str, Array]:
    """Splits the last axis by gate, in float64."""
    return dict(zip(gates, np.split(matrix.astype(np.float64), len(gates), axis=-1), strict=True))
