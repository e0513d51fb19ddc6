"""RNN, LSTM and GRU compute on NumPy arrays, with the arguments, parameter names and shapes of torch.nn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.checks.arguments import check_bools, check_nonlinearity
from pyrnn.checks.arrays import Array

from .making import known
from .recurrent import Recurrent

if TYPE_CHECKING:
    from numpy.typing import DTypeLike  # at run time this import would take a tenth of `import pyrnn`

    from .quantized import Quantized


class Quantizable(Recurrent):
    """Base class of the three layers, whose float weights `quantize` makes smaller."""

    def quantize(self, format: str, data: Array | None = None) -> Quantized:
        """Makes a `Quantized` of this layer, whose weights take less memory, for inference. The layer stays as it is.

        Args:
            format: "bf16" for half of the memory, "int8" for a quarter.
            data: an input as a call takes it, on which the error is measured for `.report`. None for no report.

        Returns:
            The `Quantized` layer, in evaluation mode.

        Raises:
            ValueError: for another format, or a layer of float64.

        Example:
            >>> import pyrnn
            >>> pyrnn.GRU(16, 64, seed=0).quantize("bf16")
            Quantized(GRU(16, 64), format='bf16')
        """
        from .quantized import Quantized  # here, because most programs never need it

        return Quantized(self, format, data)


@known
class RNN(Quantizable):
    """Elman RNN: torch.nn.RNN on NumPy arrays.

    At each step, with f = tanh or relu:

        h' = f(W_ih x + b_ih + W_hh h + b_hh)

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        num_layers: L; the output of each layer is the input of the next.
        nonlinearity: f, "tanh" or "relu".
        bias: whether the layers have the biases b_ih and b_hh.
        batch_first: whether sequences are [B,T,*] rather than [T,B,*]. States are [L*D,B,*] in both cases.
        dropout: the probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: whether a second direction reads the sequence from its end: D = 2, else D = 1. The outputs of
            both directions stand side by side.
        activation: f in place of `nonlinearity`: any activation that `LSTM` lists.
        masked_output: the output at masked steps unless a call says otherwise: "zero" or "hold".
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of dropout and of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a
            fresh one.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

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
        mode = f"rnn_{nonlinearity}" if activation is None else "rnn_tanh"  # the activation replaces tanh
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            0, dtype, seed, "tanh" if activation is None else activation, masked_output=masked_output,
        )  # fmt: skip

    def config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, without dtype and seed."""
        return {**super().config(), "activation": None if self.mode == "rnn_relu" else self.activation}


@known
class LSTM(Quantizable):
    """Long short-term memory: torch.nn.LSTM on NumPy arrays.

    At each step, with σ the logistic sigmoid and * elementwise:

        i = σ(W_ii x + b_ii + W_hi h + b_hi)
        f = σ(W_if x + b_if + W_hf h + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        o = σ(W_io x + b_io + W_ho h + b_ho)
        c' = f * c + i * g
        h' = o * tanh(c')                  with proj_size: h' = W_hr (o * tanh(c'))

    The rows of each weight and bias hold the gates in the order i, f, g, o.

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        num_layers: L; the output of each layer is the input of the next.
        bias: whether the layers have the biases b_ih and b_hh.
        batch_first: whether sequences are [B,T,*] rather than [T,B,*]. States are [L*D,B,*] in both cases.
        dropout: the probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: whether a second direction reads the sequence from its end: D = 2, else D = 1. The outputs of
            both directions stand side by side.
        proj_size: P, the size to which W_hr projects the hidden state; 0 for no projection.
        activation: in place of the two tanh: "tanh", "sigmoid", "relu", "identity", "hard_sigmoid_keras2"
            (clip(0.2 x + 0.5, 0, 1)) or "hard_sigmoid_keras3" (relu6(x + 3) / 6).
        recurrent_activation: in place of σ, from the same list.
        peephole: whether the gates see the cell state: p_i * c, p_f * c and p_o * c' are added inside their σ. The
            parameters weight_peephole_l0 ... have shape [3H], their gates in the order i, o, f, as ONNX's P.
        masked_output: the output at masked steps unless a call says otherwise: "zero" or "hold".
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of dropout and of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a
            fresh one.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

    Example:
        >>> import numpy as np, pyrnn
        >>> lstm = pyrnn.LSTM(3, 5, num_layers=2, seed=0)
        >>> y, (h, c), pullback = lstm.vjp(np.ones((7, 2, 3), np.float32))
        >>> gradients = pullback(np.ones_like(y))
        >>> gradients.input.shape, gradients.parameters["weight_hh_l1"].shape
        ((7, 2, 3), (20, 5))

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html; Hochreiter & Schmidhuber 1997; the
    forget gate: Gers et al. 2000; the projection: Sak et al. 2014.
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


@known
class GRU(Quantizable):
    """Gated recurrent unit: torch.nn.GRU on NumPy arrays.

    At each step, with σ the logistic sigmoid and * elementwise:

        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    With `reset_after=False`, the form of the original paper:

        n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)

    The rows of each weight and bias hold the gates in the order r, z, n.

    Args:
        input_size: I, the number of features of an input.
        hidden_size: H, the number of hidden units.
        num_layers: L; the output of each layer is the input of the next.
        bias: whether the layers have the biases b_ih and b_hh.
        batch_first: whether sequences are [B,T,*] rather than [T,B,*]. States are [L*D,B,*] in both cases.
        dropout: the probability of zeroing an element of the output of each layer but the last, in training mode.
        bidirectional: whether a second direction reads the sequence from its end: D = 2, else D = 1. The outputs of
            both directions stand side by side.
        reset_after: whether r multiplies after the product with W_hn, as in torch, or before it, as in Keras with
            `reset_after=False` and ONNX with `linear_before_reset=0`. torch cannot express the latter.
        activation: in place of tanh, from the list of `LSTM`.
        recurrent_activation: in place of σ, from the same list.
        masked_output: the output at masked steps unless a call says otherwise: "zero" or "hold".
        dtype: of parameters, inputs and states: float32 or float64.
        seed: of dropout and of the initial parameters, which are drawn from U(-1/sqrt(H), 1/sqrt(H)); None for a
            fresh one.

    Raises:
        TypeError, ValueError: if an argument is of a wrong type or out of range.

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
