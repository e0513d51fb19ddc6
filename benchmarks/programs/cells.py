"""A cell runs step by step in a loop: a training step back through time, or the forward steps alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Loop(nn.Module):
    def __init__(self, kind: str, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = getattr(nn, kind + "Cell")(features, hidden)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        outputs = []
        for step in x:
            state = self.cell(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs)


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that makes one training step."""
    model = Loop(kind, features, hidden)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    x = torch.randn(steps, batch, features, requires_grad=True)  # as if a layer before had made it

    def train() -> None:
        optimizer.zero_grad()
        model(x).mean().backward()
        optimizer.step()

    return model, train


def make_forward(
    kind: str, batch: int, steps: int, features: int, hidden: int
) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that runs its steps without gradients."""
    model = Loop(kind, features, hidden)
    x = torch.randn(steps, batch, features)

    def forward() -> None:
        with torch.no_grad():
            model(x)

    return model, forward
