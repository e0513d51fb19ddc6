"""Layers of a live Keras 3 model run on the kernels, in training and inference, if Keras' backend is torch.

`accelerate` changes how GRU, LSTM and SimpleRNN layers compute, and nothing else of a model: its weights, optimizer,
callbacks and files stay Keras' own. For models on other backends, `pyrnn.load(model)` makes a copy for inference.
"""

try:
    import keras as _keras  # noqa: F401
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"pyrnn.keras needs {error.name or 'keras'}: pip install keras torch, and set KERAS_BACKEND=torch before "
        "Keras is imported"
    ) from error

from .accelerate import accelerate, explain, restore

__all__ = ["accelerate", "explain", "restore"]
