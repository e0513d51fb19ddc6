"""RNN, LSTM and GRU in a form that torch.compile can trace.

Dynamo refuses every instance of torch's three classes, and of subclasses, unless `torch._dynamo.config.allow_rnn` is
set for the whole program. torch 2.13 then compiles its own layers too, and raises where these are trained, so the flag
is left to the user. `accelerate(model, traceable=True)` puts one of two kinds of classes into a model:

- Without the flag OTHERS: the same drop-ins, derived from torch's common base class, so `isinstance(m, nn.LSTM)` is
  False. A `__class__` that says otherwise would not do, because dynamo answers a traced `isinstance` with a tuple of
  classes from the type itself: a model would take one branch in a graph, and another outside.
- With it ALLOWED, subclasses of torch's classes.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.rnn import RNNBase

from .layers import RecurrentDropIn


class Traceable(RecurrentDropIn):
    """Base class of the three: its own `forward` gives dynamo a function that it does not skip."""

    def forward(self, input: Any, hx: Any = None, **keywords: Any) -> Any:
        return super().forward(input, hx, **keywords)


class RNN(Traceable, RNNBase):
    """`pyrnn.torch.RNN` for torch.compile."""

    _original = nn.RNN
    activation = None


class LSTM(Traceable, RNNBase):
    """`pyrnn.torch.LSTM` for torch.compile."""

    _original = nn.LSTM
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    check_forward_args = nn.LSTM.check_forward_args  # type: ignore[assignment]
    permute_hidden = nn.LSTM.permute_hidden  # type: ignore[assignment]


class GRU(Traceable, RNNBase):
    """`pyrnn.torch.GRU` for torch.compile."""

    _original = nn.GRU


OTHERS: tuple[type[RecurrentDropIn], ...] = (RNN, LSTM, GRU)
ALLOWED: tuple[type[RecurrentDropIn], ...] = tuple(
    type(kind.__name__, (Traceable, kind._original), {"_original": kind._original, "activation": kind.activation})
    for kind in OTHERS
)
