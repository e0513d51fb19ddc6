"""Every example in a docstring of the installed package, the benchmarks and the examples runs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("onnx")
pytest.importorskip("sklearn")


import benchmarks
import examples
import pyrnn

PACKAGES = (pyrnn, benchmarks, examples)
# These are run as scripts, not imported.
SCRIPTS = ("calls", "compare_keras", "compare_programs", "compare_wheels", "recurrent_ppo", "rows", "__main__")
MODULES = [
    module.name
    for package in PACKAGES
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name.rpartition(".")[2] not in SCRIPTS
]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "pyrnn._core"])
def test_every_example_in_a_docstring_gives_what_it_shows(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_more_than_25_docstrings_to_run() -> None:
    count = sum(len(doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))) for name in MODULES)
    assert count > 25
