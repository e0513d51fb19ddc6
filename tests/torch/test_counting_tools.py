"""Tools that describe a model see in an accelerated one what they saw before, or docs/torch.md names them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import pyrnn.torch as drop_in


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.LSTM(8, 16, 2, batch_first=True)
        self.cell = nn.GRUCell(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.cell(self.encoder(x)[0][:, -1])
        return found


def models() -> tuple[nn.Module, nn.Module]:
    """A model on torch's modules, and one on the drop-ins."""
    return Tagger(), drop_in.accelerate(Tagger()).model


def test_torchinfo_shows_the_same_summary() -> None:
    torchinfo = pytest.importorskip("torchinfo")
    summaries = [str(torchinfo.summary(model, input_size=(2, 7, 8), verbose=0)) for model in models()]
    assert summaries[0] == summaries[1]


def test_torchs_counter_of_operations_counts_the_same() -> None:
    found = []
    for model in models():
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(2, 7, 8))
        found.append(counter.get_total_flops())
    assert found[0] == found[1] > 0


def test_thop_counts_the_same_after_restore() -> None:
    thop = pytest.importorskip("thop")
    theirs, ours = models()
    drop_in.restore(ours)
    counts = [thop.profile(model, (torch.zeros(2, 7, 8),), verbose=False) for model in (theirs, ours)]
    assert counts[0] == counts[1]
