"""The layers around the recurrence on NumPy arrays, with torch's names; a `Sequential` makes a network of them.

from pyrnn import LSTM, nn, train
model = nn.Sequential(LSTM(5, 32, batch_first=True), nn.LastStep(batch_first=True), nn.Linear(32, 1))
train.fit(model, (x, y), epochs=20)       # x: float32 [N,T,5]
model.save("model.safetensors")                 # pyrnn.load reads it
"""

from __future__ import annotations

from pyrnn.core.architecture import build, describe
from pyrnn.core.layers import GRU, LSTM, RNN
from pyrnn.core.linear import Linear
from pyrnn.core.making import LAYERS

from .activations import Activation, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .batchnorm import BatchNorm1d, BatchNorm2d
from .bidirectional import Bidirectional
from .channels_last import ChannelsLast
from .conv import Conv1d, Conv2d
from .dropout import Dropout, SpatialDropout1D
from .embedding import Embedding
from .heads import GlobalAveragePool1d, GlobalMaxPool1d, LastStep
from .masking import Masking
from .norm import LayerNorm
from .pool import AvgPool1d, AvgPool2d, GlobalAveragePool2d, GlobalMaxPool2d, MaxPool1d, MaxPool2d
from .sequential import Sequential
from .shape import Flatten, Permute, RepeatVector, Reshape, Reverse

__all__ = [
    "GRU",
    "LAYERS",
    "LSTM",
    "RNN",
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bidirectional",
    "ChannelsLast",
    "Conv1d",
    "Conv2d",
    "Dropout",
    "Embedding",
    "Flatten",
    "GlobalAveragePool1d",
    "GlobalAveragePool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "LastStep",
    "LayerNorm",
    "Linear",
    "LogSoftmax",
    "Masking",
    "MaxPool1d",
    "MaxPool2d",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Reverse",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SpatialDropout1D",
    "Tanh",
    "build",
    "describe",
]

LAYERS.update({name: globals()[name] for name in __all__ if isinstance(globals()[name], type)})
