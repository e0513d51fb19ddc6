"""The C functions of an exported network's activations, for the name `vad`; products.py has the sums.

Each sum has its terms in the order of csrc/README.md ("The bit contract"), so its bits are those of the kernels.
No product is added with a plain +, so a compiler that contracts a * b + c into a fused multiply-add finds none.
"""

from __future__ import annotations

from dataclasses import dataclass

# The constants of tanh in float; a test compares them with csrc/simd/math.h. TANH_TINY is 2^-100, which keeps x^2 from
# being subnormal. P and Q begin with the constant coefficient.
TANH_CLAMP = "9.015625f"
TANH_TINY = "7.88860905e-31f"
TANH_P = ("1.0f", "0.0297693796f", "0.000114157017f")
TANH_Q = ("2.0f", "0.226205349f", "0.00241216877f", "2.45385627e-06f")


@dataclass(frozen=True)
class Function:
    """A static function of C, and the functions that it calls."""

    name: str
    text: str
    calls: tuple[Function, ...] = ()


def in_order(functions: list[Function]) -> list[Function]:
    """Returns these functions and all that they call, each once, callees first."""
    found: dict[str, Function] = {}
    for function in functions:
        for each in (*in_order(list(function.calls)), function):
            found.setdefault(each.name, each)
    return list(found.values())


# The kernels limit the result to 1 too. The C need not: no float up to TANH_CLAMP gives more.
TANH = Function(
    "vad_tanh",
    f"""\
/* tanh(x) = 2 n d / (n^2 + d^2), where n / d = x P(x^2) / Q(x^2) approximates tanh(x / 2). The largest error is
   1.8e-7; the result of NaN is NaN. */
static float vad_tanh(float x) {{
  float x2, n, d;
  if (VAD_ABS(x) > {TANH_CLAMP}) return x < 0.0f ? -1.0f : 1.0f;
  x2 = VAD_FMA(x, x, {TANH_TINY});
  n = VAD_FMA(x, x2 * VAD_FMA({TANH_P[2]}, x2, {TANH_P[1]}), x);
  d = VAD_FMA(VAD_FMA(VAD_FMA({TANH_Q[3]}, x2, {TANH_Q[2]}), x2, {TANH_Q[1]}), x2, {TANH_Q[0]});
  return n * (d + d) / VAD_FMA(n, n, d * d);
}}
""",
)

SIGMOID = Function(
    "vad_sigmoid",
    """\
static float vad_sigmoid(float x) {
  return VAD_FMA(0.5f, vad_tanh(0.5f * x), 0.5f);
}
""",
    (TANH,),
)

RELU = Function(
    "vad_relu",
    """\
static float vad_relu(float x) {
  return x < 0.0f ? 0.0f : x;
}
""",
)

HARD_SIGMOID_KERAS2 = Function(
    "vad_hard_sigmoid_keras2",
    """\
/* clip(0.2 x + 0.5, 0, 1) */
static float vad_hard_sigmoid_keras2(float x) {
  x = vad_relu(VAD_FMA(0.2f, x, 0.5f));
  return x > 1.0f ? 1.0f : x;
}
""",
    (RELU,),
)

HARD_SIGMOID_KERAS3 = Function(
    "vad_hard_sigmoid_keras3",
    """\
/* relu6(x + 3) / 6 */
static float vad_hard_sigmoid_keras3(float x) {
  x = vad_relu(x + 3.0f);
  return (x > 6.0f ? 6.0f : x) / 6.0f;
}
""",
    (RELU,),
)

IDENTITY = Function(
    "vad_identity",
    """\
static float vad_identity(float x) {
  return x;
}
""",
)

ACTIVATIONS = {
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "relu": RELU,
    "identity": IDENTITY,
    "hard_sigmoid_keras2": HARD_SIGMOID_KERAS2,
    "hard_sigmoid_keras3": HARD_SIGMOID_KERAS3,
}

FLUSH = Function(
    "vad_flush",
    """\
/* Makes 0 of a state below 2^-100, so that a decaying state never becomes subnormal. */
static float vad_flush(float x) {
  return VAD_ABS(x) < 7.88860905e-31f ? 0.0f : x;
}
""",
)
