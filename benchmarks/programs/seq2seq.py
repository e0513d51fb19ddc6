"""A translator of an encoder and a decoder, which begins with the encoder's state, trains by teacher forcing."""

from collections.abc import Callable

import torch
from torch import nn

WORDS = 2000


class Translator(nn.Module):
    def __init__(self, layer: type, features: int, hidden: int) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(WORDS, features), nn.Embedding(WORDS, features)
        self.encoder = layer(features, hidden, batch_first=True)
        self.decoder = layer(features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, WORDS)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(self.source(source))
        y, _ = self.decoder(self.target(target), state)
        return self.head(y)


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that makes one training step."""
    model = Translator(getattr(nn, kind), features, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    source, target = torch.randint(WORDS, (batch, steps)), torch.randint(WORDS, (batch, steps + 1))

    def train() -> None:
        optimizer.zero_grad()
        logits = model(source, target[:, :-1])
        nn.functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten()).backward()
        optimizer.step()

    return model, train
