"""The models that the C library's tests run: some for streams, some that look ahead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrnn
from pyrnn import nn
from pyrnn.nn.activations import BACKWARD

SEED: dict[str, Any] = {"seed": 1}


def causal(channels: int, outputs: int, kernel: int, dilation: int = 1, **options: Any) -> nn.ChannelsLast:
    padding = [(dilation * (kernel - 1), 0)]
    return nn.ChannelsLast(nn.Conv1d(channels, outputs, kernel, 1, padding, dilation, **options, **SEED))


def chain() -> nn.Sequential:
    """A network of every layer that the library has, except Embedding."""
    inner = nn.Sequential({"out": nn.Linear(6, 4, **SEED), "relu": nn.ReLU()})
    return nn.Sequential(
        {
            "tanh": nn.Tanh(),
            "conv": causal(3, 4, 3, 2),
            "drop": nn.Dropout(0.5),
            "channels": nn.SpatialDropout1D(0.5, batch_first=True),
        }
        | {"über": pyrnn.GRU(4, 8, num_layers=2, dropout=0.5, batch_first=True, **SEED)}
        | {"lstm": pyrnn.LSTM(8, 6, batch_first=True, **SEED), "in": inner}
        | {"linear": nn.Linear(4, 5, bias=False, **SEED), "soft": nn.Softmax()}
        | {"s": nn.Sigmoid(), "same": nn.Activation("linear"), "act": nn.Activation("tanh")}
    )


def of_indices(mask_zero: bool, **options: Any) -> nn.Sequential:
    return nn.Sequential(
        nn.Embedding(7, 5, mask_zero=mask_zero, **SEED), pyrnn.GRU(5, 6, 2, batch_first=True, **options, **SEED),
        nn.Tanh(), pyrnn.LSTM(6, 4, batch_first=True, **SEED), causal(4, 3, 2),
        pyrnn.RNN(3, 2, batch_first=True, **SEED),
    )  # fmt: skip


def elementwise() -> nn.Sequential:
    """A network of every activation that the library has."""
    names = [name for name in BACKWARD if name not in ("softplus", "gelu")]
    layers = [layer for name in names for layer in (nn.Linear(3, 3, **SEED), nn.Activation(name))]
    return nn.Sequential(*layers, nn.Activation("elu", alpha=0.3), nn.Activation("leaky_relu", alpha=0.3))


HARD: dict[str, Any] = {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras2"}
MODELS: dict[str, Callable[[], pyrnn.Module]] = {
    "RNN": lambda: pyrnn.RNN(3, 17, **SEED),
    "RNN relu, 2 layers": lambda: pyrnn.RNN(3, 17, 2, nonlinearity="relu", **SEED),
    "RNN without biases": lambda: pyrnn.RNN(3, 8, bias=False, **SEED),
    "RNN of sigmoids": lambda: pyrnn.RNN(3, 5, activation="sigmoid", bias=False, **SEED),
    "LSTM, 3 layers": lambda: pyrnn.LSTM(3, 17, num_layers=3, **SEED),
    "LSTM, projected, with peepholes": lambda: pyrnn.LSTM(3, 17, 2, proj_size=5, peephole=True, **SEED),
    "LSTM without biases": lambda: pyrnn.LSTM(3, 8, bias=False, **SEED),
    "LSTM, hard": lambda: pyrnn.LSTM(3, 5, bias=False, **HARD, **SEED),
    "GRU": lambda: pyrnn.GRU(3, 17, batch_first=False, **SEED),
    "GRU of the paper": lambda: pyrnn.GRU(3, 17, 2, reset_after=False, **SEED),
    "GRU without biases": lambda: pyrnn.GRU(3, 8, bias=False, **SEED),
    "GRU, hard": lambda: pyrnn.GRU(3, 5, bias=False, **HARD, **SEED),
    "wide GRU": lambda: pyrnn.GRU(3, 300, **SEED),  # wide enough for several threads in Python
    "GRU and Linear": lambda: nn.Sequential(pyrnn.GRU(3, 40, **SEED), nn.Linear(40, 2, **SEED)),
    "Linear": lambda: nn.Linear(3, 5, **SEED),
    "Linear without bias": lambda: nn.Linear(3, 5, bias=False, **SEED),
    "Conv1d": lambda: causal(3, 4, 5),
    "Conv1d with holes and groups": lambda: causal(3, 6, 4, 3, groups=3, bias=False),
    "Conv1d of one place": lambda: causal(3, 2, 1),
    "long Conv1d": lambda: causal(3, 2, 30, 3),  # longer than the block that runs at once
    "every activation": elementwise,
    "Softmax": lambda: nn.Sequential(nn.Linear(3, 19, **SEED), nn.Softmax(2)),
    "chain": chain,
}
# Models of indices; then models that look ahead, which run on whole sequences alone.
INDEXED: dict[str, Callable[[], nn.Sequential]] = {
    "Embedding": lambda: of_indices(False),
    "Embedding that masks": lambda: of_indices(True),
    "Embedding that masks, outputs held": lambda: of_indices(True, masked_output="hold"),
}
AHEAD: dict[str, Callable[[], pyrnn.Module]] = {
    "bidirectional GRU": lambda: pyrnn.GRU(3, 9, 2, bidirectional=True, **SEED),
    "bidirectional LSTM": lambda: pyrnn.LSTM(3, 9, 2, bidirectional=True, proj_size=4, **SEED),
    "bidirectional RNN": lambda: pyrnn.RNN(3, 9, bidirectional=True, bias=False, **SEED),
    "Conv1d, same": lambda: nn.ChannelsLast(nn.Conv1d(3, 4, 4, padding="same", dilation=3, **SEED)),
    "Conv1d, padded": lambda: nn.ChannelsLast(nn.Conv1d(3, 4, 5, padding=2, **SEED)),
    "Conv1d of the future": lambda: nn.ChannelsLast(nn.Conv1d(3, 4, 5, padding=[(0, 4)], **SEED)),
}


# Layers that are saved alone; streams run all but the last one.
ALONE: dict[str, Callable[[], pyrnn.Module]] = {
    "RNN": MODELS["RNN"],
    "LSTM": MODELS["LSTM, projected, with peepholes"],
    "GRU": lambda: pyrnn.GRU(3, 9, 2, batch_first=False, masked_output="hold", **SEED),
    "Linear": MODELS["Linear"],
    "ChannelsLast": lambda: causal(3, 4, 5),
    "bidirectional": AHEAD["bidirectional LSTM"],
}


def saved(name: str, folder: Path) -> tuple[nn.Sequential, Path]:
    made = (MODELS | INDEXED | AHEAD)[name]()
    model = made if isinstance(made, nn.Sequential) else nn.Sequential(made)
    model.save(folder / "model.safetensors")
    return model.eval(), folder / "model.safetensors"
