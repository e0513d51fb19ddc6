"""Describes the cells of Keras' recurrent layers as the kernels know them, and converts their weights.

Letters in shapes: I inputs, H units, G gates.
"""

from __future__ import annotations

from typing import Any

import keras
import torch
from torch import Tensor

from pyrnn.core.facts import GATES
from pyrnn.io.keras.recurrent import LAYERS, ORDERS
from pyrnn.torch.composed import Network

KINDS = {
    keras.layers.SimpleRNNCell: "SimpleRNN",
    keras.layers.LSTMCell: "LSTM",
    keras.layers.GRUCell: "GRU",
}
MODES = {"SimpleRNN": "rnn_tanh", "LSTM": "lstm", "GRU": "gru"}
ACTIVATIONS = (
    (keras.activations.tanh, "tanh"),
    (keras.activations.sigmoid, "sigmoid"),
    (keras.activations.relu, "relu"),
    (keras.activations.linear, "identity"),
    (keras.activations.hard_sigmoid, "hard_sigmoid_keras3"),
)


def network_of(cell: Any) -> Network:
    """Returns the description of what a cell computes; raises ValueError, with the reason, if the kernels cannot."""
    kind = KINDS.get(type(cell))
    if kind is None:
        raise ValueError(
            f"its cell is a {type(cell).__name__}; the kernels know {', '.join(k.__name__ for k in KINDS)}"
        )
    gates = "sigmoid" if kind == "SimpleRNN" else _name(cell, "recurrent_activation")
    mode = "gru_reset_before" if kind == "GRU" and not cell.reset_after else MODES[kind]
    return Network(mode, bool(cell.use_bias), 1, False, _name(cell, "activation"), gates)


def _name(cell: Any, attribute: str) -> str:
    function = getattr(cell, attribute)
    for known, name in ACTIVATIONS:
        if function is known or (function is None and name == "identity"):
            return name
    shown = getattr(function, "__name__", type(function).__name__)
    raise ValueError(f"{attribute}={shown}; the kernels know tanh, sigmoid, relu, linear and hard_sigmoid")


def weights_of(cell: Any) -> list[Tensor]:
    """Returns weight_ih [G*H,I], weight_hh [G*H,H], and with a bias bias_ih and bias_hh [G*H].

    They are in the order of the kernels. torch's operators compute them from Keras' variables, so that gradients reach
    these.
    """
    kind = KINDS[type(cell)]
    order, gates = ORDERS[kind], GATES[LAYERS[kind]]
    found = [keras.ops.convert_to_tensor(variable).T for variable in (cell.kernel, cell.recurrent_kernel)]
    if cell.use_bias:
        bias = keras.ops.convert_to_tensor(cell.bias)
        found += [*bias] if bias.dim() == 2 else [bias, torch.zeros_like(bias)]
    return found if order == gates else [_reordered(weight, order, gates) for weight in found]


def _reordered(rows: Tensor, order: tuple[str, ...], gates: Any) -> Tensor:
    blocks = dict(zip(order, rows.chunk(len(order)), strict=True))
    return torch.cat([blocks[gate] for gate in gates])
