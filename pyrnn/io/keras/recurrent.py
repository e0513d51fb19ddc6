"""Converts the weights of SimpleRNN, LSTM and GRU to torch's layout.

Keras keeps `kernel` [I,G*H], `recurrent_kernel` [H,G*H] and one `bias` [G*H], with the gates in the order i f c o or
z r h. A GRU with reset_after has two biases, [2,3H]. Files of CuDNNLSTM and CuDNNGRU have biases of [8H] and [6H], for
the input and the state, and the block of every gate is transposed; only the shape of the bias tells.

Source: https://keras.io/api/layers/recurrent_layers/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pyrnn import GRU, LSTM, RNN
from pyrnn.checks.arrays import Array
from pyrnn.core.facts import GATES, reordered

from .activations import of_cell
from .config import KerasLayer

# Our names of Keras' layers, and the order of the gates in Keras' arrays, under our names of the gates.
LAYERS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}
ORDERS = {"SimpleRNN": ("h",), "LSTM": ("i", "f", "g", "o"), "GRU": ("z", "r", "n")}
CUDNN = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU"}
RECURRENT_CLASSES = (*ORDERS, *CUDNN)
ARRAYS = ("kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True)
class KerasCell:
    """Describes what one direction computes, without its weights.

    Attributes:
        kind: "SimpleRNN", "LSTM" or "GRU".
        hidden: the number of units, H.
        bias: whether it has a bias.
        reset_after: whether a GRU multiplies by the reset gate after the product.
        activation: pyrnn's name of the activation of the candidate and the output.
        recurrent_activation: pyrnn's name of the activation of the gates.
    """

    kind: str
    hidden: int
    bias: bool
    reset_after: bool = False
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    def names(self) -> tuple[str, ...]:
        """Returns the names of its arrays in Keras' order."""
        return ARRAYS if self.bias else ARRAYS[:2]

    def layer(self, arrays: dict[str, Array], dtype: str, masked_output: str) -> RNN | LSTM | GRU:
        """Makes the batch-first layer with these arrays; raises ValueError if a shape is wrong."""
        weights = self.weights(arrays)
        size = weights["weight_ih_l0"].shape[1]
        options: dict[str, Any] = {"bias": self.bias, "batch_first": True, "activation": self.activation}
        options |= {"masked_output": masked_output, "dtype": dtype, "seed": 0}
        made: RNN | LSTM | GRU
        if self.kind == "SimpleRNN":
            made = RNN(size, self.hidden, **options)
        elif self.kind == "LSTM":
            made = LSTM(size, self.hidden, recurrent_activation=self.recurrent_activation, **options)
        else:
            options |= {"reset_after": self.reset_after, "recurrent_activation": self.recurrent_activation}
            made = GRU(size, self.hidden, **options)
        made.load_state_dict(weights)
        return made

    def weights(self, arrays: dict[str, Array]) -> dict[str, Array]:
        """Renames the arrays and gives them torch's layout; raises ValueError if a shape is wrong."""
        order, gates, hidden = ORDERS[self.kind], GATES[LAYERS[self.kind]], self.hidden
        rows = len(order) * hidden
        kernel, recurrent = arrays["kernel"], arrays["recurrent_kernel"]
        for name, array, first in (("kernel", kernel, None), ("recurrent_kernel", recurrent, hidden)):
            if array.ndim != 2 or array.shape[1] != rows or first not in (None, array.shape[0]) or not array.size:
                expected = f"({'inputs' if first is None else first}, {rows})"
                raise ValueError(f"{name} should have shape {expected}, got {array.shape}")
        bias = arrays["bias"] if self.bias else None
        blocks = [np.split(array.T, len(order)) for array in (kernel, recurrent)]
        if bias is not None and self.kind != "SimpleRNN" and bias.shape == (2 * rows,):
            blocks = [[_from_cudnn(block.T).T for block in blocks[0]], [block.T for block in blocks[1]]]
            if self.kind == "GRU" and not self.reset_after:
                raise ValueError("it has the biases of a CuDNNGRU, which is reset_after=True, but reset_after=False")
        found = {
            "weight_ih_l0": reordered(np.concatenate(blocks[0]), order, gates),
            "weight_hh_l0": reordered(np.concatenate(blocks[1]), order, gates),
        }
        if bias is not None:
            inputs, states = self._biases(bias)
            found |= {"bias_ih_l0": inputs, "bias_hh_l0": states}
        return found

    def _biases(self, bias: Array) -> tuple[Array, Array]:
        order, gates = ORDERS[self.kind], GATES[LAYERS[self.kind]]
        rows = len(order) * self.hidden
        two = self.kind == "GRU" and self.reset_after
        if bias.shape == (2 * rows,) and self.kind != "SimpleRNN":
            bias = bias.reshape(2, rows)
        elif bias.shape != ((2, rows) if two else (rows,)):
            shape = (2, rows) if two else (rows,)
            raise ValueError(f"bias should have shape {shape}, got {bias.shape}{self._advice(bias, rows)}")
        both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        inputs, states = (reordered(half, order, gates) for half in both)
        return inputs, states

    def _advice(self, bias: Array, rows: int) -> str:
        """Says that a GRU's bias has the shape for the other value of reset_after."""
        if self.kind != "GRU" or bias.shape not in ((2, rows), (rows,)):
            return ""
        return f": the file's GRU is reset_after={not self.reset_after}, this one is reset_after={self.reset_after}"


def _from_cudnn(block: Array) -> Array:
    """Returns the block [I,H] of an array that cuDNN keeps transposed, row by row."""
    return block.T.reshape(block.shape, order="F")


def read_cell(layer: KerasLayer) -> KerasCell:
    """Reads the cell from a layer's configuration."""
    kind = CUDNN.get(layer.kind, layer.kind)
    hidden = layer.size("units")
    if kind != layer.kind:
        return KerasCell(kind, hidden, bias=True, reset_after=True)
    bias = layer.flag("use_bias", True)
    activation = of_cell(layer, "activation", "tanh")
    if kind == "SimpleRNN":
        return KerasCell(kind, hidden, bias, activation=activation)
    if layer.get("recurrent_activation") is None:
        layer.refuse("the file does not say recurrent_activation, whose default changed from hard_sigmoid to sigmoid")
    gates = of_cell(layer, "recurrent_activation", "sigmoid")
    # Keras before 2.1.3 has no such attribute, and computes reset_after=False.
    reset_after = kind == "GRU" and layer.flag("reset_after", False)
    return KerasCell(kind, hidden, bias, reset_after, activation, gates)
