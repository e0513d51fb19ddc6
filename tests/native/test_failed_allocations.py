"""If any request for memory or a thread fails, a call raises MemoryError or gives the right bits, as does the next."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import failing_calls
import pytest

HERE = Path(__file__).parent

# These are the outcomes that a failed request may have. Python raises RuntimeError if it cannot make a lock; NumPy 2.4
# forgets to set an exception in np.where, and Python then raises SystemError. Python's parser and locks report lack of
# memory in a way that a reader cannot tell from a damaged header or archive.
ENDS = {
    "new": r"(MemoryError|no error)",
    "new, and all after": r"(MemoryError|no error)",
    "heap": r"(MemoryError|no error|RuntimeError: can't allocate.*|SystemError: .*without.*exception.*|"
    r"ValueError: .* cannot be loaded: its .*(can't allocate lock|MemoryError).*)",
    "mapping": r"(MemoryError|no error)",
    "thread": "no error",  # the calling thread does the work alone
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that loads the library of native/fail.cpp before all others."""
    library = tmp_path_factory.mktemp("fail") / "libfail.so"
    source = HERE / "fail.cpp"
    command = ["c++", "-std=c++20", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    # One thread for OpenBLAS, because fail.cpp would count the threads that it starts.
    return {**os.environ, "LD_PRELOAD": str(library), "OPENBLAS_NUM_THREADS": "1"}


def ends(environment: dict[str, str], kind: str, *names: str) -> dict[str, dict[str, int]]:
    command = [sys.executable, failing_calls.__file__, kind, *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(map(json.loads, done.stdout.splitlines()))


def refused(kind: str, found: dict[str, dict[str, int]]) -> dict[str, list[str]]:
    """The outcomes of each call that are not allowed."""
    allowed = re.compile(rf"{ENDS[kind]}, then right")
    wrong = {name: [end for end in all_ends if not allowed.fullmatch(end)] for name, all_ends in found.items()}
    return {name: some for name, some in wrong.items() if some}


@pytest.mark.parametrize("name", failing_calls.CALLS)
def test_each_failed_operator_new_raises_memory_error_and_the_next_call_is_right(
    name: str, environment: dict[str, str]
) -> None:
    found = ends(environment, "new", name)
    assert refused("new", found) == {}
    assert sum(found[name].values()) >= 2  # the call made requests that could fail


@pytest.mark.parametrize("kind", ["heap", "mapping", "new, and all after"])
def test_other_failed_requests_raise_an_allowed_error_and_the_next_call_is_right(
    kind: str, environment: dict[str, str]
) -> None:
    found = ends(environment, kind, *(name for name in failing_calls.CALLS if name not in failing_calls.THREADED))
    assert refused(kind, found) == {}
    assert len(found) == len(failing_calls.CALLS) - len(failing_calls.THREADED)
    assert kind == "mapping" or any(found.values())  # Python maps memory rarely


def test_without_a_second_thread_the_first_does_the_work_and_the_next_call_has_two(
    environment: dict[str, str],
) -> None:
    found = ends(environment, "thread", *failing_calls.THREADED)
    assert refused("thread", found) == {}
    assert all(found.values())
