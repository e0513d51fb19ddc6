"""RNN, LSTM and GRU: torch.nn's arguments, names, shapes and numbers, on NumPy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_nonlinearity
from pyrnn.checks.arrays import Array

from .recurrent import Recurrent

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # a tenth of the time of `import pyrnn` otherwise

    from .quantized import Quantized


class Quantizable(Recurrent):
    """A recurrent layer of floats, which can be given smaller weights."""

    def quantize(self, format: str, data: Array | None = None) -> Quantized:
        """Makes a `Quantized` of this layer: smaller weights, for inference. The layer stays as it is.

        Args:
            format: "bf16" or "int8".
            data: an input to measure the error on, as a call takes it: it becomes `.report`. None for no report.

        Raises:
            ValueError: for another format, or a layer of float64.
        """
        from .quantized import Quantized  # at its first use: `import pyrnn` does without

        return Quantized(self, format, data)


class RNN(Quantizable):
    """Elman RNN, h' = tanh(W_ih x + b_ih + W_hh h + b_hh) or max(., 0): torch.nn.RNN on NumPy arrays.

    Args:
        input_size: I. hidden_size: H. num_layers: L, the output of each the input of the next.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: whether sequences are [B,T,*]; states never are.
        dropout: probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: D = 2; the outputs of both directions side by side.
        activation: instead of the nonlinearity, one of those of `LSTM`.
        masked_output: the default of a call's `masked_output`: "zero" or "hold".
        dtype: float32 or float64.
        seed: of the initial weights, U(-1/sqrt(H), 1/sqrt(H)), and of dropout; None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> rnn = pyrnn.RNN(3, 5, nonlinearity="relu", seed=0)
        >>> y, h = rnn(np.zeros((7, 2, 3), np.float32))
        >>> y.shape, h.shape
        ((7, 2, 5), (1, 2, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html; Elman 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        activation: str | None = None,
        masked_output: str = "zero",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.__dict__["nonlinearity"] = check_nonlinearity(nonlinearity)
        mode = f"rnn_{nonlinearity}" if activation is None else "rnn_tanh"  # an activation takes its place
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            0, dtype, seed, "tanh" if activation is None else activation, masked_output=masked_output,
        )  # fmt: skip

    def config(self) -> dict[str, Any]:
        """The constructor's arguments, but for dtype and seed."""
        return {**super().config(), "activation": None if self.mode == "rnn_relu" else self.activation}


class LSTM(Quantizable):
    """Long short-term memory: torch.nn.LSTM on NumPy arrays.

        i, f, o = σ(...)    g = tanh(...)    c' = f c + i g    h' = o tanh(c')    with proj_size h' = W_hr o tanh(c')

    Gates stand in the rows of a weight in the order i, f, g, o.

    Args:
        input_size: I. hidden_size: H. num_layers: L, the output of each the input of the next.
        bias: whether there are biases.
        batch_first: whether sequences are [B,T,*]; states never are.
        dropout: probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: D = 2; the outputs of both directions side by side.
        proj_size: P, the size the hidden state is projected to; 0 for none.
        activation: of the candidate and the output, one of "tanh", "sigmoid", "relu", "identity",
            "hard_sigmoid_keras2" (clip(0.2 x + 0.5)), "hard_sigmoid_keras3" (relu6(x + 3) / 6).
        recurrent_activation: of the gates, from the same list.
        peephole: the gates see the cell state, a_i += p_i c, a_f += p_f c, a_o += p_o c'; parameters
            weight_peephole_l0 ... of [3H] in the order i, o, f, as ONNX's P.
        masked_output: the default of a call's `masked_output`: "zero" or "hold".
        dtype: float32 or float64.
        seed: of the initial weights, U(-1/sqrt(H), 1/sqrt(H)), and of dropout; None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> lstm = pyrnn.LSTM(3, 5, num_layers=2, seed=0)
        >>> y, (h, c), pullback = lstm.vjp(np.ones((7, 2, 3), np.float32))
        >>> gradients = pullback(np.ones_like(y))
        >>> gradients.input.shape, gradients.parameters["weight_hh_l1"].shape
        ((7, 2, 3), (20, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html; Hochreiter & Schmidhuber 1997;
    forget gate Gers et al. 2000; projection Sak et al. 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        peephole: bool = False,
        masked_output: str = "zero",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            "lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size,
            dtype, seed, activation, recurrent_activation, peephole, masked_output,
        )  # fmt: skip


class GRU(Quantizable):
    """Gated recurrent unit: torch.nn.GRU on NumPy arrays.

        r, z = σ(...)    n = tanh(W_in x + b_in + r (W_hn h + b_hn))    h' = (1 - z) n + z h

    Gates stand in the rows of a weight in the order r, z, n.

    Args:
        input_size: I. hidden_size: H. num_layers: L, the output of each the input of the next.
        bias: whether there are biases.
        batch_first: whether sequences are [B,T,*]; states never are.
        dropout: probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: D = 2; the outputs of both directions side by side.
        reset_after: True, torch's form above; False, the original paper's, n = tanh(W_in x + b_in +
            W_hn (r h) + b_hn), which torch cannot express (Keras `reset_after=False`, ONNX `linear_before_reset=0`).
        activation: of the candidate, from the list of `LSTM`.
        recurrent_activation: of the gates, likewise.
        masked_output: the default of a call's `masked_output`: "zero" or "hold".
        dtype: float32 or float64.
        seed: of the initial weights, U(-1/sqrt(H), 1/sqrt(H)), and of dropout; None for a fresh one.

    Example:
        >>> import numpy as np, pyrnn
        >>> gru = pyrnn.GRU(3, 5, bidirectional=True, batch_first=True, seed=0)
        >>> y, h = gru(np.zeros((2, 7, 3), np.float32))
        >>> y.shape, h.shape
        ((2, 7, 10), (2, 2, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html; Cho et al. 2014 (arXiv:1406.1078).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        reset_after: bool = True,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        masked_output: str = "zero",
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        check_bools(reset_after=reset_after)
        self.__dict__["reset_after"] = reset_after
        super().__init__(
            "gru" if reset_after else "gru_reset_before", input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, 0, dtype, seed, activation, recurrent_activation, masked_output=masked_output,
        )  # fmt: skip
