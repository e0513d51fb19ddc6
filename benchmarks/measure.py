"""Measures contestants that do the same work: it compares their results, then calls them in turn.

The speed of a shared machine drifts, but ratios of times that are measured in turn do not, so the best time of each in
one run counts. A fast wrong answer is a failure, so nothing is timed before the results agree.
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

# The tolerance of outputs and gradients is a fraction of the largest number of each array, or of 1 if that is larger.
# T <= 100 steps add up their rounding errors.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}

# A turn calls a contestant for so many seconds, at least once. One call of 5 us would measure the caches that another
# contestant left. With several threads the turn outlasts the workers of the last contestant, which spin for up to 5 ms
# (libgomp) on a core that this one needs.
TURN, TURN_OF_THREADS = 0.0005, 0.015


@dataclass(frozen=True)
class Contestant:
    """A call to time.

    Attributes:
        call: does the work of a case.
        results: returns the arrays of a call: output, final state, and in training the gradients of input, initial
            state and weights.
    """

    call: Callable[[], Any]
    results: Callable[[Any], Iterable[Array]]


@dataclass(frozen=True)
class Row:
    """The measurements of a case.

    Attributes:
        case: the case.
        us: microseconds a call, by contestant, "pyrnn" among them.
        bound_us: the least time that this machine allows, None if it was not measured.
        one_thread_us: pyrnn's time with one thread, None if it has only one.
    """

    case: Case
    us: Mapping[str, float]
    bound_us: float | None = None
    one_thread_us: float | None = None

    @property
    def peers(self) -> dict[str, float]:
        """The microseconds of the peers."""
        return {name: us for name, us in self.us.items() if name != "pyrnn"}

    @property
    def best_peer(self) -> str | None:
        """The name of the fastest peer."""
        return min(self.peers, key=self.peers.__getitem__, default=None)

    @property
    def ratio(self) -> float | None:
        """The speed-up over the best peer.

        >>> Row(Case("inference", "GRU", 100, 1, 64, 64), {"pyrnn": 2.0, "torch": 9.0, "jax": 5.0}).ratio
        2.5
        """
        return self.over(self.best_peer)

    def over(self, peer: str | None) -> float | None:
        """The speed-up over a peer, None if it was not measured."""
        return self.us[peer] / self.us["pyrnn"] if peer and peer in self.us else None

    @property
    def gflops(self) -> float:
        """Multiplications and additions of pyrnn's matrix products, in 10^9 a second."""
        return self.case.flops / self.us["pyrnn"] / 1e3

    @property
    def roofline(self) -> float | None:
        """The share of the machine's limit that pyrnn reaches."""
        return None if self.bound_us is None else self.bound_us / self.us["pyrnn"]

    @property
    def scaling(self) -> float | None:
        """The speed-up over pyrnn with one thread."""
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
    """Restricts this process to the first `count` of its CPUs and pyrnn to so many threads, then restores both.

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
    """Raises RuntimeError unless all results equal those of pyrnn, up to rounding."""
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
    """Calls each contestant once, compares the results, and returns the contestants' turns."""
    compare(case, {name: list(one.results(one.call())) for name, one in contestants.items()})
    return {name: turn(one.call) for name, one in contestants.items()}


def turn(call: Callable[[], Any]) -> Callable[[], float]:
    """A function that calls for a turn and returns the seconds of the best call."""
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
    """A turn of pyrnn with one thread."""

    def best() -> float:
        before = _core.num_threads()
        _core.set_num_threads(1)
        try:
            return one()
        finally:
            _core.set_num_threads(before)

    return best


def best_in_turn(turns: Mapping[Any, Callable[[], float]], seconds: float) -> dict[Any, float]:
    """The best microseconds of each, in rounds of a turn each; there are three rounds even if they take longer."""
    best = dict.fromkeys(turns, float("inf"))
    end = time.perf_counter() + seconds
    rounds = 0
    while rounds < 3 or time.perf_counter() < end:
        for name, one in turns.items():
            best[name] = min(best[name], one())
        rounds += 1
    return {name: least * 1e6 for name, least in best.items()}
