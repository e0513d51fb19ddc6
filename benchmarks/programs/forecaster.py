"""A forecaster of Linear, a recurrent layer and Linear trains by Adam on the squared error of the next value."""

from collections.abc import Callable

import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, layer: type, features: int, hidden: int) -> None:
        super().__init__()
        self.scale = nn.Linear(features, features)
        self.rnn = layer(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(torch.relu(self.scale(x)))
        return self.head(y)


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that makes one training step."""
    model = Forecaster(getattr(nn, kind), features, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    x, y = torch.randn(batch, steps, features), torch.randn(batch, steps, 1)

    def train() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()

    return model, train
