"""Drop-ins for torch's recurrent layers, and `accelerate`, which puts them into a model.

`pyrnn.torch.LSTM` is a `torch.nn.LSTM`, with its constructor, attributes, state_dict and initial weights. The kernels
run its calls where they can, and torch runs the others: `explain` says which of the two, and why.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('pyrnn.torch needs torch: pip install "pyrnn-cpu[torch]"') from error

from .accelerate import AccelerateReport, accelerate, explain, restore
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import GRU, LSTM, RNN
from .patched import Patched, patched
from .stream import TensorStream
from .threads import follow_torch

follow_torch()

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AccelerateReport",
    "GRUCell",
    "LSTMCell",
    "Patched",
    "RNNCell",
    "TensorStream",
    "accelerate",
    "explain",
    "patched",
    "restore",
]
