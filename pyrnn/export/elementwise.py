"""The C of layers without weights, with the arithmetic of csrc/cells/elementwise.h, and exp of csrc/simd/math.h."""

from __future__ import annotations

import math

import numpy as np

from pyrnn.nn.activations import ALPHAS, Activation

from .functions import ACTIVATIONS, SIGMOID, TANH, Function

# The constants of exp in float; a test compares them with csrc/simd/math.h.
EXP_LEAST, EXP_MOST = "-104.0f", "89.0f"
EXP_LN2 = ("0.693145752f", "1.42860677e-06f")
EXP_SERIES = ("1.0f", "0.5f", "0.166666672f", "0.0416666679f", "0.00833333377f", "0.00138888892f", "0.000198412701f")


def _horner(variable: str, factors: tuple[str, ...]) -> str:
    if len(factors) == 1:
        return factors[0]
    return f"VAD_FMA({_horner(variable, factors[1:])}, {variable}, {factors[0]})"


_EXP_PARTS = Function(
    "vad_exp_parts",
    f"""\
/* e^x = 2^n (1 + r series), where n is x / ln 2 rounded to the nearest integer. 2^n = half other, two factors that
   stay normal where 2^n does not. The result of NaN is NaN. */
typedef struct {{
  float r, series, half, other;
}} vad_exp_type;

static float vad_power(int32_t n) {{
  union {{
    uint32_t bits;
    float value;
  }} power;
  power.bits = (uint32_t)(n + 127) << 23;
  return power.value;
}}

static vad_exp_type vad_exp_parts(float x) {{
  union {{
    float value;
    uint32_t bits;
  }} shifted;
  vad_exp_type e;
  int32_t whole;
  float n;
  if ({EXP_LEAST} > x) x = {EXP_LEAST};
  if ({EXP_MOST} < x) x = {EXP_MOST};
  /* The float 1.5 2^23 + v has the integer nearest to v in its last bits. */
  shifted.value = VAD_FMA(x, 1.44269502f, 12582912.0f);
  n = shifted.value - 12582912.0f;
  whole = (int32_t)(shifted.bits - 0x4B400000u);
  e.r = VAD_FMA(-n, {EXP_LN2[1]}, VAD_FMA(-n, {EXP_LN2[0]}, x));
  e.series = {_horner("e.r", EXP_SERIES[4:])};
  e.series = {_horner("e.r", (*EXP_SERIES[:4], "e.series"))};
  e.half = vad_power(whole >> 1);
  e.other = vad_power(whole - (whole >> 1));
  return e;
}}
""",
)

EXP = Function(
    "vad_exp",
    """\
static float vad_exp(float x) {
  const vad_exp_type e = vad_exp_parts(x);
  return VAD_FMA(e.r, e.series, 1.0f) * e.half * e.other;
}
""",
    (_EXP_PARTS,),
)

_EXPM1 = Function(
    "vad_expm1",
    """\
/* e^x - 1 for x <= 0. The product in front of the subtraction is exact, so fusing the two changes nothing. */
static float vad_expm1(float x) {
  const vad_exp_type e = vad_exp_parts(x);
  const float power = e.half * e.other;
  return VAD_FMA(power * e.r, e.series, power - 1.0f);
}
""",
    (_EXP_PARTS,),
)

_ELU = Function(
    "vad_elu",
    """\
static float vad_elu(float x, float alpha) {
  return x > 0.0f ? x : alpha * vad_expm1(x);
}
""",
    (_EXPM1,),
)

_SELU = Function(
    "vad_selu",
    """\
static float vad_selu(float x) {
  return 1.05070102f * vad_elu(x, 1.67326319f);
}
""",
    (_ELU,),
)

_LEAKY_RELU = Function(
    "vad_leaky_relu",
    """\
static float vad_leaky_relu(float x, float alpha) {
  return x > 0.0f ? x : alpha * x;
}
""",
)

_SOFTSIGN = Function(
    "vad_softsign",
    """\
static float vad_softsign(float x) {
  return x / (1.0f + VAD_ABS(x));
}
""",
)

_SILU = Function(
    "vad_silu",
    """\
static float vad_silu(float x) {
  return x * vad_sigmoid(x);
}
""",
    (SIGMOID,),
)

_GELU_TANH = Function(
    "vad_gelu_tanh",
    """\
static float vad_gelu_tanh(float x) {
  const float half = 0.5f * x;
  return VAD_FMA(half, vad_tanh(0.797884583f * VAD_FMA(0.044715f * x * x, x, x)), half);
}
""",
    (TANH,),
)

SOFTMAX = Function(
    "vad_softmax",
    """\
/* y = exp(x - most) / sum of these. y is volatile because compilers may else fuse the last product of exp with the
   sum, which changes its bits. */
static void vad_softmax(const float *x, int n, volatile float *y) {
  float most = x[0], sum = 0.0f;
  int i;
  for (i = 1; i < n; ++i)
    if (x[i] > most) most = x[i];
  for (i = 0; i < n; ++i) y[i] = vad_exp(x[i] - most);
  for (i = 0; i < n; ++i) sum += y[i];
  for (i = 0; i < n; ++i) y[i] = y[i] / sum;
}
""",
    (EXP,),
)

# identity needs no C. softplus and gelu have none, because in Python NumPy computes them, with bits that differ from
# machine to machine.
LAYERS = {name: function for name, function in ACTIVATIONS.items() if name != "identity"} | {
    "elu": _ELU,
    "selu": _SELU,
    "exponential": EXP,
    "leaky_relu": _LEAKY_RELU,
    "softsign": _SOFTSIGN,
    "silu": _SILU,
    "swish": _SILU,
    "gelu_tanh": _GELU_TANH,
}


def call(layer: Activation, x: str) -> tuple[str, Function]:
    """Returns the C call of the layer's function for an x, and that function."""
    alpha = ALPHAS.get(layer.name, math.nan) if layer.alpha is None else layer.alpha
    more = "" if math.isnan(alpha) else f", {np.float32(alpha)!s}f"
    function = LAYERS[layer.name]
    return f"{function.name}({x}{more})", function
