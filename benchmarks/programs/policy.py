"""A policy acts with a cell, step by step without gradients, and learns from its episode by REINFORCE."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIONS = 6


class Policy(nn.Module):
    def __init__(self, kind: str, features: int, hidden: int) -> None:
        super().__init__()
        self.cell = getattr(nn, kind + "Cell")(features, hidden)
        self.actor = nn.Linear(hidden, ACTIONS)

    def forward(self, x: Tensor, state: Tensor | tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor | tuple]:
        state = self.cell(x, state)
        return self.actor(state[0] if isinstance(state, tuple) else state), state


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that plays an episode in `batch` environments and makes one training step."""
    model = Policy(kind, features, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    seen, rewards = torch.randn(steps, batch, features), torch.randn(steps, batch)

    def train() -> None:
        actions, state = [], None
        with torch.no_grad():
            for x in seen:
                logits, state = model(x, state)
                actions.append(torch.distributions.Categorical(logits=logits, validate_args=False).sample())
        loss, state = torch.zeros(()), None
        for x, action, reward in zip(seen, actions, rewards, strict=True):
            logits, state = model(x, state)
            loss = loss + (nn.functional.cross_entropy(logits, action, reduction="none") * reward).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return model, train
