"""Public names agree with each other: one word for one idea, in every class and function that users see."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nn_samples import SAMPLES

import pyrnn
from pyrnn import nn, train

pytest.importorskip("torch")

import pyrnn.torch

CELLS = (pyrnn.RNNCell, pyrnn.LSTMCell, pyrnn.GRUCell)
OTHER_WORDS = {"state", "states", "h0", "h_0", "h", "initial", "initial_state"}


def methods() -> Iterator[Any]:
    """The public functions of the package, and the calls and public methods of its classes."""
    for package in (pyrnn, nn, train, pyrnn.torch):
        for name in package.__all__:
            found = getattr(package, name)
            if inspect.isfunction(found):
                yield pytest.param(found, id=f"{package.__name__}.{name}")
            elif inspect.isclass(found) and not issubclass(found, tuple):
                for method, value in inspect.getmembers(found, inspect.isfunction):
                    if (value.__module__ or "").startswith("pyrnn") and (
                        not method.startswith("_") or method == "__call__"
                    ):
                        yield pytest.param(value, id=f"{package.__name__}.{name}.{method}")


@pytest.mark.parametrize("method", list(methods()))
def test_the_state_before_a_call_is_hx(method: Any) -> None:
    assert not OTHER_WORDS.intersection(inspect.signature(method).parameters)


@pytest.mark.parametrize("name", SAMPLES)
def test_vjp_gives_output_state_and_pullback(name: str) -> None:
    make, draw = SAMPLES[name]
    output, state, pullback = make().vjp(draw())
    assert (state is not None) == (name in ("RNN", "LSTM", "GRU"))
    assert isinstance(pullback(np.ones_like(output)), pyrnn.Gradients)


@pytest.mark.parametrize("cell", CELLS)
def test_vjp_of_a_cell_gives_h_the_state_and_a_pullback_of_both(cell: Any) -> None:
    model, x = cell(3, 4, seed=0), np.ones((2, 3), np.float32)
    output, state, pullback = model.vjp(x)
    parts = state if cell is pyrnn.LSTMCell else (state,)
    np.testing.assert_array_equal(output, parts[0])
    assert not np.shares_memory(output, parts[0])
    np.testing.assert_array_equal(
        pullback(output).input, pullback(None, (output, None) if cell is pyrnn.LSTMCell else output).input
    )


# The drop-ins in pyrnn.torch have the names of torch's classes too.
SHARED = {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}


def test_a_class_has_a_name_of_its_own() -> None:
    sources = (Path(__file__).parents[2] / "pyrnn").rglob("*.py")
    classes = (node for path in sources for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef))
    count = Counter(node.name for node in classes)
    assert {name for name, times in count.items() if times > 1} == SHARED
