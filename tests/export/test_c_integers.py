"""The integer functions of export.c give in C what they give in NumPy, keep their stated errors, never overflow."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
from c_programs import STRICT, C, run

from pyrnn.export.fixed import functions, products
from pyrnn.export.functions import in_order

INT32 = np.iinfo(np.int32)
SANITIZED = ["-fsanitize=undefined", "-fno-sanitize-recover=all", "-fsanitize-undefined-trap-on-error"]
LSB = 2.0**-15


def compiled(folder: Path, function: functions.Function, other: str) -> ctypes.CDLL:
    """A library whose `all` computes y[i] = f(x[i], second argument); `other` names that argument."""
    second = "other" if other == "bits" else "other[i]"
    kind = "int32_t other" if other == "bits" else "const int32_t *other"
    text = "\n".join(["#include <stdint.h>", *(each.text for each in in_order([function]))])
    (folder / "it.c").write_text(
        f"{text}\nvoid all(const int32_t *x, {kind}, int n, int32_t *y);\n"
        f"void all(const int32_t *x, {kind}, int n, int32_t *y) {{\n  int i;\n"
        f"  for (i = 0; i < n; ++i) y[i] = {function.name}(x[i], {second});\n}}\n"
    )
    run("gcc", *C, *STRICT, "-O2", *SANITIZED, "-shared", "-fPIC", "it.c", "-o", "it.so", cwd=folder)
    return ctypes.CDLL(str(folder / "it.so"))


def pointer(x: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.ctypes.data)


def real(name: str, a: np.ndarray) -> np.ndarray:
    return {
        "tanh": lambda: np.tanh(a),
        "sigmoid": lambda: 0.5 + 0.5 * np.tanh(0.5 * a),
        "hard_sigmoid_keras2": lambda: np.clip(0.2 * a + 0.5, 0, 1),
        "hard_sigmoid_keras3": lambda: np.clip(a / 6 + 0.5, 0, 1),
    }[name]()


# The largest error, in units of 2^-15: fixed/functions.py states it for tanh and sigmoid; the others add 0.5 by
# rounding to 0.25 by a factor of 15 bits.
MOST = {"tanh": 0.83, "sigmoid": 0.66, "hard_sigmoid_keras2": 0.8, "hard_sigmoid_keras3": 0.8}


@pytest.mark.parametrize("name", functions.ACTIVATIONS)
def test_activations_in_c_equal_those_in_numpy_and_keep_their_stated_error(tmp_path: Path, name: str) -> None:
    function, in_numpy = functions.ACTIVATIONS[name]
    library = compiled(tmp_path, function, "bits")
    for bits in range(functions.LEAST_BITS, functions.MOST_BITS + 1):
        inner = np.arange(-13 << bits, (13 << bits) + 1)  # beyond 12.2 all of them saturate
        x = np.concatenate([inner, [INT32.min, INT32.min + 1, -(2**30), 2**30, INT32.max]]).astype(np.int32)
        found = np.empty_like(x)
        library.all(pointer(x), bits, len(x), pointer(found))
        np.testing.assert_array_equal(found, in_numpy(x.astype(np.int64), bits))
        assert np.abs(found * LSB - real(name, x / 2.0**bits)).max() <= MOST[name] * LSB
        assert np.abs(found).max() == 32768
        low = -32768 if name == "tanh" else 0
        assert set(found[[-5, -4, -3]]) == {low}  # exactly, since a gate of exactly one forgets nothing
        assert set(found[-2:]) == {32768}
        assert np.diff(found[: len(inner)]).min() >= -1  # it never falls by more than its last bit


def test_times_is_the_rounded_product(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    ends = np.array([-(2**30), 2**30, -1, 0, 1, 32767, -32768, 2**30 - 1])
    x = np.concatenate([random.integers(-(2**30), 2**30, 100_000), np.repeat(ends, 4)])
    y = np.concatenate([random.integers(0, 32769, 100_000), np.tile([0, 1, 32767, 32768], len(ends))])
    # In a product of a matrix |x| reaches 512 * 127 * 2^15, and y is a scale of 11 bits times 16.
    sums = np.array([-1, 1]) * 512 * 127 * 2**15
    x, y = np.concatenate([x, sums]).astype(np.int32), np.concatenate([y, [2047 * 16] * 2]).astype(np.int32)
    found = np.empty_like(x)
    compiled(tmp_path, functions.TIMES, "y").all(pointer(x), pointer(y), len(x), pointer(found))
    np.testing.assert_array_equal(found, functions.times(x.astype(np.int64), y.astype(np.int64)))
    exact = [(int(a) * int(b) * 2 + 2**15) // 2**16 for a, b in zip(x, y, strict=True)]
    assert found.tolist() == exact


@pytest.mark.parametrize("magnitude", [0.0, 1e-12, 0.01, 1.0, 300.0])
def test_a_matrix_is_within_half_a_step_of_its_weights(magnitude: float) -> None:
    weight = np.random.default_rng(0).standard_normal((9, 70)).astype(np.float32) * np.float32(magnitude)
    weight[3] *= 1e-3
    weight[5] = 0
    x_bits = 12
    bits = min(products.sum_bits(x_bits, weight), 16)
    made = products.Matrix(weight, x_bits, bits)
    mantissa, shift = made.scales.astype(int) >> 5, made.scales.astype(int) & 31
    assert (shift >= 1).all()
    scale = np.ldexp(mantissa.astype(float), x_bits - bits - shift - products.MANTISSA)
    error = np.abs(made.blocks[0] * scale[:, None] - weight)
    assert (error <= scale[:, None] / 2 * 1.0001).all()
    step = np.abs(weight).max(axis=1) / 127
    smallest = 2.0 ** (x_bits - bits - 31 - products.MANTISSA)  # the difference of two neighbouring scales
    assert (scale <= step * (1 + 2.0**-10) + smallest).all()


def test_panels_hold_every_weight_once() -> None:
    for rows, columns in ((1, 1), (3, 9), (4, 4), (8, 12), (9, 7), (12, 2)):
        block = np.arange(1, rows * columns + 1).reshape(rows, columns)
        assert sorted(products.panels(block)) == list(range(1, rows * columns + 1))
