"""The sums of the profile int16 are products of an int8 matrix and an int16 vector, exact in int32."""

from __future__ import annotations

import numpy as np

from pyrnn.checks.arrays import Array

from ..functions import Function
from ..products import COPY
from .functions import CLAMP, INT16, SHIFTED, TIMES, clamp, int16, shifted, times

BLOCK = 512  # the most columns whose sum fits in int32: 512 x 127 x 2^15 < 2^31 - 2^20
MANTISSA = 11  # bits of a row's scale, beside 5 bits for its shift

SUM = Function(
    "vad_sum",
    """\
/* start + scale s. The number that `scale` stands for is its upper 11 bits / 2^11 / 2^(its lower 5 bits). */
static int32_t vad_sum(int32_t start, int32_t s, int scale) {
  return vad_clamp(start + vad_shifted(vad_times(s, (scale >> 5) * 16), scale & 31));
}
""",
    (CLAMP, SHIFTED, TIMES),
)

# Four rows share the loads of x. GRU(64, 128) at -Os takes 2.2 instructions for each multiply-add on a Cortex-M4, 3.6
# on an M3. The order of the bytes is such that one instruction extends the two weights of two neighbours in x.
MULTIPLY = Function(
    "vad_multiply",
    """\
/* VAD_ROW adds to s the sum over four k of w x, for one row, whose bytes are in the order k = 0, 2, 1, 3. */
#if defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_BIG_ENDIAN)
#include <arm_acle.h>
static uint32_t vad_word(const void *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}
/* Extends bytes 1 and 3 in one instruction; __sxtb16 of a shifted word takes two. */
#if defined(__GNUC__)
static uint32_t vad_odd_bytes(uint32_t word) {
  uint32_t pair;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
  return pair;
}
#else
#define vad_odd_bytes(word) __sxtb16((word) >> 8)
#endif
#define VAD_ACTIVATIONS(x) \\
  const int16x2_t x01 = (int16x2_t)vad_word(x), x23 = (int16x2_t)vad_word((x) + 2)
#define VAD_ROW(s, w) \\
  { \\
    const uint32_t w4 = vad_word(w); \\
    s = __smlad(__sxtb16((int8x4_t)w4), x01, s); \\
    s = __smlad((int16x2_t)vad_odd_bytes(w4), x23, s); \\
  }
#else
#define VAD_ACTIVATIONS(x) const int32_t x0 = (x)[0], x1 = (x)[1], x2 = (x)[2], x3 = (x)[3]
#define VAD_ROW(s, w) s += (w)[0] * x0 + (w)[2] * x1 + (w)[1] * x2 + (w)[3] * x3;
#endif

/* Adds up all groups of four k for four rows. v points into x; it and w move on. */
#if defined(__thumb__) && !defined(__thumb2__)
/* The eight registers of a Cortex-M0+ hold the sums of two rows, not of four. Two rows at a time take 6.8 instructions
   for each multiply-add, four take 7.9. */
#define VAD_TERM(a, b, i, j) \\
  { \\
    const int32_t x_k = v[i]; \\
    a += p[j] * x_k; \\
    b += p[(j) + 4] * x_k; \\
  }
#define VAD_TWO(a, b, row) \\
  for (p = w, v = x, k = K / 4; k; --k, v += 4, p += 16) { \\
    VAD_TERM(a, b, 0, 4 * row) \\
    VAD_TERM(a, b, 1, 4 * row + 2) \\
    VAD_TERM(a, b, 2, 4 * row + 1) \\
    VAD_TERM(a, b, 3, 4 * row + 3) \\
  }
#define VAD_FOURS() \\
  { \\
    const int8_t *p; \\
    VAD_TWO(s0, s1, 0) \\
    VAD_TWO(s2, s3, 2) \\
    w = p; \\
  }
#else
#define VAD_FOURS() \\
  for (k = K / 4; k; --k, v += 4, w += 16) { \\
    VAD_ACTIVATIONS(v); \\
    VAD_ROW(s0, w) \\
    VAD_ROW(s1, w + 4) \\
    VAD_ROW(s2, w + 8) \\
    VAD_ROW(s3, w + 12) \\
  }
#endif

/* y[n] = start[n] + scale[n] (sum over k of w[n][k] x[k]) for K <= 512, where the sum is exact. The weights are stored
   as N / 4 panels of four rows, each [K/4][4][4], then [K % 4][4]; the last N % 4 rows follow. */
static void vad_multiply(const int8_t *w, const uint16_t *scale, const int32_t *start, const int16_t *x, int K, int N,
                         int32_t *y) {
  int n, k;
  for (n = N / 4; n; --n, scale += 4, start += 4, y += 4) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    const int16_t *v = x;
    VAD_FOURS()
    for (k = K % 4; k; --k, ++v, w += 4) {
      s0 += w[0] * *v;
      s1 += w[1] * *v;
      s2 += w[2] * *v;
      s3 += w[3] * *v;
    }
    y[0] = vad_sum(start[0], s0, scale[0]);
    y[1] = vad_sum(start[1], s1, scale[1]);
    y[2] = vad_sum(start[2], s2, scale[2]);
    y[3] = vad_sum(start[3], s3, scale[3]);
  }
  for (n = N % 4; n; --n) {
    int32_t s = 0;
    const int16_t *v = x;
    for (k = K / 4; k; --k, v += 4, w += 4) {
      VAD_ACTIVATIONS(v);
      VAD_ROW(s, w)
    }
    for (k = K % 4; k; --k) s += *w++ * *v++;
    *y++ = vad_sum(*start++, s, *scale++);
  }
}
""",
    (SUM,),
)

NARROW = Function(
    "vad_narrow",
    """\
/* Converts sums to values: y = a / 2^shift. */
static void vad_narrow(const int32_t *a, int N, int shift, int16_t *y) {
  int n;
  for (n = 0; n < N; ++n) y[n] = vad_int16(vad_shifted(a[n], shift));
}
""",
    (INT16, SHIFTED),
)


def _copy(name: str, kind: str) -> Function:
    return Function(name, COPY.text.replace("float", kind).replace(COPY.name, name))


COPY_SUMS, COPY_VALUES = _copy("vad_copy_sums", "int32_t"), _copy(COPY.name, "int16_t")


def narrow(a: Array, shift: int) -> Array:
    return int16(shifted(a, shift))


class Matrix:
    """A matrix [N,K] as integers within +-127 and a scale for each row, for x and sums of these fraction bits.

    A scale has 11 bits and is rounded up; the integers are computed with the rounded scale, so it costs no accuracy.

    Attributes:
        rows: N.
        blocks: the integers, at most 512 columns each.
        scales: [N], as vad_sum reads them.
    """

    def __init__(self, weight: Array, x_bits: int, sum_bits: int) -> None:
        exact, exponent = _scales(weight)
        # sums = scale integers x 2^(sum_bits - x_bits) = mantissa 2^-11 2^-shift integers x
        shift = np.clip(x_bits - sum_bits - exponent, 1, 31)
        step = np.ldexp(1.0, x_bits - sum_bits - shift - MANTISSA)
        mantissa = np.ceil(exact / step)
        scale = np.where(mantissa > 0, mantissa * step, 1.0)
        integers = np.rint(weight.astype(np.float64) / scale[:, None]).astype(np.int8)
        self.rows = len(weight)
        self.blocks = [integers[:, k : k + BLOCK] for k in range(0, integers.shape[1], BLOCK)]
        self.scales = (mantissa.astype(np.int64) << 5 | shift).astype(np.uint16)
        # Sums below 2^53 are exact in float64, whose products are several times as fast as those of integers.
        self._transposed = [block.T.astype(np.float64) for block in self.blocks]
        self._mantissa, self._shift = mantissa.astype(np.int64) * 16, shift.astype(np.int64)

    def sums(self, start: Array, x: Array) -> Array:
        """Computes the same as vad_multiply, block by block, for start [..., N] and x [..., K]."""
        for i, block in enumerate(self._transposed):
            s = (x[..., i * BLOCK : i * BLOCK + len(block)] @ block).astype(np.int64)
            start = clamp(start + shifted(times(s, self._mantissa), self._shift))
        return start


def sum_bits(x_bits: int, weight: Array) -> int:
    """Returns the most fraction bits of sums for which every row's scale is below 1/2."""
    _, exponent = _scales(weight)
    return int(x_bits - exponent.max() - 1)


def _scales(weight: Array) -> tuple[Array, Array]:
    """Returns the scale of each row, max |w| / 127, and the power of two above it when it is rounded to 11 bits."""
    exact = np.abs(weight.astype(np.float64)).max(axis=1) / 127
    return exact, np.where(exact > 0, np.frexp(exact * 2048 / 2047)[1], -200)


def panels(block: Array) -> Array:
    """Returns integers [N,K] as vad_multiply reads them."""
    many, columns = len(block) // 4, block.shape[1]
    fours = columns // 4 * 4
    order = np.arange(fours).reshape(-1, 4)[:, [0, 2, 1, 3]].ravel()
    whole, rest = block[:, order], block[:, fours:]
    panel = whole[: 4 * many].reshape(many, 4, fours // 4, 4).swapaxes(1, 2).reshape(many, 4 * fours)
    ends = rest[: 4 * many].reshape(many, 4, columns - fours).swapaxes(1, 2).reshape(many, 4 * (columns - fours))
    single = np.concatenate([whole[4 * many :], rest[4 * many :]], axis=1)
    return np.concatenate([np.concatenate([panel, ends], axis=1).ravel(), single.ravel()])
