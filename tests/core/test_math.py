"""The functions of simd/math.h keep their stated errors over the whole range, saturate, and pass special values."""

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
# The largest errors in units of the last place.
EXP = {np.float32: 0.95, np.float64: 0.9}
EXPM1 = {np.float32: 1.25, np.float64: 1.25}
EXP_RANGE = {np.float32: (-87.3, 88.7), np.float64: (-708.3, 709.7)}  # where the result is a normal number
FUNCTIONS = (
    "tanh", "sigmoid", "relu", "identity", "hard_sigmoid_keras2", "hard_sigmoid_keras3", "leaky_relu", "elu", "selu",
    "softsign", "exponential", "silu", "gelu_tanh",
)  # fmt: skip


def tanh(x: Any, isa: str | None = None) -> Any:
    return _core.activate("tanh", x, isa=isa)


def sigmoid(x: Any, isa: str | None = None) -> Any:
    return _core.activate("sigmoid", x, isa=isa)


def points(dtype: Any) -> np.ndarray[Any, Any]:
    """Points from the smallest subnormal to 20, where all saturate: every 97th float32, or 4 million of float64."""
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
    assert np.finfo(np.longdouble).nmant > 52, "the judge of float64 must have more digits than float64"
    x = points(dtype)
    assert error(tanh, np.tanh, x) <= TANH[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_is_as_exact_as_stated(dtype: Any) -> None:
    x = 2 * points(dtype)
    for signed in (x, -x):
        assert error(sigmoid, lambda a: 1 / (1 + np.exp(-a)), signed) <= SIGMOID[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_arguments_keep_their_relative_accuracy(dtype: Any) -> None:
    x = points(dtype)
    x = x[(x > np.finfo(dtype).tiny) & (x < 1)]
    wide = np.float64 if dtype is np.float32 else np.longdouble
    true = np.tanh(x.astype(wide))
    # 3 units in the last place: six operations after the fit, half a unit each.
    assert float(np.abs(tanh(x).astype(wide) / true - 1).max()) <= 3 * np.finfo(dtype).eps


def ulps(found: Any, true: Any, dtype: Any) -> float:
    """The largest error in units of the last place of `dtype`; `true` has more digits."""
    unit = np.exp2(np.floor(np.log2(np.abs(true))) - np.finfo(dtype).nmant)
    return float((np.abs(found.astype(true.dtype) - true) / unit).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_is_as_exact_as_stated(dtype: Any) -> None:
    wide = np.float64 if dtype is np.float32 else np.longdouble
    low, high = EXP_RANGE[dtype]
    x = np.minimum(points(dtype) * dtype(high / 20), dtype(high))
    for signed in (x, np.maximum(-x, dtype(low))):
        assert ulps(_core.activate("exponential", signed), np.exp(signed.astype(wide)), dtype) <= EXP[dtype]
    below = -x[x >= np.finfo(dtype).tiny]
    assert ulps(_core.activate("elu", below, 1.0), np.expm1(below.astype(wide)), dtype) <= EXPM1[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_ends_in_zero_and_infinity_by_way_of_the_subnormals(dtype: Any) -> None:
    low, high = EXP_RANGE[dtype]
    x = np.linspace(1.2 * low, low, 10_000, dtype=dtype)
    true = np.exp(x.astype(np.longdouble))
    found = _core.activate("exponential", x)
    assert (np.abs(found - true) <= np.finfo(dtype).smallest_subnormal).all()
    assert found[0] == 0 < found[-1]
    ends = np.array([0, -0.0, 1.01 * high, np.inf, 2 * low, -np.inf, np.nan], dtype)
    np.testing.assert_array_equal(_core.activate("exponential", ends), [1, 1, np.inf, np.inf, 0, 0, np.nan])


def test_an_unknown_function_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ValueError, match=r'activation should be one of tanh, .*gelu_tanh, got "erf"'):
        _core.activate("erf", np.zeros(1))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tanh_and_sigmoid_saturate_keep_tiny_values_and_pass_nan(isa: str, dtype: Any) -> None:
    limit = SATURATED[dtype]
    large = np.array([limit, 2 * limit, 100, np.finfo(dtype).max, np.inf], dtype)
    assert (tanh(large, isa) == 1).all()
    assert (tanh(-large, isa) == -1).all()
    larger = np.maximum(large, 2 * dtype(limit))
    assert (sigmoid(larger, isa) == 1).all()
    assert (sigmoid(-larger, isa) == 0).all()
    tiny = np.array([0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 4], dtype)
    assert tanh(tiny, isa).tobytes() == tiny.tobytes()
    assert tanh(-tiny, isa).tobytes() == (-tiny).tobytes()  # -0 stays -0
    assert (sigmoid(tiny, isa) == 0.5).all()
    assert np.isnan(tanh(np.array([np.nan], dtype), isa)).all()
    assert np.isnan(sigmoid(np.array([np.nan], dtype), isa)).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_instruction_set_gives_the_scalar_bits(isa: str, dtype: Any) -> None:
    x = points(dtype)[::23]
    for function in FUNCTIONS:
        for signed in (x, -x):
            found, plain = (_core.activate(function, signed, 0.3, each) for each in (isa, "scalar"))
            assert found.tobytes() == plain.tobytes(), function
    rows = x[: x.size // 7 * 7].reshape(-1, 7)
    assert _core.softmax(rows, isa).tobytes() == _core.softmax(rows, "scalar").tobytes()
    assert (tanh(-x, isa) == -tanh(x, isa)).all()
    assert (np.abs(tanh(x, isa)) <= 1).all()
