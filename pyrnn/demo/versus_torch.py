"""Runs the trained weights in torch.nn too, and compares outputs and times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pyrnn import get_num_threads, set_num_threads
from pyrnn.checks.arrays import Array
from pyrnn.train import AdamW, mse_loss

from .data import DAY, FEATURES, DemoPart
from .model import HIDDEN, Forecaster

BATCH = 64  # The timed training step has this batch.
TAKES = 7  # The best of this many runs counts.


def torch_lines(model: Forecaster, weights: Path, train: DemoPart, test: DemoPart) -> list[str]:
    """Returns sentences on the same model in torch, loaded from a `.pt` file, or one sentence if torch is missing."""
    try:
        import torch
    except ImportError:
        return ["torch is not installed, so there is no comparison with it; pyrnn does not need it."]
    twin = _torch_model(torch)
    twin.load_state_dict(torch.load(weights, weights_only=True))
    with _one_thread(torch):
        ours, theirs = _inference(torch, model, twin, test)
        difference = float(np.abs(ours() - theirs().numpy()).max())
        inference = _best_times(ours, theirs)
        step = _best_times(*_training_step(torch, model, twin, train))
    return [
        f"torch {torch.__version__} loads model.pt into nn.GRU + nn.Linear; on the test its outputs, of size "
        f"{np.abs(ours()).max():.1f} at most, differ by {difference:.1e} at most.",
        f"Time, one thread each, best of {TAKES}, taken in turns:",
        _times(f"{len(test.start)} forecasts", *inference),
        _times(f"a training step of {BATCH}", *step),
    ]


def _torch_model(torch: Any) -> Any:
    class TorchForecaster(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(FEATURES, HIDDEN, batch_first=True)
            self.head = torch.nn.Linear(HIDDEN, DAY)

        def forward(self, x: Any) -> Any:
            _, state = self.gru(x)
            return self.head(state[-1])

    return TorchForecaster()


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    before = get_num_threads(), torch.get_num_threads()
    set_num_threads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        set_num_threads(before[0])
        torch.set_num_threads(before[1])


def _inference(torch: Any, model: Forecaster, twin: Any, test: DemoPart) -> tuple[Callable[[], Array], Any]:
    x = torch.from_numpy(test.inputs)

    def theirs() -> Any:
        with torch.inference_mode():
            return twin(x)

    return lambda: model(test.inputs), theirs


def _training_step(torch: Any, model: Forecaster, twin: Any, train: DemoPart) -> tuple[Callable[[], None], Any]:
    """Makes one step of AdamW on both sides; it works on copies, so the caller's model does not change."""
    copy = Forecaster(seed=0)
    copy.load_state_dict(model.parameters())
    optimizer, torch_optimizer = AdamW(copy), torch.optim.AdamW(twin.parameters())
    x, target = train.inputs[:BATCH], train.targets[:BATCH]
    torch_x, torch_target = torch.from_numpy(x), torch.from_numpy(target)

    def ours() -> None:
        y, _, pullback = copy.vjp(x)
        optimizer.step(pullback(mse_loss(y, target)[1]).parameters)

    def theirs() -> None:
        torch_optimizer.zero_grad()
        torch.nn.functional.mse_loss(twin(torch_x), torch_target).backward()
        torch_optimizer.step()

    return ours, theirs


def _best_times(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float]:
    """Returns the seconds of each, measured in turns, so that a busy moment of the machine hits both."""
    best = [float("inf"), float("inf")]
    for _ in range(TAKES):
        for side, call in enumerate((ours, theirs)):
            started = time.perf_counter()
            call()
            best[side] = min(best[side], time.perf_counter() - started)
    return best[0], best[1]


def _times(what: str, ours: float, theirs: float) -> str:
    word = "faster" if ours < theirs else "slower"
    ratio = max(ours, theirs) / min(ours, theirs)
    times = f"pyrnn {1e3 * ours:7.2f} ms   torch {1e3 * theirs:7.2f} ms"
    return f"  {what:<22} {times}   pyrnn {ratio:.1f} times {word}"
