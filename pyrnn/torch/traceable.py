"""RNN, LSTM and GRU as torch.compile can trace them.

Dynamo refuses every instance of torch's three classes, subclasses too, unless `torch._dynamo.config.allow_rnn` is set
for the whole program. These are the same drop-ins under torch's common base class: `isinstance(m, nn.LSTM)` is False.
`accelerate(model, traceable=True)` puts them into a model.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.rnn import RNNBase

from .layers import Layer


class Traceable(Layer):
    """What the three share: a frame that dynamo does not skip."""

    def forward(self, input: Any, hx: Any = None, **keywords: Any) -> Any:
        return super().forward(input, hx, **keywords)


class RNN(Traceable, RNNBase):
    """`pyrnn.torch.RNN`, traceable."""

    _original = nn.RNN
    activation = None


class LSTM(Traceable, RNNBase):
    """`pyrnn.torch.LSTM`, traceable."""

    _original = nn.LSTM
    get_expected_cell_size = nn.LSTM.get_expected_cell_size
    check_forward_args = nn.LSTM.check_forward_args  # type: ignore[assignment]
    permute_hidden = nn.LSTM.permute_hidden  # type: ignore[assignment]


class GRU(Traceable, RNNBase):
    """`pyrnn.torch.GRU`, traceable."""

    _original = nn.GRU
