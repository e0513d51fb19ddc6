// tanh, sigmoid, exp and expm1 as fixed sequences of fma, div and select, without libm: every ISA computes the same
// bits.
//
// Each function states its largest error, absolute and in units in the last place (ulp) of the exact result, and the
// set of arguments that were tried. tests/core/test_math.py checks the bounds. A caller runs them in IEEE mode
// (threads/ieee.h).
#pragma once

#include "simd/vec.h"

namespace pyrnn {
namespace {

// The coefficients of tanh, which fit_tanh.py computes: tanh(x) = 2 n d / (n^2 + d^2), where n/d = x P(x^2) / Q(x^2)
// approximates tanh(x/2). An error of n/d is divided by cosh(x) on its way to tanh(x), so the rounding errors of P and
// Q vanish where tanh saturates, and P and Q need fewer terms than a fit of tanh itself (x P5/Q4 in float had an error
// of 2.8e-7). p[0] is 1.
template <class T> struct TanhFit;
template <> struct TanhFit<float> {
  static constexpr float clamp = 9.015625f;  // From 13 ln 2 = 9.0109 on, tanh rounds to 1.
  static constexpr float p[] = {1.0f, 0.0297693796f, 0.000114157017f};
  static constexpr float q[] = {2.0f, 0.226205349f, 0.00241216877f, 2.45385627e-06f};
};
template <> struct TanhFit<double> {
  static constexpr double clamp = 19.0625;  // From 27.5 ln 2 = 19.0616 on, tanh rounds to 1.
  static constexpr double p[] = {1.0,
                                 0.03602406302963818,
                                 0.0003033043277492253,
                                 8.530027002707015e-07,
                                 8.073888946047798e-10,
                                 1.8196670911629692e-13};
  static constexpr double q[] = {2.0,
                                 0.23871479272594237,
                                 0.003832841382661459,
                                 1.832745108013036e-05,
                                 3.037457081068748e-08,
                                 1.5204524994381303e-11,
                                 1.044681569761233e-15};
};

// Returns coefficient[n-1] x^(n-1-first) + ... + coefficient[first]; the highest power comes first.
template <int first, class V, class T, int n>
[[gnu::always_inline]] inline V horner(V x, const T (&coefficient)[n]) noexcept {
  V sum = splat(coefficient[n - 1]);
#pragma GCC unroll 8
  for (int i = n - 2; i >= first; --i) sum = fma(sum, x, splat(coefficient[i]));
  return sum;
}

template <class V> [[gnu::always_inline]] inline V clamp(V x, V limit) noexcept {
  return lesser(limit, greater(-limit, x));  // NaN stays NaN.
}

// flush() sets smaller magnitudes to zero, and tanh adds `tiny` to x^2: no result that matters depends on so small a
// number. `tiny` is so far above the subnormal numbers that its product with a weight is normal too.
template <class T> constexpr T tiny = sizeof(T) == 4 ? T(0x1p-100) : T(0x1p-900);

// tanh(x). For a normal x no intermediate result is subnormal (CPUs are slow on subnormals): `tiny` guards x^2, and
// x^3 is never formed alone.
//
//   range        every x; the result lies in [-1, 1], and tanh(-x) = -tanh(x)
//   max error    float  1.8e-7, 4.7 ulp (every float)
//                double 3.7e-16 (1e8 points), 5.1 ulp (2.4e7 points from 0.2 to 0.32, where it is largest)
//   NaN          gives NaN
//   infinity     gives +-1; every |x| >= TanhFit::clamp does
//   zero         keeps its sign
//   subnormals   are returned as they are
template <class V> [[gnu::always_inline]] inline V tanh(V x) noexcept {
  using Fit = TanhFit<Element<V>>;
  x = clamp(x, splat(Fit::clamp));
  const V x2 = fma(x, x, splat(tiny<Element<V>>));
  const V n = fma(x, x2 * horner<1>(x2, Fit::p), x);
  const V d = horner<0>(x2, Fit::q);
  const V ratio = n * (d + d) / fma(n, n, d * d);
  if constexpr (sizeof(Element<V>) == sizeof(float)) return ratio;  // It is at most 1: every float was tried.
  else return clamp(ratio, splat(Element<V>(1)));
}

// sigmoid(x) = 1 / (1 + e^-x), computed as tanh(x/2) / 2 + 1/2.
//
//   range        every x; the result lies in [0, 1]
//   max error    float  1.2e-7; 1.96 ulp for x >= 0 (every float)
//                double 2.4e-16; 2.15 ulp for x >= 0 (2.4e7 points)
//                for x < 0 the error in ulp is not bounded: the result is the difference of two numbers near 1/2
//   NaN          gives NaN
//   infinity     gives 1 and 0; so does every |x| of at least twice TanhFit::clamp
//   zero         gives 1/2
//   subnormals   give 1/2
template <class V> [[gnu::always_inline]] inline V sigmoid(V x) noexcept {
  const V half = splat(Element<V>(0.5));
  return fma(half, tanh(half * x), half);
}

// The constants of exp and expm1: e^x = 2^n e^r, where n is x / ln 2 rounded to the nearest integer and |r| <= ln(2) /
// 2. The power series gives e^r - 1; no fit is needed, because its first omitted term is below 2^-27 (float) and 2^-57
// (double) of e^r.
template <class T> struct ExpRange;
template <> struct ExpRange<float> {
  using Integer = int;
  static constexpr int mantissa = 23, bias = 127, terms = 7;
  static constexpr float least = -104.0f, most = 89.0f;  // Below `least` the result is 0, above `most` infinity.
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cf7p-20f;  // The product n ln2_high is exact.
};
template <> struct ExpRange<double> {
  using Integer = long long;
  static constexpr int mantissa = 52, bias = 1023, terms = 13;
  static constexpr double least = -746.0, most = 710.0;
  static constexpr double ln2_high = 0x1.62e42fefap-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
};

// The coefficients 1, 1/2, 1/6 ...: (e^r - 1) / r = sum over k of r^k / (k + 1)!
template <class T> struct ExpSeries {
  T factor[ExpRange<T>::terms];
  constexpr ExpSeries() noexcept : factor{} {
    T factorial = 1;
    for (int k = 0; k < ExpRange<T>::terms; ++k) factor[k] = 1 / (factorial *= T(k + 1));
  }
};
template <class T> constexpr ExpSeries<T> exp_series;

template <class V> struct ExpParts {
  V r, series;  // r * series = e^r - 1
  V half, other;  // half * other = 2^n. The product may be subnormal, the factors are normal.
};

template <class V> [[gnu::always_inline]] inline ExpParts<V> exp_parts(V x) noexcept {
  using T = Element<V>;
  using Range = ExpRange<T>;
  typedef typename Range::Integer Integers __attribute__((vector_size(sizeof(V))));
  x = lesser(splat(Range::most), greater(splat(Range::least), x));
  // In the rounded sum 1.5 2^mantissa + v, the last bits hold the integer nearest to v.
  const V shift = splat(T(3ll << (Range::mantissa - 1)));
  const V shifted = fma(x, splat(T(0x1.71547652b82fep+0)), shift), n = shifted - shift;
  const V r = fma(-n, splat(Range::ln2_low), fma(-n, splat(Range::ln2_high), x));
  const Integers whole = (Integers)shifted - (Integers)shift, half = whole >> 1;
  const auto power = [](Integers exponent) { return (V)((exponent + Range::bias) << Range::mantissa); };
  return {r, horner<0>(r, exp_series<T>.factor), power(half), power(whole - half)};
}

// e^x.
//
//   range        every x
//   max error    float  0.94 ulp (every float)
//                double 0.88 ulp (1e7 points)
//                these hold where the result is normal; a subnormal result is wrong by at most its last bit
//   NaN          gives NaN
//   infinity     +infinity gives infinity, as does every x whose e^x overflows; -infinity gives 0
//   zero         gives exactly 1
//   subnormals   give 1
template <class V> [[gnu::always_inline]] inline V exp(V x) noexcept {
  const ExpParts<V> parts = exp_parts(x);
  return fma(parts.r, parts.series, splat(Element<V>(1))) * parts.half * parts.other;
}

// e^x - 1, for x <= 0 only. Results near zero keep their relative accuracy.
//
//   range        x <= 0 or NaN; elu, its only caller, passes no other
//   max error    float  4.3e-8, 1.22 ulp (every float)
//                double 7.9e-17, 1.22 ulp (1e7 points)
//   NaN          gives NaN
//   infinity     -infinity gives -1
//   zero         gives +0
//   subnormals   are returned as they are
template <class V> [[gnu::always_inline]] inline V expm1(V x) noexcept {
  const ExpParts<V> parts = exp_parts(x);
  const V power = parts.half * parts.other;
  return fma(power * parts.r, parts.series, power - splat(Element<V>(1)));
}

// Returns x, or zero if |x| < tiny: a state that decays never becomes subnormal, which would slow the CPU down.
//
//   range        every x; the result is exact or 0
//   NaN, infinity  are returned as they are
//   zero, subnormals  give +0
template <class V> [[gnu::always_inline]] inline V flush(V x) noexcept {
  const V magnitude = greater(-x, x);  // takes 3 cycles; a comparison and a select take 9
  return magnitude < splat(tiny<Element<V>>) ? V{} : x;
}

}  // namespace
}  // namespace pyrnn
