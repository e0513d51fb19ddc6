"""`stats` counts the calls that the kernels and torch ran, in all threads."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass

from pyrnn.checks.arguments import check_bools

MOST_REASONS = 100  # reasons name shapes and devices, so there is no end of them
OTHER = "other reasons"
_lock = threading.Lock()


class Counter:
    """Counts up from 0. `up` is one C function, which no other thread interrupts: it needs no lock and takes 35 ns."""

    def __init__(self) -> None:
        self.up = itertools.count().__next__
        self._others = 0  # how often `up` was called to read the number, and the number at the last reset

    def read(self, reset: bool = False) -> int:
        """Returns the number. The caller holds the lock."""
        number = self.up() - self._others
        self._others += 1 + (number if reset else 0)
        return number


_kernels = Counter()
_torch: dict[str, Counter] = {}
count_kernels = _kernels.up


def count_torch(reason: str) -> None:
    """Counts a call that torch runs for this reason."""
    counter = _torch.get(reason)
    if counter is None:
        with _lock:
            counter = _torch.setdefault(reason if len(_torch) < MOST_REASONS else OTHER, Counter())
    counter.up()


@dataclass(frozen=True)
class Stats:
    """The calls of drop-ins in this process; `print` shows them as a table.

    Attributes:
        kernels: the number of calls that the kernels ran.
        torch: the number of calls that torch ran, or refused, by reason.
    """

    kernels: int
    torch: dict[str, int]

    def __str__(self) -> str:
        rows = [("pyrnn's kernels", self.kernels), *((f"torch: {why}", count) for why, count in self.torch.items())]
        width = max(len(str(count)) for _, count in rows)
        return "\n".join(f"{count:>{width}}  {who}" for who, count in rows)


def stats(*, reset: bool = False) -> Stats:
    """Tells how many calls of drop-ins the kernels ran, how many torch ran, and why.

    It counts forward calls, in every thread of this process, since the start or the last reset. A step of a cell is a
    call, and so is a call of a layer. In a graph of torch.compile it counts the calls of the kernels alone. Counting
    takes under 0.1 microseconds a call.

    Args:
        reset: True to begin again at zero, after this answer.

    Returns:
        A `Stats` with the two numbers.

    Raises:
        TypeError: if `reset` is no bool.

    Example:
        >>> import torch, pyrnn.torch
        >>> gru = pyrnn.torch.GRU(3, 5)
        >>> before = pyrnn.torch.stats(reset=True)
        >>> y, h = gru(torch.zeros(7, 2, 3))
        >>> y, h = gru.bfloat16()(torch.zeros(7, 2, 3).bfloat16())
        >>> print(pyrnn.torch.stats())
        1  pyrnn's kernels
        1  torch: the weights are of torch.bfloat16; the kernels know float32 and float64
    """
    check_bools(reset=reset)
    with _lock:
        found = {reason: counter.read(reset) for reason, counter in _torch.items()}
        return Stats(_kernels.read(reset), {reason: count for reason, count in found.items() if count})
