"""Drop-ins for torch's recurrent layers, and `accelerate`, which puts them into a model.

`pyrnn.torch.LSTM` is a `torch.nn.LSTM` (constructor, attributes, state_dict, initial weights) whose calls the
kernels run where they can, and torch itself elsewhere: `explain` says which, and why.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError('pyrnn.torch needs torch: pip install "pyrnn-cpu[torch]"') from error

from .accelerate import Report, accelerate, explain, restore
from .cells import GRUCell, LSTMCell, RNNCell
from .layers import GRU, LSTM, RNN
from .stream import Stream
from .threads import follow_torch

follow_torch()

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Report",
    "Stream",
    "accelerate",
    "explain",
    "restore",
]
