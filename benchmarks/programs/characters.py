"""A model of characters trains by truncated back-propagation; each piece of text begins with the state of the last."""

from collections.abc import Callable, Iterator

import torch
from torch import nn

LETTERS, PIECES = 96, 4


class Characters(nn.Module):
    def __init__(self, layer: type, features: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, features)
        self.rnn = layer(features, hidden)
        self.head = nn.Linear(hidden, LETTERS)

    def forward(self, letters: torch.Tensor, state: object) -> tuple[torch.Tensor, object]:
        y, state = self.rnn(self.embedding(letters), state)
        return self.head(y), state


def detached(state: object) -> object:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that makes one training step, on a piece of `steps` letters."""
    model = Characters(getattr(nn, kind), features, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    text = torch.randint(LETTERS, (PIECES * steps + 1, batch))

    def training() -> Iterator[None]:
        while True:
            state = None
            for first in range(0, PIECES * steps, steps):
                optimizer.zero_grad()
                logits, state = model(text[first : first + steps], state)
                state = detached(state)
                target = text[first + 1 : first + steps + 1]
                nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                yield

    pieces = training()
    return model, lambda: next(pieces)
