"""The recurrent layers of PyTorch as one small C++ library, on NumPy arrays alone.

import pyrnn
gru = pyrnn.GRU(64, 128, num_layers=2)
gru.load_state_dict(pyrnn.load_state_dict("model.pt"))   # saved by torch.save(model.state_dict(), ...)
y, h = gru(x)                                            # x: float32 [T,B,64]
y, h, pullback = gru.vjp(x)                              # reverse mode
gradients = pullback(dy)                                 # .input .state .parameters
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

# Where the names are that `import pyrnn` leaves for their first use: they would double its time. No module may have
# the name of one of them, since an import of that module would put it in place of the function.
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
