"""A tagger of Embedding, a bidirectional layer on packed sentences and Linear trains by cross entropy and Adam."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

WORDS, TAGS = 5000, 12


class Tagger(nn.Module):
    def __init__(self, layer: type, features: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, features, padding_idx=0)
        self.rnn = layer(features, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, TAGS)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=words.shape[1])
        return self.head(y)


def make(kind: str, batch: int, steps: int, features: int, hidden: int) -> tuple[nn.Module, Callable[[], None]]:
    """The model, and a function that makes one training step."""
    model = Tagger(getattr(nn, kind), features, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    lengths = torch.randint(max(steps // 3, 1), steps + 1, (batch,))
    lengths[0] = steps
    words, tags = torch.randint(1, WORDS, (batch, steps)), torch.randint(TAGS, (batch, steps))
    is_padding = torch.arange(steps) >= lengths[:, None]
    words[is_padding], tags[is_padding] = 0, -100

    def train() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(words, lengths).flatten(0, 1), tags.flatten()).backward()
        optimizer.step()

    return model, train
