"""tanh and sigmoid of simd/math.h: their stated errors over the whole range, saturation, symmetry, odd values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pyrnn import _core

ISAS = _core.available_isas()
# The bounds that simd/math.h states, rounded up. The contract allows 3e-7 and 1e-15.
TANH = {np.float32: 1.8e-7, np.float64: 4e-16}
SIGMOID = {np.float32: 1.2e-7, np.float64: 2.5e-16}
SATURATED = {np.float32: 9.02, np.float64: 19.07}


def points(dtype: Any) -> np.ndarray[Any, Any]:
    """From the smallest subnormal to beyond saturation: every 97th float32; 4 million float64, dense and by scale."""
    if dtype is np.float32:
        return np.arange(1, 0x41A00000, 97, dtype=np.uint32).view(np.float32)  # up to 20
    rng = np.random.default_rng(0)
    spread = 2.0 ** rng.uniform(-1074, 5, 1_000_000)
    return np.concatenate([rng.uniform(0, 20, 2_000_000), 2.0 ** rng.uniform(-30, 5, 1_000_000), spread])


def error(found: Callable[[Any], Any], true: Callable[[Any], Any], x: np.ndarray[Any, Any]) -> float:
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    parts = np.array_split(x, 16)  # long doubles take 16 bytes each
    return max(float(np.abs(found(part).astype(wide) - true(part.astype(wide))).max()) for part in parts)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_is_as_exact_as_stated(dtype: Any) -> None:
    assert np.finfo(np.longdouble).nmant > 52, "the judge of float64 must know more digits than it"
    x = points(dtype)
    assert error(_core.tanh, np.tanh, x) <= TANH[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_as_exact_as_stated(dtype: Any) -> None:
    x = 2 * points(dtype)
    for signed in (x, -x):
        assert error(_core.sigmoid, lambda a: 1 / (1 + np.exp(-a)), signed) <= SIGMOID[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_arguments_keep_their_relative_accuracy(dtype: Any) -> None:
    x = points(dtype)
    x = x[(x > np.finfo(dtype).tiny) & (x < 1)]
    wide = np.float64 if dtype is np.float32 else np.longdouble
    true = np.tanh(x.astype(wide))
    # 3 units in the last place: six operations after the fit, half a unit each.
    assert float(np.abs(_core.tanh(x).astype(wide) / true - 1).max()) <= 3 * np.finfo(dtype).eps


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(isa: str, dtype: Any) -> None:
    limit = SATURATED[dtype]
    large = np.array([limit, 2 * limit, 100, np.finfo(dtype).max, np.inf], dtype)
    assert (_core.tanh(large, isa) == 1).all()
    assert (_core.tanh(-large, isa) == -1).all()
    larger = np.maximum(large, 2 * dtype(limit))
    assert (_core.sigmoid(larger, isa) == 1).all()
    assert (_core.sigmoid(-larger, isa) == 0).all()
    tiny = np.array([0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 4], dtype)
    assert _core.tanh(tiny, isa).tobytes() == tiny.tobytes()
    assert _core.tanh(-tiny, isa).tobytes() == (-tiny).tobytes()  # -0 stays -0
    assert (_core.sigmoid(tiny, isa) == 0.5).all()
    assert np.isnan(_core.tanh(np.array([np.nan], dtype), isa)).all()
    assert np.isnan(_core.sigmoid(np.array([np.nan], dtype), isa)).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_instruction_set_gives_the_scalar_bits(isa: str, dtype: Any) -> None:
    x = points(dtype)[::23]
    for function in (_core.tanh, _core.sigmoid):
        for signed in (x, -x):
            assert function(signed, isa).tobytes() == function(signed, "scalar").tobytes()
    assert (_core.tanh(-x, isa) == -_core.tanh(x, isa)).all()
    assert (np.abs(_core.tanh(x, isa)) <= 1).all()
