"""The integer arithmetic of the profile int16: each function in C, and below it the same in NumPy.

An integer v with `bits` fraction bits stands for the number v / 2^bits. Gates and all other numbers within -1 and 1
have 15 fraction bits; 2^15 itself is allowed, so that a gate can be 1. No number is wider than 32 bits, and for the
arguments that each function states none overflows. >> rounds a quotient down, vad_shifted rounds it to the nearest
integer, ties up.
"""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

from ..functions import Function

INTEGERS = """\
/* vad: DESCRIPTION
   Made by pyrnn VERSION. It computes with integers of at most 32 bits only, so every CPU has the results of pyrnn. */
#include "vad.h"

WIDE_INT
#if (-3 >> 1) != -2 || ~0 != -1
#error "vad.c needs two's complement, and >> of a negative number to round down, as all usual compilers have them"
#endif

"""

ONE = 1 << 15
MOST_BITS = 17  # fraction bits of an activation's argument
LEAST_BITS = 4

SHIFTED = Function(
    "vad_shifted",
    """\
/* x / 2^shift, rounded to the nearest integer, ties up; shift >= 1. */
static int32_t vad_shifted(int32_t x, int shift) {
  return ((x >> (shift - 1)) + 1) >> 1;
}
""",
)


def shifted(x: Array, shift: Array | int) -> Array:
    return ((x >> (shift - 1)) + 1) >> 1


TIMES = Function(
    "vad_times",
    """\
/* x y / 2^15, rounded to the nearest integer, ties up. No product exceeds 32 bits for |x| <= 2^30 and 0 <= y <= 2^15,
   or for |x| < 2^31 - 2^20 and 0 <= y < 2^15 - 15. */
static int32_t vad_times(int32_t x, int32_t y) {
  return (x >> 15) * y + (((x & 32767) * y + 16384) >> 15);
}
""",
)


def times(x: Array, y: Array | int) -> Array:
    product: Array = x * y + 16384  # NumPy's 64 bits hold the whole product
    return product >> 15


CLAMP = Function(
    "vad_clamp",
    """\
/* Limits sums and long states to -2^30 .. 2^30 - 1, so that the sum of two fits in 32 bits. */
static int32_t vad_clamp(int32_t x) {
  return x > 1073741823 ? 1073741823 : x < -1073741824 ? -1073741824 : x;
}
""",
)


def clamp(x: Array) -> Array:
    return np.minimum(np.maximum(x, -(1 << 30)), (1 << 30) - 1)


INT16 = Function(
    "vad_int16",
    """\
static int16_t vad_int16(int32_t x) {
  return (int16_t)(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
}
""",
)


def int16(x: Array) -> Array:
    return np.minimum(np.maximum(x, -32768), 32767)


_TABLE = np.minimum(np.rint(np.tanh(np.arange(49) / 8) * 65536), 65535).astype(np.int64)
_ROWS = [", ".join(map(str, _TABLE[i : i + 14])) for i in range(0, 49, 14)]

TANH20 = Function(
    "vad_tanh20",
    f"""\
/* tanh(k / 8) with 16 fraction bits; from 6.0625 on tanh counts as 1. */
static const uint16_t vad_tanh_table[49] = {{
{chr(10).join(f"  {row}," for row in _ROWS)}
}};

/* tanh, with 20 fraction bits, of a number with `bits` fraction bits, from {LEAST_BITS} to {MOST_BITS + 1}. It sums
   three terms of Taylor's series about the nearest k / 8: with t = tanh(k / 8), d the distance, s = 1 - t^2 and
   u = s d, tanh = t + u - u d (t - d (2/3 - s)). The largest error is 1.1e-5. */
static int32_t vad_tanh20(int32_t a, int bits) {{
  const uint32_t size = a < 0 ? 0u - (uint32_t)a : (uint32_t)a;
  const uint32_t nearest = (size + (1u << (bits - 4))) >> (bits - 3);
  int32_t y = 1 << 20;
  if (nearest < 49) {{
    const int32_t t = vad_tanh_table[nearest];
    const int32_t d = (int32_t)(size - (nearest << (bits - 3))) * (1 << (18 - bits)); /* 18 fraction bits */
    const int32_t slope = 65536 - (int32_t)((uint32_t)t * (uint32_t)t >> 16);
    const int32_t u = (slope * d) >> 14;
    y = t * 16 + u - ((((u * d) >> 18) * (t - ((d * (43691 - slope)) >> 18))) >> 16);
  }}
  return a < 0 ? -y : y;
}}
""",
)


def tanh20(a: Array, bits: int) -> Array:
    size = np.abs(a)
    nearest = (size + (1 << (bits - 4))) >> (bits - 3)
    one = nearest > 48
    t = _TABLE[np.minimum(nearest, 48)]
    d = (size - (nearest << (bits - 3))) << (18 - bits)
    slope = 65536 - (t * t >> 16)
    u = (slope * d) >> 14
    y = t * 16 + u - ((((u * d) >> 18) * (t - ((d * (43691 - slope)) >> 18))) >> 16)
    y = np.where(one, 1 << 20, y)
    return np.where(a < 0, -y, y)


TANH = Function(
    "vad_tanh",
    """\
/* tanh with 15 fraction bits; the largest error is 0.83 of the last bit. */
static int32_t vad_tanh(int32_t a, int bits) {
  return vad_shifted(vad_tanh20(a, bits), 5);
}
""",
    (TANH20, SHIFTED),
)


def tanh(a: Array, bits: int) -> Array:
    return shifted(tanh20(a, bits), 5)


SIGMOID = Function(
    "vad_sigmoid",
    """\
/* (1 + tanh(a / 2)) / 2 with 15 fraction bits; the largest error is 0.66 of the last bit. */
static int32_t vad_sigmoid(int32_t a, int bits) {
  return vad_shifted((1 << 20) + vad_tanh20(a, bits + 1), 6);
}
""",
    (TANH20, SHIFTED),
)


def sigmoid(a: Array, bits: int) -> Array:
    return shifted((1 << 20) + tanh20(a, bits + 1), 6)


def _hard_sigmoid(name: str, formula: str, halves: int, factor: int) -> Function:
    """Makes min(max(a factor / 2^17 + 1/2, 0), 1), 0 or 1 from |a| = halves / 2 on; the factor is rounded down."""
    text = f"""\
/* {formula} */
static int32_t vad_{name}(int32_t a, int bits) {{
  if (a >= {halves} * (1 << bits) / 2) return 32768;
  if (a <= -{halves} * (1 << bits) / 2) return 0;
  return 16384 + vad_shifted(vad_times(a * (1 << ({MOST_BITS} - bits)), {factor}), 4);
}}
"""
    return Function(f"vad_{name}", text, (TIMES, SHIFTED))


def _hard_sigmoid_of(a: Array, bits: int, halves: int, factor: int) -> Array:
    limit = halves * (1 << bits) // 2
    inner = np.minimum(np.maximum(a, -limit), limit)
    between = 16384 + shifted(times(inner << (MOST_BITS - bits), factor), 4)
    return np.where(a >= limit, ONE, np.where(a <= -limit, 0, between))


def hard_sigmoid_keras2(a: Array, bits: int) -> Array:
    return _hard_sigmoid_of(a, bits, 5, 26214)


def hard_sigmoid_keras3(a: Array, bits: int) -> Array:
    return _hard_sigmoid_of(a, bits, 6, 21845)


# Activations with values within -1 and 1, which 15 fraction bits hold; those of gates are within 0 and 1.
ACTIVATIONS = {
    "tanh": (TANH, tanh),
    "sigmoid": (SIGMOID, sigmoid),
    "hard_sigmoid_keras2": (
        _hard_sigmoid("hard_sigmoid_keras2", "min(max(0.2 a + 0.5, 0), 1)", 5, 26214),
        hard_sigmoid_keras2,
    ),
    "hard_sigmoid_keras3": (
        _hard_sigmoid("hard_sigmoid_keras3", "min(max(a / 6 + 0.5, 0), 1)", 6, 21845),
        hard_sigmoid_keras3,
    ),
}
GATES = [name for name in ACTIVATIONS if name != "tanh"]
