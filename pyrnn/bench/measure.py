"""Measures two contestants that do the same work: their results are compared, then they are called in turn.

Shared machines drift, the ratio of neighbours does not, so the best time of each in one run is what counts. A fast
wrong answer is a failure, so nothing is timed before the results agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import _core
from ..module import Array

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}

# Outputs and gradients against torch, as a fraction of the largest of each array, or of 1 where that is more: T <= 100
# steps of rounding.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

Contestant = Callable[[], Any]  # returns arrays or tensors, in nested tuples and lists


@dataclass(frozen=True)
class Case:
    """One line to measure.

    Attributes:
        task: "inference", or "training": forward, and backward to the gradients of inputs, states and weights.
        cell: name of a class of torch.nn.
        steps: T.
        batch: B.
        input: I.
        hidden: H.
        dtype: "float32" or "float64".
        packed: whether the input is a PackedSequence.
    """

    task: str
    cell: str
    steps: int
    batch: int
    input: int
    hidden: int
    dtype: str = "float32"
    packed: bool = False

    @property
    def size(self) -> str:
        """T,B,I,H.

        >>> Case("training", "GRU", 100, 8, 64, 128).size
        '100,8,64,128'
        """
        return f"{self.steps},{self.batch},{self.input},{self.hidden}"

    @property
    def form(self) -> str:
        """The dtype, and whether the sequences are packed."""
        return f"{self.dtype} packed" if self.packed else self.dtype

    def __str__(self) -> str:
        return f"{self.task} {self.cell} {self.size} {self.form}"

    def lengths(self) -> NDArray[np.int64]:
        """Steps of each sequence, [B]: T, or where they are packed drawn from T/4 to T, always the same ones."""
        if not self.packed:
            return np.full(self.batch, self.steps)
        rng = np.random.default_rng(0)
        return rng.integers(max(1, self.steps // 4), self.steps, self.batch, endpoint=True)

    def draw(self) -> tuple[Array, Array]:
        """Input [T,B,I] and gradient of the output [T,B,H], always the same ones."""
        rng = np.random.default_rng(0)
        x, dy = (rng.standard_normal((self.steps, self.batch, width)) for width in (self.input, self.hidden))
        return x.astype(self.dtype), dy.astype(self.dtype)


@dataclass(frozen=True)
class Row:
    """What was measured of a case, in microseconds a call."""

    case: Case
    pyrnn_us: float
    torch_us: float

    @property
    def ratio(self) -> float:
        """How many times as fast as torch."""
        return self.torch_us / self.pyrnn_us

    @property
    def gflops(self) -> float:
        """Multiplications and additions of pyrnn's matrix products, 10^9 a second; backward counts twice forward."""
        case = self.case
        weights = GATES[case.cell.removesuffix("Cell")] * case.hidden * (case.input + case.hidden)
        products = int(case.lengths().sum()) * (3 if case.task == "training" else 1)
        return 2 * weights * products / self.pyrnn_us / 1e3


@contextmanager
def only_threads(count: int) -> Iterator[None]:
    """Lets pyrnn and torch use `count` threads, and in the end as many as before."""
    before = _core.num_threads(), torch.get_num_threads()
    _core.set_num_threads(count)
    torch.set_num_threads(count)
    try:
        yield
    finally:
        _core.set_num_threads(before[0])
        torch.set_num_threads(before[1])


def measure(
    cases: Iterable[Case], contestants: Callable[[Case], tuple[Contestant, Contestant]], seconds: float
) -> Iterator[Row]:
    """Measures case by case.

    Args:
        cases: what to measure.
        contestants: makes pyrnn's and torch's call of a case.
        seconds: to spend on a case; three rounds are made even if they take longer.

    Raises:
        RuntimeError: if the results of the two differ.
    """
    for case in cases:
        ours, theirs = contestants(case)
        with torch.inference_mode(case.task == "inference"):
            compare(ours(), theirs(), case)
            times = _best_in_turn(ours, theirs, seconds)
        yield Row(case, *times)


def compare(ours: Any, theirs: Any, case: Case) -> None:
    """Raises a RuntimeError unless both hold the same arrays, up to rounding."""
    pairs = list(_arrays(ours)), list(_arrays(theirs))
    kinds = [", ".join(f"{array.dtype}{list(array.shape)}" for array in arrays) for arrays in pairs]
    if kinds[0] != kinds[1]:
        raise RuntimeError(f"{case}: pyrnn returned {kinds[0]}, torch {kinds[1]}")
    for one, other in zip(*pairs, strict=True):
        error = float(np.abs(one - other).max()) / max(1.0, float(np.abs(other).max()))
        if not error <= TOLERANCE[case.dtype]:
            raise RuntimeError(f"{case}: pyrnn and torch differ by {error:.1e}, more than {TOLERANCE[case.dtype]:.0e}")


def _arrays(result: Any) -> Iterator[Array]:
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from _arrays(part)
    else:
        yield result.detach().numpy() if isinstance(result, torch.Tensor) else result


def _best_in_turn(ours: Contestant, theirs: Contestant, seconds: float) -> tuple[float, float]:
    best = [float("inf"), float("inf")]
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for i, run in enumerate((ours, theirs)):
            start = time.perf_counter()
            run()
            best[i] = min(best[i], time.perf_counter() - start)
        rounds += 1
    return best[0] * 1e6, best[1] * 1e6
