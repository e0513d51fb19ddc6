"""One description of a layer, for torch, pyrnn and the reference, and the tolerances with their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import reference
from numpy.typing import NDArray

from pyrnn.core import layers
from pyrnn.core.facts import FACTS

Array = NDArray[Any]
DTYPES = (np.float32, np.float64)

# The tolerance of outputs is absolute for states of order 1, and a fraction of the largest where relu lets them grow,
# since the rounding errors of both sides grow with it.
# float32: the error of an activation is up to 3e-7, and so is that of a sum of some hundred products.
# float64: activations err by 1e-15, sums of some hundred products by some 1e-14, over 100 steps at most.
OUTPUT = {np.float32: 1e-6, np.float64: 1e-12}

# The tolerance of gradients is a fraction of the largest gradient of the same pass, whose rounding error flows into
# the small ones.
# float32: a slope 1 - h^2 doubles the error of 3e-7 of its activation, and a dozen steps and layers add up.
# float64: the contract on gradients.
GRADIENT = {np.float32: 5e-6, np.float64: 1e-10}

# pyrnn may be at most 4 times as far from float64 as torch is. torch's distance may by luck be near zero, so one unit
# in the last place of 1.0 is added.
RATIO, FLOOR = 4.0, float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Config:
    """A layer and its call, small by default; `cell` is a name of reference.CELLS, or lstm_proj."""

    cell: str
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    batch_first: bool = False
    batched: bool = True
    dtype: Any = np.float64
    given: bool = True  # whether the call passes a state
    T: int = 4
    B: int = 3
    I: int = 3  # noqa: E741
    H: int = 5
    P: int = 2  # used by lstm_proj alone

    def __str__(self) -> str:
        words = [self.cell, f"{self.layers}-layer{'s' * (self.layers > 1)}"]
        words += ["bidirectional"] * self.bidirectional + ["no-bias"] * (not self.bias)
        words += ["batch-first"] * self.batch_first + ["unbatched"] * (not self.batched)
        return "-".join([*words, np.dtype(self.dtype).name, "state" if self.given else "no-state"])

    @property
    def equations(self) -> str:
        return self.cell.removesuffix("_proj")

    @property
    def runs(self) -> int:
        return self.layers * (1 + self.bidirectional)

    def options(self) -> dict[str, Any]:
        """Constructor arguments that torch and pyrnn share."""
        names = {"layers": "num_layers", "bidirectional": "bidirectional", "bias": "bias"}
        found = {option: getattr(self, name) for name, option in names.items()}
        found |= {"batch_first": self.batch_first}
        found |= {"nonlinearity": self.cell[4:]} if self.cell.startswith("rnn") else {}
        return found | ({"proj_size": self.P} if self.cell == "lstm_proj" else {})

    def pyrnn_layer(self, **more: Any) -> Any:
        form = {"reset_after": False} if self.cell == "gru_reset_before" else {}
        kind = getattr(layers, class_name(self.cell))
        return kind(self.I, self.H, **self.options(), **form, dtype=self.dtype, **more)

    def sequence_shape(self, width: int) -> tuple[int, ...]:
        if not self.batched:
            return self.T, width
        return (self.B, self.T, width) if self.batch_first else (self.T, self.B, width)

    def draw_input(self, rng: np.random.Generator) -> Array:
        return rng.standard_normal(self.sequence_shape(self.I)).astype(self.dtype)

    def draw_output_gradient(self, rng: np.random.Generator) -> Array:
        width = (self.P if self.cell == "lstm_proj" else self.H) * (1 + self.bidirectional)
        return rng.standard_normal(self.sequence_shape(width)).astype(self.dtype)

    def draw_states(self, rng: np.random.Generator) -> tuple[Array, ...]:
        """(h,) or (h, c): a state, or the gradient of one."""
        widths = (self.P if self.cell == "lstm_proj" else self.H, self.H)[: len(FACTS[self.equations].states)]
        batch = (self.B,) if self.batched else ()
        return tuple(rng.uniform(-1, 1, (self.runs, *batch, w)).astype(self.dtype) for w in widths)


def class_name(cell: str) -> str:
    return FACTS[cell.removesuffix("_proj")].layer


def as_given(states: tuple[Any, ...]) -> Any:
    """(h,) or (h, c) as the layers take it: h, or (h, c)."""
    return states if len(states) == 2 else states[0]


def as_states(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)


def assert_near(actual: Any, expected: Array, atol: float, name: str, dtype: Any) -> None:
    assert isinstance(actual, np.ndarray), name
    assert (actual.dtype, actual.shape) == (np.dtype(dtype), expected.shape), name
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=name)


def assert_outputs(y: Array | None, state: Any, expected_y: Array | None, expected: Any, dtype: Any) -> None:
    actual = as_states(state)
    assert isinstance(state, tuple) == (len(expected) == 2)
    parts = [part for part in (expected_y, *expected) if part is not None and part.size]
    atol = OUTPUT[dtype] * max([1.0, *(float(np.abs(part).max()) for part in parts)])
    if expected_y is not None:
        assert_near(y, expected_y, atol, "output", dtype)
    for name, one, other in zip("hc", actual, expected, strict=False):
        assert_near(one, other, atol, name, dtype)


def assert_gradients(actual: Any, expected: reference.Gradients, dtype: Any, tolerance: float | None = None) -> None:
    """Compares .input, .parameters and, where `expected` has them, .state."""
    assert list(actual.parameters) == list(expected.parameters)
    parts = [expected.input, *expected.states, *expected.parameters.values()]
    scale = max((float(np.abs(part).max()) for part in parts if part.size), default=0.0)
    atol = (GRADIENT[dtype] if tolerance is None else tolerance) * scale
    assert_near(actual.input, expected.input, atol, "input", dtype)
    for name, value in expected.parameters.items():
        assert_near(actual.parameters[name], value, atol, name, dtype)
    if expected.states:
        assert isinstance(actual.state, tuple) == (len(expected.states) == 2)
        for name, one, other in zip("hc", as_states(actual.state), expected.states, strict=False):
            assert_near(one, other, atol, f"state {name}", dtype)
