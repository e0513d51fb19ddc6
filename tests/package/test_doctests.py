"""Every example in a docstring runs, in the package as it is installed."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")
pytest.importorskip("onnx")
pytest.importorskip("sklearn")


import pyrnn

MODULES = [module.name for module in pkgutil.walk_packages(pyrnn.__path__, "pyrnn.") if "__main__" not in module.name]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "pyrnn._core"])
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    count = sum(len(doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))) for name in MODULES)
    assert count > 25
