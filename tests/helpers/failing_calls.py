"""Calls whose requests for memory or for a thread fail one after the other, run by native/test_failed_allocations.py.

    python failing_calls.py KIND CALL ...

under LD_PRELOAD with the library of native/fail.cpp. For each n a child of its own makes the call while its n-th
request fails, and then again. It prints a line of JSON for each call: how often the child came to what end.
"""

from __future__ import annotations

import collections
import ctypes
import itertools
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

import pyrnn
from pyrnn import nn
from pyrnn.weights import files as weights

KINDS = {"new": 1, "heap": 2 | 4, "mapping": 8, "thread": 16, "new, and all after": 128 | 1}

fail = ctypes.CDLL(None)  # the preloaded library is part of the process

x = np.random.default_rng(0).standard_normal((6, 3, 200), np.float32)
wide = np.random.default_rng(0).standard_normal((6, 16, 200), np.float32)
long = np.random.default_rng(0).standard_normal((60, 1, 200), np.float32)
ones = np.ones((6, 3, 24), np.float32)
folder = tempfile.mkdtemp()


def lstm(hidden_size: int = 24, **options: Any) -> pyrnn.LSTM:
    return pyrnn.LSTM(200, hidden_size, num_layers=2, seed=0, **options)


def network() -> nn.Sequential:
    return nn.Sequential(pyrnn.GRU(200, 24, seed=0), nn.LastStep(), nn.Linear(24, 3, seed=0), nn.Softmax())


def pullback(layer: Any, **options: Any) -> Callable[[], Any]:
    pull = layer.vjp(x, **options)[-1]
    return lambda: pull(ones).parameters["weight_hh_l1"]


def loaded(suffix: str) -> Callable[[], Any]:
    path = f"{folder}/lstm{suffix}"
    weights.save_state_dict(lstm().state_dict(), path)
    return lambda: pyrnn.load(path).parameters()["weight_hh_l1"]


def of(make: Callable[[], Any], call: Callable[[Any], Any]) -> Callable[[], Callable[[], Any]]:
    """A function that makes an object anew, without packed weights, and returns `call` on it."""

    def start() -> Callable[[], Any]:
        made = make()
        return lambda: call(made)

    return start


CALLS: dict[str, Callable[[], Callable[[], Any]]] = {
    "call": of(lstm, lambda layer: layer(x)[0]),
    "float64": of(lambda: lstm(dtype=np.float64), lambda layer: layer(x.astype(np.float64))[0]),
    "vjp": of(lstm, lambda layer: layer.vjp(x)[0]),
    "pullback": lambda: pullback(lstm()),
    "checkpoint": lambda: pullback(lstm(), checkpoint=2),
    "lengths": lambda: pullback(lstm(), lengths=[6, 0, 3]),
    "trace": of(lstm, lambda layer: layer.trace(x)[0, "forward"].f),
    "stream": of(lstm, lambda layer: layer.stream(3).step(x[0])),
    "clone": of(lambda: lstm().stream(3), lambda stream: stream.clone().state[0]),
    "step": of(lambda: lstm().stream(3), lambda stream: (stream.reset(), stream.step(x[0]))[1]),
    "int8": of(lstm, lambda layer: layer.quantize("int8")(x)[0]),
    "cell": of(lambda: pyrnn.GRUCell(200, 8, seed=0), lambda cell: cell(x[0])),
    "linear": of(lambda: pyrnn.Linear(200, 5, seed=0), lambda layer: layer.vjp(x)[2](x[..., :5].copy()).input),
    "relu": of(nn.ReLU, lambda layer: layer(x)),
    "network": of(network, lambda model: model(x)),
    "load .npz": lambda: loaded(".npz"),
    "load .pt": lambda: loaded(".pt"),
    "threads": of(lambda: lstm(600), lambda layer: layer(wide)[0]),
    "team": of(lambda: pyrnn.LSTM(200, 400, seed=0), lambda layer: layer(long)[0]),
}
THREADED = ("threads", "team")


def tried(call: Callable[[], Any], n: int, kind: str, right: Any, threads: int) -> str:
    """The outcome while request n failed and of the same call again; "" if the call makes fewer requests."""
    came, value = "no error", None
    fail.fail_at(ctypes.c_long(n), KINDS[kind])
    try:
        value = call()
    except MemoryError as error:
        came = "MemoryError" if str(error) != "std::bad_alloc" else "MemoryError without a sentence"
    except BaseException as error:
        came = f"{type(error).__name__}: {error}"[-400:]
    happened = fail.fail_happened()
    fail.fail_at(ctypes.c_long(0), 0)
    if not happened:
        return ""
    value = call() if value is None else value
    for _ in range(20):  # after a long wait the next calls run on one thread
        if not np.array_equal(value, right):
            return f"{came}, then wrong"
        if len(os.listdir("/proc/self/task")) >= threads:
            return f"{came}, then right"
        value = call()
    return f"{came}, then one thread for ever"


def in_child(say: Callable[[], str]) -> tuple[int, str]:
    """The exit status of a forked child, negative for a signal, and the text of `say`."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.alarm(20)
        os.write(write, say().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def ends(name: str, kind: str) -> dict[str, int]:
    """How often each outcome came, over all n."""
    pyrnn.set_num_threads(1)
    right = CALLS[name]()()
    threads = 2 if name in THREADED else 1
    pyrnn.set_num_threads(threads)
    found: collections.Counter[str] = collections.Counter()
    for n in itertools.count(1):
        call = CALLS[name]()
        status, said = in_child(lambda n=n, call=call: tried(call, n, kind, right, threads))  # type: ignore[misc]
        if status == 0 and not said:
            break
        found[said if status == 0 else f"signal {-status} at request {n}"] += 1
    return dict(found)


if __name__ == "__main__":
    for name in sys.argv[2:] or CALLS:
        print(json.dumps([name, ends(name, sys.argv[1])]), flush=True)
