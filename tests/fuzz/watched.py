"""Runs numbered pieces of work in child processes that may hang, crash or take all memory, and reports each outcome.

A child is a fork, so that it has everything imported, and does a range of pieces one after the other. It tells the
parent which piece it begins; if it dies, that piece has failed, and another child does the pieces after it.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SECONDS = 5  # CPU time that a piece may take
WALL_SECONDS = 60  # wall-clock time that a piece may take, for a child that waits for ever
ROOM = 2 << 30  # bytes of address space that a child may take beyond its parent's


def reset_peak() -> int:
    """Resets the peak of this process' memory, and returns the bytes that it holds now."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _status("VmRSS")


def peak() -> int:
    """The most bytes that this process has held since `reset_peak`."""
    return _status("VmHWM")


def _status(name: str) -> int:
    with open("/proc/self/status") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) << 10
    raise RuntimeError(f"/proc/self/status has no line {name}")


@dataclass
class Child:
    """A running child: its process id, its pipe, its pieces of work, and the unfinished line of its output."""

    process: int
    pipe: int
    numbers: range
    said: bytes = b""
    begun: int | None = None


@dataclass
class Watch:
    """Runs `do(number)` in children, and passes its result, or the child's death, to `report(number, text)`.

    Args:
        do: does a piece of work and returns its outcome.
        report: is called in this process, once for each number.
        children: how many run at the same time.
    """

    do: Callable[[int], str]
    report: Callable[[int, str], None]
    children: int
    _running: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _left: list[range] = field(default_factory=list)

    def run(self, batches: Iterator[range]) -> None:
        """Runs all batches."""
        more = True
        while True:
            while len(self._running.get_map()) < self.children:
                batch = self._left.pop() if self._left else next(batches, None) if more else None
                if batch is None:
                    more = False
                    break
                self._start(batch)
            if not self._running.get_map():
                return
            for key, _ in self._running.select():
                self._hear(key.data)

    def _start(self, numbers: range) -> None:
        sys.stdout.flush()
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(read)
            self._work(numbers, write)
        os.close(write)
        self._running.register(read, selectors.EVENT_READ, Child(process, read, numbers))

    def _work(self, numbers: range, pipe: int) -> None:
        """Does the pieces in a child, which then exits."""
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # silences C libraries that abort
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            size = _status("VmSize") + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
            for number in numbers:
                os.write(pipe, f"{number}\n".encode())
                signal.setitimer(signal.ITIMER_PROF, SECONDS)  # the signals of both timers end the process, even in C
                signal.setitimer(signal.ITIMER_REAL, WALL_SECONDS)
                outcome = self.do(number)
                os.write(pipe, json.dumps([number, outcome]).encode() + b"\n")
        finally:
            os._exit(0)

    def _hear(self, child: Child) -> None:
        said = os.read(child.pipe, 1 << 16)
        *lines, child.said = (child.said + said).split(b"\n")
        for line in lines:
            found = json.loads(line)
            if isinstance(found, int):
                child.begun = found
            else:
                child.begun = None
                self.report(*found)
                child.numbers = range(found[0] + 1, child.numbers.stop)
        if said:
            return
        self._running.unregister(child.pipe)
        os.close(child.pipe)
        _, status = os.waitpid(child.process, 0)
        if child.begun is not None:
            self.report(child.begun, _death(status))
            child.numbers = range(child.begun + 1, child.numbers.stop)
        if child.numbers:
            self._left.append(child.numbers)


def _death(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"FAILURE the process ended with status {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    if number == signal.SIGPROF:
        return f"FAILURE it takes more than {SECONDS} s"
    if number == signal.SIGALRM:
        return f"FAILURE no end after {WALL_SECONDS} s"
    return f"FAILURE the process died by {signal.Signals(number).name}"
