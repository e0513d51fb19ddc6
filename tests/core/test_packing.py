"""Weights are packed for the backward pass whole or not at all: after lack of memory, in a fork, among threads."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn

X = np.random.default_rng(0).standard_normal((2, 1, 16), np.float32)


def first_pullback(cell: type, hidden_size: int, **options: Any) -> Callable[[], bytes]:
    """A function that computes a layer's gradients as bytes; its first call packs weights for the backward pass."""
    y, _, pullback = cell(16, hidden_size, num_layers=3, seed=0, **options).vjp(X)
    dy = np.ones_like(y)

    def gradients() -> bytes:
        found = pullback(dy)
        return b"".join(a.tobytes() for a in (found.input, *found.parameters.values()))

    return gradients


def in_child(run: Callable[[], bool]) -> int:
    """Runs `run` in a forked child and returns its exit status: 0 if true, negative if a signal ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            os._exit(0 if run() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


LAYERS: dict[str, tuple[type, dict[str, Any]]] = {
    "RNN": (pyrnn.RNN, {"bidirectional": True}),
    "LSTM": (pyrnn.LSTM, {"proj_size": 300}),
    "GRU": (pyrnn.GRU, {"dtype": np.float32}),
}


def after_running_out(name: str, megabytes: int) -> str:
    """Tells the outcome of a first pullback within so many megabytes, and of a second one without a limit."""
    pyrnn.set_num_threads(1)
    cell, options = LAYERS[name]
    gradients, came = first_pullback(cell, 700, **options), "gradients"
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))
    try:
        gradients()
    except MemoryError:
        came = "MemoryError"
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return f"{came}, then {hashlib.sha256(gradients()).hexdigest()}"


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_right_after_memory_ran_out_while_the_weights_were_packed(name: str) -> None:
    cell, options = LAYERS[name]
    right = hashlib.sha256(first_pullback(cell, 700, **options)()).hexdigest()
    ends = []
    for megabytes in (2, 4, 8, 16, 32, 64):  # each in a fresh process, whose heap holds no free memory of other tests
        command = [sys.executable, __file__, name, str(megabytes)]
        ends.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    assert set(ends) <= {f"MemoryError, then {right}", f"gradients, then {right}"}
    assert ends.count(f"MemoryError, then {right}") >= 2


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_right_in_a_child_forked_while_a_thread_packs(name: str) -> None:
    cell, options = LAYERS[name]
    gradients = first_pullback(cell, 512, **options)
    start = time.perf_counter()
    right = gradients()
    takes = time.perf_counter() - start
    for i in range(12):
        gradients = first_pullback(cell, 512, **options)
        thread = threading.Thread(target=gradients)
        thread.start()
        time.sleep(takes * i / 12)
        assert in_child(lambda gradients=gradients: gradients() == right) == 0  # type: ignore[misc]
        thread.join()


def test_threads_that_pack_at_the_same_time_get_the_same_gradients() -> None:
    right = first_pullback(pyrnn.GRU, 256)()
    for _ in range(10):
        gradients = first_pullback(pyrnn.GRU, 256)
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(gradients())) for _ in range(4)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [right] * 4


if __name__ == "__main__":
    print(after_running_out(sys.argv[1], int(sys.argv[2])))
