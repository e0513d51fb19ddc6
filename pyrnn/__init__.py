"""The recurrent layers of PyTorch as one small C++ library, on NumPy arrays alone.

import pyrnn
gru = pyrnn.GRU(64, 128, num_layers=2)
gru.load_state_dict(pyrnn.load_state_dict("model.pt"))   # saved by torch.save(model.state_dict(), ...)
y, h = gru(x)                                            # x: float32 [T,B,64]
y, h, pullback = gru.vjp(x)                              # reverse mode
gradients = pullback(dy)                                 # .input .state .parameters
"""

from __future__ import annotations

from ._core import __version__, set_num_threads
from ._core import num_threads as get_num_threads
from .cells import GRUCell, LSTMCell, RNNCell
from .config import show_config
from .from_state_dict import from_state_dict
from .layers import GRU, LSTM, RNN
from .linear import Linear
from .load import load
from .module import Module
from .pullback import Gradients
from .quantized import QuantizationError, Quantized
from .stream import Stream
from .trace import Trace
from .weights import load_state_dict, save_state_dict

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "Gradients",
    "LSTMCell",
    "Linear",
    "Module",
    "QuantizationError",
    "Quantized",
    "RNNCell",
    "Stream",
    "Trace",
    "__version__",
    "from_state_dict",
    "get_num_threads",
    "load",
    "load_state_dict",
    "save_state_dict",
    "set_num_threads",
    "show_config",
]
