"""A character language model of Python's own manual, by truncated back-propagation through time."""

from __future__ import annotations

from pydoc_data.topics import topics  # the language reference as `help()` shows it: half a million characters
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import pyrnn.torch

TEXT = "\n".join(topics.values())
LETTERS = sorted(set(TEXT))


class Model(nn.Module):
    """Embedding, LSTM, and a score for every next character."""

    def __init__(self, kind: type[nn.LSTM] = pyrnn.torch.LSTM, hidden_size: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 32)
        self.rnn = kind(32, hidden_size)
        self.head = nn.Linear(hidden_size, len(LETTERS))

    def forward(self, letters: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Scores [T,B,letters] of what follows letters [T,B], and the state (h, c) after them."""
        output, state = self.rnn(self.embedding(letters), state)
        return self.head(output), state


def encode(text: str) -> Tensor:
    places = {letter: i for i, letter in enumerate(LETTERS)}
    return torch.tensor([places[letter] for letter in text])


def unigram_entropy(letters: Tensor) -> float:
    """The loss, in nats a character, of a model that knows only how often each character occurs."""
    p = letters.bincount() / len(letters)
    return torch.special.entr(p).sum().item()


def train(model: nn.Module, letters: Tensor, steps: int, length: int = 64, batch: int = 32) -> list[float]:
    """Trains on `batch` streams side by side, `length` characters a step, and returns the loss of every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    columns = letters[: len(letters) // batch * batch].view(batch, -1).T
    chunks = (len(columns) - 1) // length
    losses = []
    state = None
    for step in range(steps):
        start = step % chunks * length
        if start == 0:
            state = None
        scores, state = model(columns[start : start + length], state)
        state = tuple(part.detach() for part in state)  # carries the state on and cuts its gradient
        loss = cross_entropy(scores.flatten(0, 1), columns[start + 1 : start + length + 1].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.inference_mode()
def sample(model: nn.Module, start: str = "\n", length: int = 80) -> str:
    """Draws `length` characters that follow `start`, by one call of the model each."""
    scores, state = model(encode(start)[:, None])
    drawn = []
    for _ in range(length):
        letter = torch.multinomial(scores[-1].softmax(-1), 1)
        drawn.append(LETTERS[letter.item()])
        scores, state = model(letter, state)
    return "".join(drawn)


def main(steps: int = 600, seed: int = 0) -> list[float]:
    """Trains, prints a few drawn lines, and returns the losses."""
    torch.manual_seed(seed)
    letters = encode(TEXT)
    model = Model()
    losses = train(model, letters, steps)
    for step in range(0, steps, max(1, steps // 10)):
        print(f"step {step:4}: {losses[step]:.3f} nats a character")
    print(f"last: {losses[-1]:.3f}; knowing only how often each character occurs: {unigram_entropy(letters):.3f}")
    print(sample(model, "The ", 240))
    return losses


if __name__ == "__main__":
    main()
