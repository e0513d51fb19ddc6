"""Computes the recurrent layers of PyTorch on NumPy arrays, with one small C++ library.

The shapes below are [T,B,*]: time, batch, features. `pyrnn.load_state_dict("model.pt")` reads the weights that
`torch.save(model.state_dict(), "model.pt")` wrote, and `gru.load_state_dict` takes them.

>>> import numpy as np, pyrnn
>>> gru = pyrnn.GRU(64, 128, num_layers=2)
>>> x = np.zeros((10, 8, 64), np.float32)
>>> y, h = gru(x)
>>> y.shape, h.shape
((10, 8, 128), (2, 8, 128))
>>> y, h, pullback = gru.vjp(x)
>>> gradients = pullback(np.ones_like(y))
>>> gradients.input.shape, gradients.parameters["weight_ih_l0"].shape
((10, 8, 64), (384, 64))

Source: https://docs.pytorch.org/docs/stable/nn.html#recurrent-layers
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._core import __version__, set_num_threads
from ._core import num_threads as get_num_threads
from .core.layers import GRU, LSTM, RNN
from .core.linear import Linear
from .core.module import Module
from .core.pullback import Gradients

if TYPE_CHECKING:
    from .core.cells import GRUCell, LSTMCell, RNNCell
    from .core.config import show_config
    from .core.quantized import QuantizationError, Quantized
    from .core.stream import Stream
    from .core.trace import Trace
    from .io.from_weights import from_state_dict
    from .io.loading import load
    from .weights.files import load_state_dict, save_state_dict

# These names are imported at their first use, from these modules; importing them with pyrnn would double its time. No
# module may be named like one of them, since an import of that module would replace the function.
_LATER = {
    "GRUCell": "core.cells",
    "LSTMCell": "core.cells",
    "QuantizationError": "core.quantized",
    "Quantized": "core.quantized",
    "RNNCell": "core.cells",
    "Stream": "core.stream",
    "Trace": "core.trace",
    "from_state_dict": "io.from_weights",
    "load": "io.loading",
    "load_state_dict": "weights.files",
    "save_state_dict": "weights.files",
    "show_config": "core.config",
}

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


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'pyrnn' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"pyrnn.{_LATER[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
