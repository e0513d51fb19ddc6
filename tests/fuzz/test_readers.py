"""tests/fuzz/readers.py detects readers that crash, hang, take too much memory or raise errors of a wrong kind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parent

WATCHED = """
import json, os, watched
watched.SECONDS, watched.WALL_SECONDS = 0.1, 5
def do(number):
    if number == 3: os.abort()
    if number == 5:
        while True: pass
    if number == 7:
        import time; time.sleep(100)
    if number == 8: os._exit(4)
    return "fine"
said = {}
watched.Watch(do, said.__setitem__, 2).run(iter([range(0, 6), range(6, 10)]))
print(json.dumps(said))
"""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=FUZZ, env={"PYTHONPATH": str(FUZZ)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_that_dies_is_a_failure_of_its_piece_and_of_no_other() -> None:
    said = json.loads(run(WATCHED))
    assert {number: text for number, text in said.items() if text != "fine"} == {
        "3": "FAILURE the process died by SIGABRT",
        "5": "FAILURE it takes more than 0.1 s",
        "7": "FAILURE no end after 5 s",
        "8": "FAILURE the process ended with status 4",
    }
    assert sorted(map(int, said)) == list(range(10))


OUTCOME = """
import itertools, os, sys
from pathlib import Path
import numpy as np, readers
count = itertools.count()
def raises(error):
    raise error
calls = {
    "loaded": lambda: {"a": np.ones(3)},
    "ValueError": lambda: raises(ValueError("a sentence")),
    "KeyError": lambda: raises(KeyError(99)),
    "StopIteration": lambda: raises(StopIteration()),
    "RecursionError": lambda: raises(RecursionError("maximum recursion depth exceeded")),
    "long": lambda: raises(ValueError("x" * 2001)),
    "surrogate": lambda: raises(ValueError("\\ud800")),
    "silent": lambda: raises(ValueError()),
    "memory": lambda: np.ones(2**23).sum() and {},
    "no memory": lambda: raises(MemoryError("too much")),
    "random": lambda: {"a": np.array(next(count))},
}
print(readers.outcome(lambda path, seed: calls[sys.argv[1]](), Path("x"), readers.Seed("x", b""), 2**25))
"""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("loaded", "loaded"),
        ("ValueError", "ValueError"),
        ("KeyError", "FAILURE KeyError 99"),
        ("StopIteration", "FAILURE StopIteration"),
        ("RecursionError", "FAILURE RecursionError maximum recursion depth exceeded"),
        ("long", "FAILURE a message of 2001 letters"),
        ("surrogate", "FAILURE a message that cannot be printed"),
        ("silent", "FAILURE ValueError without a word"),
        ("memory", "FAILURE memory: it took 6"),
        ("no memory", "FAILURE memory: MemoryError too much"),
        ("random", "FAILURE the weights differ from one reading to the next"),
    ],
)
def test_an_outcome_is_what_the_reader_did(call: str, expected: str) -> None:
    assert run(OUTCOME, call).startswith(expected)


def test_an_input_depends_on_its_number_alone() -> None:
    code = """
import hashlib, readers
seeds = [readers.Seed("a.json", b'[{"type": "lstm", "params": {"W_f": [[1.0]]}}]'), readers.Seed("b.json", b"[]")]
inputs = [readers.made("json", seeds, number, 7)[1] for number in range(200)]
print(len(set(inputs)), hashlib.sha256(b"".join(inputs)).hexdigest())
"""
    first, second = run(code), run(code)
    assert first == second
    assert int(first.split()[0]) > 100
