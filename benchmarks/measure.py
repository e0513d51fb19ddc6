"""Measures contestants that do the same work: their results are compared, then they are called in turn.

Shared machines drift, the ratio of neighbours does not, so the best time of each in one run is what counts. A fast
wrong answer is a failure, so nothing is timed before the results agree.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyrnn import _core
from pyrnn.checks.arrays import Array

from .case import Case

# Outputs and gradients against pyrnn's, as a fraction of the largest of each array, or of 1 where that is more:
# T <= 100 steps of rounding.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

# Seconds that a contestant is called for before the next one's turn; a call that takes longer is a turn. One call
# of 5 us after another contestant's megabytes would measure the caches that it left. With more threads the turn
# outlasts the workers of the last contestant, who spin for up to 5 ms (libgomp) on a core that this one wants.
TURN, TURN_OF_THREADS = 0.0005, 0.015


@dataclass(frozen=True)
class Contestant:
    """A call to time.

    Attributes:
        call: does the work of a case.
        results: the arrays in what it returned: output, final state, and in training the gradients of input, initial
            state and weights.
    """

    call: Callable[[], Any]
    results: Callable[[Any], Iterable[Array]]


@dataclass(frozen=True)
class Row:
    """What was measured of a case.

    Attributes:
        case: which.
        us: microseconds a call, by contestant, "pyrnn" among them.
        bound_us: the least that this machine allows, None where it was not measured.
        one_thread_us: pyrnn's with one thread, None where it has no more.
    """

    case: Case
    us: Mapping[str, float]
    bound_us: float | None = None
    one_thread_us: float | None = None

    @property
    def peers(self) -> dict[str, float]:
        """The others' microseconds."""
        return {name: us for name, us in self.us.items() if name != "pyrnn"}

    @property
    def best_peer(self) -> str | None:
        """The fastest of them."""
        return min(self.peers, key=self.peers.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the best peer.

        >>> Row(Case("inference", "GRU", 100, 1, 64, 64), {"pyrnn": 2.0, "torch": 9.0, "jax": 5.0}).ratio
        2.5
        """
        return self.over(self.best_peer)

    def over(self, peer: str | None) -> float | None:
        """How many times as fast as a peer; None if it was not there."""
        return self.us[peer] / self.us["pyrnn"] if peer and peer in self.us else None

    @property
    def gflops(self) -> float:
        """Multiplications and additions of pyrnn's matrix products, 10^9 a second."""
        return self.case.flops / self.us["pyrnn"] / 1e3

    @property
    def roofline(self) -> float | None:
        """Share of what this machine allows."""
        return None if self.bound_us is None else self.bound_us / self.us["pyrnn"]

    @property
    def scaling(self) -> float | None:
        """How many times as fast as pyrnn with one thread."""
        return None if self.one_thread_us is None else self.one_thread_us / self.us["pyrnn"]

    def record(self) -> dict[str, Any]:
        """Everything in the row, for JSON."""
        times = {f"{name}_us": us for name, us in self.us.items()}
        ratios = {"best_peer": self.best_peer, "ratio": self.ratio, "ratio_torch": self.over("torch")}
        bound = {"bound_us": self.bound_us, "roofline": self.roofline}
        threads = {"one_thread_us": self.one_thread_us, "scaling": self.scaling}
        return {**asdict(self.case), **times, "gflops": self.gflops, **ratios, **bound, **threads}

    def __str__(self) -> str:
        return str(self.case)


@contextmanager
def only_threads(count: int) -> Iterator[None]:
    """Lets this process use the first `count` of its CPUs and pyrnn so many threads, and in the end as before.

    Libraries that start their threads inside the block start them on these CPUs.
    """
    before = _core.num_threads(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before[1])[:count])
    _core.set_num_threads(count)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before[1])
        _core.set_num_threads(before[0])


def compare(case: Case, results: Mapping[str, Sequence[Array]]) -> None:
    """Raises a RuntimeError unless all hold the arrays of pyrnn, up to rounding."""
    ours = results["pyrnn"]
    for name, theirs in results.items():
        kinds = [", ".join(f"{a.dtype}{list(a.shape)}" for a in arrays) for arrays in (ours, theirs)]
        if kinds[0] != kinds[1]:
            raise RuntimeError(f"{case}: pyrnn returned {kinds[0]}, {name} {kinds[1]}")
        for one, other in zip(ours, theirs, strict=True):
            error = float(np.abs(one - other).max()) / max(1.0, float(np.abs(other).max()))
            if not error <= TOLERANCE[case.dtype]:
                limit = f"{TOLERANCE[case.dtype]:.0e}"
                raise RuntimeError(f"{case}: pyrnn and {name} differ by {error:.1e}, more than {limit}")


def compared(case: Case, contestants: Mapping[str, Contestant]) -> dict[str, Callable[[], float]]:
    """The turns of the contestants, who have called once and agree."""
    compare(case, {name: list(one.results(one.call())) for name, one in contestants.items()})
    return {name: turn(one.call) for name, one in contestants.items()}


def turn(call: Callable[[], Any]) -> Callable[[], float]:
    """Calls for a turn and returns the seconds of the best call."""
    at_least = TURN if _core.num_threads() == 1 else TURN_OF_THREADS

    def best() -> float:
        least, end = float("inf"), time.perf_counter() + at_least
        while True:
            start = time.perf_counter()
            call()
            stop = time.perf_counter()
            least = min(least, stop - start)
            if stop >= end:
                return least

    return best


def on_one_thread(one: Callable[[], float]) -> Callable[[], float]:
    """A turn of pyrnn's with one thread."""

    def best() -> float:
        before = _core.num_threads()
        _core.set_num_threads(1)
        try:
            return one()
        finally:
            _core.set_num_threads(before)

    return best


def best_in_turn(turns: Mapping[Any, Callable[[], float]], seconds: float) -> dict[Any, float]:
    """The best microseconds of each, in rounds of one turn each; three rounds even if they take longer."""
    best = dict.fromkeys(turns, float("inf"))
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for name, one in turns.items():
            best[name] = min(best[name], one())
        rounds += 1
    return {name: least * 1e6 for name, least in best.items()}
