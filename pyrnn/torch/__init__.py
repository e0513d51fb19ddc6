"""Drop-ins for torch's recurrent layers, and `accelerate`, which puts them into a model.

`pyrnn.torch.LSTM` is a `torch.nn.LSTM`, with its constructor, attributes, state_dict and initial weights. The kernels
run its calls where they can, and torch runs the others: `explain` says which of the two, and why.
"""

try:
    import torch as _torch
except ImportError as error:
    raise ImportError('pyrnn.torch needs torch: pip install "pyrnn-cpu[torch]"') from error

from .accelerate import accelerate, explain, restore
from .cells import GRUCell, LSTMCell, RNNCell
from .counters import Stats, stats
from .layers import GRU, LSTM, RNN
from .measure import Measurement, Timing, measure
from .patched import Patched, patched
from .private import warn_if_untested
from .report import AccelerateReport
from .stream import TensorStream
from .threads import follow_torch

follow_torch()
warn_if_untested(_torch.__version__)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AccelerateReport",
    "GRUCell",
    "LSTMCell",
    "Measurement",
    "Patched",
    "RNNCell",
    "Stats",
    "TensorStream",
    "Timing",
    "accelerate",
    "explain",
    "measure",
    "patched",
    "restore",
    "stats",
]
