"""The C functions of the sums: products of a matrix and a vector, in float and in int8, and their helpers."""

from __future__ import annotations

from .functions import Function


def zero(kind: str) -> Function:
    """Returns the function that sets numbers of that type to zero."""
    name = "vad_zero" if kind == "float" else f"vad_zero_{kind.removesuffix('_t')}"
    return Function(
        name,
        f"""\
/* Sets n numbers to zero. x is volatile because compilers would else make this loop a call of memset. */
static void {name}(volatile {kind} *x, int n) {{
  int i;
  for (i = 0; i < n; ++i) x[i] = 0;
}}
""",
    )


ZERO = zero("float")

COPY = Function(
    "vad_copy",
    """\
static void vad_copy(const float *x, int n, volatile float *y) {
  int i;
  for (i = 0; i < n; ++i) y[i] = x[i];
}
""",
)

# The eight sums are eight variables: at -Os an array would stay in memory and double the instructions. On a Cortex-M4F
# a multiply-add takes 1.3 instructions with vldmia and four k in each iteration, 2.2 without.
_LANES = range(8)
_AT = ["n", *(f"n + {i}" for i in _LANES[1:])]
MULTIPLY = Function(
    "vad_multiply",
    rf"""/* VAD_ONE and VAD_FOUR add one or four k to the sums of eight outputs, a0 to a7. w points into the weights, v
   into the inputs; both move on. */
#if defined(__GNUC__) && defined(__arm__) && defined(__ARM_FEATURE_FMA)
/* vldmia loads eight weights in one instruction, where compilers use eight. */
#define VAD_EIGHT(v_k) \
  "vldmia %0!, {{s0-s7}}\n" \
{chr(10).join(f'  "vfma.f32 %{i + 2}, s{i}, " v_k "{chr(92)}n"' + (" " + chr(92) if i < 7 else "") for i in _LANES)}
#define VAD_SUMS(inputs, terms) \
  __asm__ __volatile__("vldmia %1!, {{" inputs "}}\n" terms \
                       : "+r"(w), "+r"(v), {", ".join(f'"+t"(a{i})' for i in range(4))}, \
                         {", ".join(f'"+t"(a{i})' for i in range(4, 8))} \
                       : \
                       : {", ".join(f'"s{i}"' for i in range(12))}, "memory")
#define VAD_ONE() VAD_SUMS("s8", VAD_EIGHT("s8"))
#define VAD_FOUR() VAD_SUMS("s8-s11", VAD_EIGHT("s8") VAD_EIGHT("s9") VAD_EIGHT("s10") VAD_EIGHT("s11"))
#else
#define VAD_ONE() \
{chr(10).join(f"  a{i} = VAD_FMA(w[{i}], *v, a{i}); {chr(92)}" for i in _LANES)}
  w += 8; \
  ++v
#define VAD_FOUR() \
  VAD_ONE(); \
  VAD_ONE(); \
  VAD_ONE(); \
  VAD_ONE()
#endif

/* y[n] = start[n] + sum over k of w[n][k] x[k], one fused multiply-add after the other from k = 0 on. Registers hold
   the sums of eight outputs at a time: the weights are stored as [N/8][K][8], those of the last N % 8 outputs follow
   as [K][N % 8]. */
static void vad_multiply(const float *w, const float *start, const float *x, int K, int N, float *y) {{
  const int whole = N / 8 * 8, left = N % 8;
  int n, k;
  for (n = 0; n < whole; n += 8) {{
    const float *v = x;
    float {", ".join(f"a{i} = start[{_AT[i]}]" for i in _LANES[:4])};
    float {", ".join(f"a{i} = start[{_AT[i]}]" for i in _LANES[4:])};
    for (k = K; k >= 4; k -= 4) {{
      VAD_FOUR();
    }}
    for (; k; --k) {{
      VAD_ONE();
    }}
    {" ".join(f"y[{_AT[i]}] = a{i};" for i in _LANES[:4])}
    {" ".join(f"y[{_AT[i]}] = a{i};" for i in _LANES[4:])}
  }}
  for (n = 0; n < left; ++n) {{
    float a = start[whole + n];
    for (k = 0; k < K; ++k) a = VAD_FMA(w[k * left + n], x[k], a);
    y[whole + n] = a;
  }}
}}
""",
)

QUANTIZE = Function(
    "vad_quantize",
    """\
/* Approximates x by scale q: scale = max |x| / 127, and q = x / scale rounded to the nearest integer, ties to even.
   Returns the scale. If max |x| < 2^-100 the scale is 0, if x holds an infinity or a NaN it is NaN; all q are 0 then.
   q is volatile because compilers may else call memset. */
static float vad_quantize(const float *x, int K, volatile int8_t *q) {
  float most = 0.0f, inverse = 0.0f, scale = 0.0f;
  int k;
  for (k = 0; k < K; ++k) {
    const float size = VAD_ABS(x[k]);
    if (!(size <= 3.40282347e38f)) {
      most = 0.0f;
      scale = size - size;
      break;
    }
    if (size > most) most = size;
  }
  if (most >= 7.88860905e-31f) {
    scale = most / 127.0f;
    inverse = 127.0f / most;
  }
  /* Adding 1.5 2^23 to a float rounds it to the nearest integer. */
  for (k = 0; k < K; ++k) {
    const float v = inverse != 0.0f ? x[k] : 0.0f;
    q[k] = (int8_t)(VAD_FMA(v, inverse, 12582912.0f) - 12582912.0f);
  }
  for (; k % 4; ++k) q[k] = 0;
  return scale;
}
""",
)

# Four rows share the loads of q. GRU(64, 128) on a Cortex-M4F at -Os takes 2.5 instructions for each multiply-add; one
# row at a time, without the instruction for two products, takes 6.4.
MULTIPLY_INT8 = Function(
    "vad_multiply_int8",
    """\
/* VAD_ROW adds to s the sum over four k of w q, for one row. */
#ifdef __ARM_FEATURE_SIMD32
#include <arm_acle.h>
static uint32_t vad_word(const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}
#define VAD_ACTIVATIONS(q) \\
  const uint32_t q4 = vad_word(q); \\
  const int16x2_t q02 = __sxtb16((int8x4_t)q4), q13 = __sxtb16((int8x4_t)(q4 >> 8))
#define VAD_ROW(s, w) \\
  { \\
    const uint32_t w4 = vad_word(w); \\
    s = __smlad(__sxtb16((int8x4_t)w4), q02, s); \\
    s = __smlad(__sxtb16((int8x4_t)(w4 >> 8)), q13, s); \\
  }
#else
#define VAD_ACTIVATIONS(q) const int32_t q0 = (q)[0], q1 = (q)[1], q2 = (q)[2], q3 = (q)[3]
#define VAD_ROW(s, w) s += (w)[0] * q0 + (w)[1] * q1 + (w)[2] * q2 + (w)[3] * q3;
#endif

/* y[n] = start[n] + scale_x scale[n] (sum over k of w[n][k] q[k]); the sum is exact. The weights are stored as
   [N/4][K/4][4][4], the last N % 4 rows follow as [N % 4][K]. K is rounded up to a multiple of four, with zeros. */
static void vad_multiply_int8(const int8_t *w, const float *scale, const float *start, const float *x, int8_t *q,
                              int K, int N, float *y) {
  const float scale_x = vad_quantize(x, K, q);
  const int whole = N / 4 * 4;
  int n, k;
  for (n = 0; n < whole; n += 4) {
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (k = 0; k < K; k += 4, w += 16) {
      VAD_ACTIVATIONS(q + k);
      VAD_ROW(s0, w)
      VAD_ROW(s1, w + 4)
      VAD_ROW(s2, w + 8)
      VAD_ROW(s3, w + 12)
    }
    y[n] = VAD_FMA((float)s0, scale_x * scale[n], start[n]);
    y[n + 1] = VAD_FMA((float)s1, scale_x * scale[n + 1], start[n + 1]);
    y[n + 2] = VAD_FMA((float)s2, scale_x * scale[n + 2], start[n + 2]);
    y[n + 3] = VAD_FMA((float)s3, scale_x * scale[n + 3], start[n + 3]);
  }
  for (; n < N; ++n) {
    int32_t s = 0;
    for (k = 0; k < K; k += 4, w += 4) {
      VAD_ACTIVATIONS(q + k);
      VAD_ROW(s, w)
    }
    y[n] = VAD_FMA((float)s, scale_x * scale[n], start[n]);
  }
}
""",
    (QUANTIZE,),
)
