"""A layer works in several threads and after a fork, obeys the environment, and releases the GIL."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import _core


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh Python; a deadlock raises TimeoutExpired."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


# -- one layer, several threads ----------------------------------------------------------------------------


def draw(*shape: int) -> Any:
    return np.random.default_rng(7).standard_normal(shape, np.float32)


def outputs_and_gradients(layer: pyrnn.LSTM, x: Any) -> bytes:
    y, (h, c), pullback = layer.vjp(x)
    gradients = pullback(np.ones_like(y))
    arrays = [y, h, c, gradients.input, *gradients.parameters.values()]
    return b"".join(a.tobytes() for a in arrays)


# A batch of 32 runs on the pool, one of 2 does not.
@pytest.mark.parametrize("batch", [2, 32])
def test_one_layer_called_from_several_threads_gives_the_same_bits(batch: int) -> None:
    layer, x = pyrnn.LSTM(16, 64, num_layers=2, seed=0), draw(16, batch, 16)
    expected = outputs_and_gradients(layer, x)
    fresh = pyrnn.LSTM(16, 64, num_layers=2, seed=0)  # nothing packed yet
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: outputs_and_gradients(fresh, x), range(40)))
    assert found == [expected] * 40


def test_a_call_sees_old_weights_or_new_ones_and_no_mixture() -> None:
    layer, x = pyrnn.LSTM(16, 32, num_layers=2, seed=0), draw(8, 4, 16)
    weights = [pyrnn.LSTM(16, 32, num_layers=2, seed=seed).state_dict() for seed in (1, 2)]
    allowed = set()
    for state_dict in weights:
        layer.load_state_dict(state_dict)
        allowed.add(outputs_and_gradients(layer, x))
    done = threading.Event()

    def replace_weights() -> int:
        count = 0
        while not done.is_set():
            layer.load_state_dict(weights[count % 2])
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        replaced = pool.submit(replace_weights)
        try:
            found = list(pool.map(lambda _: outputs_and_gradients(layer, x), range(300)))
        finally:
            done.set()
    assert replaced.result() > 10
    assert set(found) <= allowed


LONG = """
import numpy as np, pyrnn
layer = pyrnn.GRU(32, 64, num_layers=2, seed=0)
x = np.random.default_rng(0).standard_normal((32, 32, 32), np.float32)
def work():
    y, h, pullback = layer.vjp(x)
    return y.tobytes() + b"".join(g.tobytes() for g in pullback(y).parameters.values())
"""


def test_threads_are_made_when_there_is_work_for_them() -> None:
    count = "import os; print(len(os.listdir('/proc/self/task')))"
    code = f"{LONG}\n{count}\npyrnn.set_num_threads(1); work()\n{count}\npyrnn.set_num_threads(3); work()\n{count}"
    before, alone, three = python(code).stdout.split()
    assert int(alone) == int(before)
    assert int(three) == int(before) + 2


# -- fork --------------------------------------------------------------------------------------------------

FORK = """
import multiprocessing, os, threading
context = multiprocessing.get_context("fork")
def compute(send):
    send.send_bytes(work())
def child_agrees():
    receive, send = context.Pipe(duplex=False)
    child = context.Process(target=compute, args=(send,))
    child.start()
    assert receive.poll(30), "the child hangs"
    assert receive.recv_bytes() == expected
    child.join()
expected = work()
"""


def test_a_child_of_fork_computes_the_same_bits() -> None:
    run = python(f"{LONG}\n{FORK}\nchild_agrees(); assert work() == expected; child_agrees()", PYRNN_THREADS="2")
    assert run.returncode == 0, run.stderr


def test_a_child_forked_while_a_thread_uses_the_pool_computes_the_same_bits() -> None:
    code = """
done = threading.Event()
def busy():
    while not done.is_set():
        work()
thread = threading.Thread(target=busy)
thread.start()
try:
    for _ in range(10):
        child_agrees()
finally:
    done.set()
    thread.join()
"""
    run = python(f"{LONG}\n{FORK}\n{code}", PYRNN_THREADS="2")
    assert run.returncode == 0, run.stderr


# -- the environment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", _core.available_isas())
def test_pyrnn_isa_forces_the_instruction_set(isa: str) -> None:
    shown = python("import pyrnn; pyrnn.show_config()", PYRNN_ISA=isa).stdout
    assert re.search(rf"^instruction set: {isa} \(available: {', '.join(_core.available_isas())}", shown, re.M)


def test_pyrnn_threads_sets_the_number_of_threads() -> None:
    shown = python("import pyrnn; pyrnn.show_config()", PYRNN_THREADS="3").stdout
    assert re.search(r"^threads: 3\b", shown, re.M)


def test_empty_variables_count_as_unset() -> None:
    run = python("import pyrnn; pyrnn.show_config()", PYRNN_ISA="", PYRNN_THREADS="")
    assert f"instruction set: {_core.available_isas()[-1]} " in run.stdout


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PYRNN_ISA", "sse9", f"expected one of {', '.join(_core.available_isas())}"),
        ("PYRNN_ISA", "AVX2", f"expected one of {', '.join(_core.available_isas())}"),
        *(("PYRNN_THREADS", value, "expected a number from 1 to 256") for value in ("0", "-1", "257", "two", "2 ")),
    ],
)
def test_a_wrong_variable_is_told_at_import(variable: str, value: str, expected: str) -> None:
    run = python("import pyrnn", **{variable: value})
    assert run.returncode == 1
    assert re.search(rf'^ImportError: {variable}: {re.escape(expected)}.*, got "{value}"$', run.stderr, re.M)


@pytest.mark.parametrize("count", [0, -1, 257, 2**31, -(2**40)])
def test_a_wrong_number_of_threads_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"expected a number from 1 to 256, got {count}"):
        pyrnn.set_num_threads(count)


def test_a_number_of_threads_beyond_64_bits_or_no_int_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a number from 1 to 256"):
        pyrnn.set_num_threads(2**70)
    with pytest.raises(TypeError, match="n should be an int"):
        pyrnn.set_num_threads(1.5)  # type: ignore[arg-type]


PYTHONS_OWN = "module pyrnn._core does not support loading in subinterpreters"  # Python refuses before pyrnn could
REFUSALS = {"legacy": "pyrnn cannot be imported in a subinterpreter; use threads"}
if sys.version_info >= (3, 13):
    REFUSALS["isolated"] = PYTHONS_OWN


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_subinterpreter_is_told_to_use_threads_or_processes(kind: str) -> None:
    code = f"""
import sys
path = {[path for path in sys.path if path]!r}
code = f"import sys; sys.path[:] = {{path}}; import pyrnn"
if sys.version_info >= (3, 13):
    import _interpreters
    failure = _interpreters.exec(_interpreters.create({kind!r}), code)
    sys.exit(failure and failure.formatted)
else:
    import _xxsubinterpreters
    _xxsubinterpreters.run_string(_xxsubinterpreters.create(), code)
"""
    run = python(code)
    assert run.returncode == 1
    assert REFUSALS[kind] in run.stderr


# -- the GIL -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["forward", "backward", "linear"])
def test_python_goes_on_during_a_long_call(way: str) -> None:
    gru, x = pyrnn.GRU(64, 256, seed=0), draw(2000, 8, 64)
    linear, rows = pyrnn.Linear(1024, 2048, seed=0), draw(3000, 1024)
    calls: dict[str, Callable[[], Any]] = {"forward": lambda: gru(x), "linear": lambda: linear(rows)}
    if way == "backward":
        y, _, pullback = gru.vjp(x)
        calls["backward"] = lambda: pullback(y)
    calls[way]()  # packs the weights
    thread = threading.Thread(target=calls[way])
    thread.start()
    ticks = 0
    while thread.is_alive():
        time.sleep(0.001)
        ticks += 1
    # A call that held the GIL would leave this loop one tick, or two if the thread was slow to start.
    assert ticks >= 10
