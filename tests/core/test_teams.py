"""Threads share one sequence by hidden units, with a barrier after every step, or by layers in a wavefront."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pyrnn

# A step of each takes about a microsecond or more, which is enough work for several threads (csrc/engine/layer.h).
SHARED: dict[str, dict[str, Any]] = {
    "LSTM": {"hidden_size": 160},
    "GRU": {"hidden_size": 192},
    "RNN": {"hidden_size": 256},
    "LSTM without bias": {"hidden_size": 170, "bias": False},  # not a whole vector of units
    "LSTM float64": {"hidden_size": 130, "dtype": np.float64},
    "LSTM with peepholes": {"hidden_size": 160, "peephole": True},
    "GRU reset before": {"hidden_size": 192, "reset_after": False},  # these two take one thread
    "LSTM projected": {"hidden_size": 200, "proj_size": 120},
    "LSTM of two layers": {"hidden_size": 96, "num_layers": 2},  # in a wavefront
    "GRU of four layers": {"hidden_size": 160, "num_layers": 4},
    "LSTM of three layers": {"hidden_size": 160, "num_layers": 3},
    "RNN of two layers": {"hidden_size": 128, "num_layers": 2},
}


@pytest.fixture(autouse=True)
def as_many_threads_as_before() -> Iterator[None]:
    before = pyrnn.get_num_threads()
    yield
    pyrnn.set_num_threads(before)


def make(name: str) -> Any:
    return getattr(pyrnn, name.split()[0])(40, seed=0, **SHARED[name])


def everything(layer: Any, x: Any, **options: Any) -> list[bytes]:
    y, state = layer(x)
    y_again, state_again, pullback = layer.vjp(x, **options)
    gradients = pullback(np.cos(y))
    arrays = [y, y_again, gradients.input, *gradients.parameters.values()]
    for each in (state, state_again, gradients.state):
        arrays += each if isinstance(each, tuple) else [each]
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", SHARED)
def test_any_number_of_threads_gives_the_bits_of_one(name: str, batch: int) -> None:
    layer = make(name)
    x = np.random.default_rng(1).standard_normal((120, batch, 40)).astype(layer.state_dict()["weight_ih_l0"].dtype)
    pyrnn.set_num_threads(1)
    expected = everything(layer, x)
    for threads in (2, 3, 5):  # with more threads than CPUs a spinning thread yields
        pyrnn.set_num_threads(threads)
        assert everything(layer, x) == expected, threads


@pytest.mark.parametrize("every", [7, 60])
def test_checkpoints_on_several_threads_give_the_bits_of_one(every: int) -> None:
    layer, x = make("LSTM"), np.random.default_rng(1).standard_normal((120, 2, 40), np.float32)
    pyrnn.set_num_threads(1)
    expected = everything(layer, x)
    pyrnn.set_num_threads(3)
    assert everything(layer, x, checkpoint=every) == expected


@pytest.mark.parametrize("name", ["LSTM", "RNN of two layers"])
def test_a_stream_on_several_threads_gives_the_bits_of_one_call(name: str) -> None:
    layer, x = make(name), np.random.default_rng(1).standard_normal((240, 1, 40), np.float32)
    pyrnn.set_num_threads(1)
    expected = layer(x)[0]
    pyrnn.set_num_threads(2)
    stream = layer.stream()
    cuts = [stream.run(x[:100]), stream.step(x[100])[None], stream.run(x[101:])]
    np.testing.assert_array_equal(np.concatenate(cuts), expected)


# Four threads call at once: at times one finds the pool in use by another, and computes alone.
ASKED_AT_ONCE = """
import threading
import numpy as np, pyrnn
pyrnn.set_num_threads(2)
layer = pyrnn.LSTM(40, 160, seed=0)
x = np.random.default_rng(1).standard_normal((120, 1, 40), np.float32)
expected = layer(x)[0].tobytes()
wrong = []
def ask():
    for _ in range(50):
        if layer(x)[0].tobytes() != expected:
            wrong.append(1)
threads = [threading.Thread(target=ask) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
print("wrong:", len(wrong))
"""
FORKED = """
import os
if not (child := os.fork()):
    os._exit(layer(x)[0].tobytes() != expected)
print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_calls_at_once_and_after_a_fork_give_the_bits_of_one_thread() -> None:
    command = [sys.executable, "-c", ASKED_AT_ONCE + FORKED]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.split("\n")[:2] == ["wrong: 0", "child: 0"]
