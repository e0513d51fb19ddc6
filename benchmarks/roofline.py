"""Measures the limits of this machine, and computes the least time that a case can take on it.

The model counts multiply-adds and reads of weights. It leaves out activations, states, gates and the call from Python,
so no case reaches its bound.

The products come in two kinds:

- Products over many steps: W_ih x, in training its mirror da W_ih, and the gradients of the weights. Rows of all steps
  share the weights, which are read once for BLOCK of them.
- Products within a step: W_hh h, and in training da W_hh. One step waits for the last, so W_hh is read once a step, by
  all rows of the batch together.

A product takes the longer of its multiply-adds at the peak and its reads at the bandwidth of the weights; products
follow one another, so their times add up. At batch 1 that is W_ih x at the peak plus T reads of W_hh, at large batches
all multiply-adds at the peak.

The bandwidth is measured on an array as large as the weights, which is more exact than the level of the cache that
they fit: with 1 MB of L2, 1 MB of weights is read at 160 GB/s, 256 kB at 215, 4 MB at 120 (Zen 5).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from pyrnn import _core
from pyrnn.core.facts import GATES

from .case import Case

BLOCK = 48  # rows of W_ih x that share a read of W_ih (csrc/engine)
DEFAULT_CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 32 << 20}  # if the system does not report them


def cache_sizes() -> dict[str, int]:
    """Bytes of L1 (data), L2 and L3 as the system reports them, or DEFAULT_CACHES.

    >>> list(cache_sizes())
    ['L1', 'L2', 'L3']
    """
    names = {"L1": "SC_LEVEL1_DCACHE_SIZE", "L2": "SC_LEVEL2_CACHE_SIZE", "L3": "SC_LEVEL3_CACHE_SIZE"}
    found = {}
    for level, name in names.items():
        size = os.sysconf(name) if name in os.sysconf_names else 0
        found[level] = size if size > 0 else DEFAULT_CACHES[level]
    return found


class Machine:
    """The limits of `threads` cores, measured by a thread on each at the same time.

    Args:
        threads: the number of threads.
        seconds: the time for each measurement.

    >>> Machine(1, seconds=0.001).gflops > 0
    True
    """

    def __init__(self, threads: int, seconds: float = 0.1) -> None:
        self.threads, self._seconds = threads, seconds
        self.gflops = self._on_all_cores(lambda: _core.fma_gflops(seconds))
        self._read: dict[int, float] = {}

    def gbytes(self, size: int) -> float:
        """The bandwidth, in 10^9 bytes a second, of reads from weights of `size` bytes, shared by the cores.

        A smaller array is never slower than a larger one, so the best measurement of any larger array counts too.
        """
        share = max(4096, size // self.threads)
        if share not in self._read:
            self._read[share] = self._on_all_cores(lambda: _core.read_gbytes(share, self._seconds))
        return max(rate for other, rate in self._read.items() if other >= share)

    def levels(self) -> dict[str, float]:
        """GB/s of L1, L2 and L3, from arrays half as large as they are, and of memory, from one four times L3."""
        sizes = {level: size // 2 for level, size in cache_sizes().items()}
        sizes["L3"] //= self.threads  # shared
        sizes["memory"] = min(4 * cache_sizes()["L3"], 1 << 28) // self.threads
        return {level: self.gbytes(size * self.threads) for level, size in sizes.items()}

    def limits(self) -> dict[str, float]:
        """The peak in GFLOP/s, and the levels in GB/s."""
        return {"GFLOP/s": self.gflops, **self.levels()}

    def _on_all_cores(self, measure: Callable[[], float]) -> float:
        with ThreadPoolExecutor(self.threads) as pool:
            return sum(pool.map(lambda _: measure(), range(self.threads)))

    def bound_us(self, case: Case) -> float:
        """The least microseconds that a case of float32 can take."""
        column = 4 * len(GATES[case.cell]) * case.hidden  # bytes of a column of weights
        w_ih, w_hh, rows = column * case.input, column * case.hidden, case.steps * case.batch
        across = self._product_us(rows, w_ih, math.ceil(rows / BLOCK), w_ih + w_hh)
        # A single step reads all of W_ih and W_hh between two uses of either.
        resident = w_hh if case.steps > 1 else w_ih + w_hh
        within = case.steps * self._product_us(case.batch, w_hh, 1, resident)
        if case.task != "training":
            return across + within
        return 2 * (across + within) + self._product_us(rows, w_ih + w_hh, 0, w_ih + w_hh)

    def _product_us(self, rows: int, weights: int, reads: int, resident: int) -> float:
        """The time of [rows,K] times weights of so many bytes, read so often; `resident` bytes set the bandwidth."""
        return max(2 * rows * weights / 4 / self.gflops, reads * weights / self.gbytes(resident)) / 1e3


@lru_cache
def measured(threads: int) -> Machine:
    """The machine, which is measured once a process."""
    return Machine(threads)
