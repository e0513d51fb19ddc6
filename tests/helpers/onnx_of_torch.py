"""Models of torch, and how torch exports them to ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn


class Tagger(nn.Module):
    """A recurrent layer, a function that takes its outputs or states, and a Linear."""

    def __init__(self, layer: Any, head: Callable[..., Any], width: int) -> None:
        super().__init__()
        self.layer, self.head, self.out = layer, head, nn.Linear(width, 2)

    def forward(self, x: Any) -> Any:
        return self.out(self.head(*self.layer(x)))


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm, self.out = nn.Embedding(11, 3), nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        return torch.softmax(self.out(self.lstm(self.embedding(x))[0].mean(1)), -1)


class Sound(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gru = nn.Conv1d(3, 6, 3, padding=1), nn.GRU(6, 4, batch_first=True)
        self.norm, self.drop = nn.LayerNorm(4), nn.Dropout(0.3)

    def forward(self, x: Any) -> Any:
        y, _ = self.gru(torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2))
        return torch.sigmoid(self.drop(self.norm(torch.tanh(y))))


class Image(nn.Sequential):
    def __init__(self) -> None:
        layers = [nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.ELU()]
        layers += [nn.Conv2d(4, 4, 2, groups=2), nn.AvgPool2d(2, padding=1), nn.LeakyReLU(0.2), nn.Flatten()]
        super().__init__(*layers, nn.Linear(16, 5), nn.BatchNorm1d(5), nn.Softmax(-1))
        for norm in (self[1], self[10]):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "all steps": lambda: Tagger(nn.LSTM(3, 4, batch_first=True), lambda y, h: y, 4),
    "time-major": lambda: Tagger(nn.GRU(3, 4, num_layers=2), lambda y, h: y, 4),
    "the last step": lambda: Tagger(nn.RNN(3, 4, nonlinearity="relu", batch_first=True), lambda y, h: y[:, -1], 4),
    "no biases": lambda: Tagger(nn.GRU(3, 4, bias=False, batch_first=True), lambda y, h: y[:, -1:], 4),
    "both directions": lambda: Tagger(
        nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True), lambda y, h: y[:, -1, :], 8
    ),
    "the last state": lambda: Tagger(nn.LSTM(3, 4, num_layers=2, batch_first=True), lambda y, h: h[0][-1], 4),
    "the last states": lambda: Tagger(
        nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True),
        lambda y, h: torch.cat([h[-2], h[-1]], 1),
        8,
    ),
    "words": Words,
    "sound": Sound,
    "image": Image,
}


def example(model: nn.Module, batch: int, size: int) -> torch.Tensor:
    torch.manual_seed(batch)
    if isinstance(model, Image):
        return torch.randn(batch, 1, 12, 12)
    if isinstance(model, Words):
        return torch.randint(0, 11, (batch, size))
    return torch.randn(batch, size, 3)


def export(model: nn.Module, path: Path, dynamo: bool) -> None:
    """Exports a model by torch, with the first two axes free (one for images)."""
    x, count = example(model, 3, 5), 1 if isinstance(model, Image) else 2
    options: dict[str, Any] = {"dynamo": dynamo, "input_names": ["x"]}
    if dynamo:
        axes = dict.fromkeys(range(count), torch.export.Dim.AUTO)
        options |= {"dynamic_shapes": (axes,), "verbose": False}
    else:
        options |= {"dynamic_axes": {"x": dict(enumerate(["b", "t"][:count]))}, "opset_version": 17}
    with warnings.catch_warnings():  # torch warns of its own exporter, and of the free batch size
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), str(path), **options)
