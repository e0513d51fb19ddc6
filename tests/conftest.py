"""Marks tests by folder and file, makes skips fail on request, and sets up torch, Python and Keras for all files.

A folder gives its tests a mark, and so does each `pytest.importorskip` at the head of a file. `core` marks the tests
in the folders of NumPy layers whose file needs no framework: they run with NumPy, pytest and hypothesis alone. A
single test that needs a framework carries its mark and imports it itself.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
from collections.abc import Generator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras_backend  # noqa: F401  (before any file imports Keras)
import pytest

HERE = Path(__file__).parent
FOLDERS = {"core": "core", "io": "core", "nn": "core", "train": "core", "torch": "torch", "bench": "jax"}
FOLDERS |= {"capi": "native", "export": "native", "native": "native"}
FRAMEWORKS = ("torch", "keras", "onnx", "jax", "matplotlib", "rich", "safetensors")
MARKS = {
    "core": "needs NumPy, pytest and hypothesis alone",
    "slow": "trains or compiles for more than three seconds",
    "native": "needs compilers for C and C++",
    **{name: f"needs {name}" for name in FRAMEWORKS},
}

# Without it a Python that a test starts here would import pyrnn from the tree, which has no compiled core.
os.environ["PYTHONSAFEPATH"] = "1"

# benchmarks/ and examples/ lie here. The folder comes last, since its pyrnn/ would hide the installed one.
sys.path.append(str(HERE.parent))

# A shell makes background processes ignore SIGINT; the tests of Ctrl-C need Python's own handler.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, and a skipped file unless -m core")


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    # torch warns once a process, in whichever test comes first, of its float32 LSTM with proj_size.
    config.addinivalue_line("filterwarnings", "ignore:LSTM with projections is not supported:UserWarning")


@functools.cache
def needed(path: Path) -> frozenset[str]:
    """The modules that a test file cannot do without."""
    return frozenset(re.findall(r'^pytest\.importorskip\("(\w+)"\)', path.read_text(), re.M))


def marks(item: pytest.Item) -> Iterator[str]:
    """The marks that a test gets by its folder and its file."""
    own = {mark.name for mark in item.iter_markers() if mark.name in MARKS}
    modules = needed(item.path)
    folder = FOLDERS.get(item.path.relative_to(HERE).parts[0])
    yield from modules.intersection(FRAMEWORKS)
    if folder and (folder != "core" or not (modules or own)):
        yield folder


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in marks(item):
            item.add_marker(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in FRAMEWORKS:
        if item.get_closest_marker(name) and not find_spec(name):
            pytest.skip(f"needs {name}")
    if "torch" in sys.modules:  # its thread pool costs more than these layers, and its sums depend on the thread count
        sys.modules["torch"].set_num_threads(1)


def failed(report: Any) -> Any:
    report.outcome, report.longrepr = "failed", f"skipped under --no-skips: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    return failed(report) if skipped and item.config.option.no_skips else report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    strict = collector.config.option.no_skips and collector.config.option.markexpr != "core"
    return failed(report) if report.skipped and strict else report
