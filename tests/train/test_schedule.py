"""Learning-rate schedules give torch's rates, epoch by epoch."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from pyrnn.core.module import Module
from pyrnn.train import SGD, CosineAnnealingLR, ReduceLROnPlateau

EPOCHS = 50
METRICS = np.concatenate([np.geomspace(4, 1, 8), np.full(20, 1.0), [0.99995, 0.5, np.nan], np.full(19, 0.6)])


def torch_optimizer(lr: float) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1)], lr=lr)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 3},
        {"patience": 3, "factor": 0.3, "min_lr": 0.01},
        {"patience": 1, "threshold": 0.2, "threshold_mode": "abs"},
        {"patience": 1, "mode": "max", "threshold": 0.05},
        {"patience": 1, "mode": "max", "threshold": 0.05, "threshold_mode": "abs"},
        {"patience": 0, "eps": 1e-3},
    ],
    ids=str,
)
def test_plateau_follows_torch(options: dict[str, Any]) -> None:
    optimizer, reference = SGD(Module(), lr=0.5), torch_optimizer(0.5)
    ours = ReduceLROnPlateau(optimizer, **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(reference, **options)
    rates = []
    for metric in METRICS:
        ours.step(metric)
        theirs.step(metric)
        rates.append((optimizer.lr, reference.param_groups[0]["lr"]))
    assert len(rates) == EPOCHS
    assert [rate for rate, _ in rates] == [rate for _, rate in rates]
    assert len({rate for rate, _ in rates}) > 1


@pytest.mark.parametrize(("period", "lowest"), [(50, 0.0), (20, 0.01), (7, 0.3), (1, 0.0)])
def test_cosine_follows_torch(period: int, lowest: float) -> None:
    optimizer, reference = SGD(Module(), lr=0.5), torch_optimizer(0.5)
    ours = CosineAnnealingLR(optimizer, T_max=period, eta_min=lowest)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=period, eta_min=lowest)
    for _ in range(EPOCHS):
        ours.step()
        reference.step()
        theirs.step()
        # torch computes each rate from the one before, so that the rounding errors add up.
        assert optimizer.lr == pytest.approx(reference.param_groups[0]["lr"], rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("make", "metric"),
    [
        (lambda optimizer: ReduceLROnPlateau(optimizer, patience=2, cooldown=1), [1.0]),
        (lambda optimizer: CosineAnnealingLR(optimizer, T_max=9), []),
    ],
    ids=["plateau", "cosine"],
)
def test_a_resumed_schedule_gives_the_same_rates(make: Any, metric: list[float]) -> None:
    whole, first = SGD(Module(), lr=0.5), SGD(Module(), lr=0.5)
    through, before = make(whole), make(first)
    for step in range(12):
        through.step(*metric)
        if step < 5:
            before.step(*metric)
    after = make(first)
    after.load_state_dict(before.state_dict())
    for _ in range(7):
        after.step(*metric)
    assert first.lr == whole.lr
    with pytest.raises(ValueError, match="keeps"):
        after.load_state_dict({"best": 1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda optimizer: ReduceLROnPlateau(optimizer, factor=1.0), "factor should be between"),
        (lambda optimizer: ReduceLROnPlateau(optimizer, mode="least"), "mode should be"),
        (lambda optimizer: ReduceLROnPlateau(optimizer, threshold_mode="none"), "threshold_mode should be"),
        (lambda optimizer: CosineAnnealingLR(optimizer, T_max=0), "T_max must be greater than zero"),
    ],
)
def test_a_schedule_refuses_settings_out_of_range(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(SGD(Module(), lr=0.1))


def test_a_schedule_drives_an_optimizer_of_ours() -> None:
    with pytest.raises(TypeError, match="drives a pyrnn optimizer, got SGD"):
        CosineAnnealingLR(torch_optimizer(0.1), T_max=3)  # type: ignore[arg-type]
