// tanh, sigmoid, exp and expm1: fixed sequences of fma, div and selects, the same bits on every ISA. No libm.
#pragma once

#include "simd/vec.h"

namespace pyrnn {
namespace {

// tanh(x) = 2 n d / (n^2 + d^2) with n/d = x P(x^2) / Q(x^2) fitted to tanh(x/2) by fit_tanh.py. An error of n/d
// reaches tanh(x) divided by cosh(x), so the rounding of P and Q dies out towards saturation, and far fewer terms do
// than for tanh itself (a direct x P5/Q4 in float reached 2.8e-7). p[0] is 1.
//
//   max error   float 1.8e-7 (every float, 4.7 ulp)   double 3.7e-16 (1e8 points, 4.7 ulp)
//   exact       +-1 from the clamp on, x for subnormal x; odd; NaN passes
template <class T> struct TanhFit;
template <> struct TanhFit<float> {
  static constexpr float clamp = 9.015625f;  // tanh rounds to 1 from 13 ln 2 = 9.0109 on
  static constexpr float p[] = {1.0f, 0.0297693796f, 0.000114157017f};
  static constexpr float q[] = {2.0f, 0.226205349f, 0.00241216877f, 2.45385627e-06f};
};
template <> struct TanhFit<double> {
  static constexpr double clamp = 19.0625;  // tanh rounds to 1 from 27.5 ln 2 = 19.0616 on
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

// coefficient[n-1] x^(n-1-first) + ... + coefficient[first], highest power first.
template <int first, class V, class T, int n>
[[gnu::always_inline]] inline V horner(V x, const T (&coefficient)[n]) noexcept {
  V sum = splat(coefficient[n - 1]);
#pragma GCC unroll 8
  for (int i = n - 2; i >= first; --i) sum = fma(sum, x, splat(coefficient[i]));
  return sum;
}

template <class V> [[gnu::always_inline]] inline V clamp(V x, V limit) noexcept {
  return lesser(limit, greater(-limit, x));  // NaN passes
}

// Magnitudes below it are of no account; far above the subnormals, so that a product with a weight is too.
template <class T> constexpr T tiny = sizeof(T) == 4 ? T(0x1p-100) : T(0x1p-900);

// No operation makes a subnormal number, on which CPUs are slow, from an x that is none: not x^2, hence `tiny`, and not
// x^3, which no sum needs by itself.
template <class V> [[gnu::always_inline]] inline V tanh(V x) noexcept {
  using Fit = TanhFit<Element<V>>;
  x = clamp(x, splat(Fit::clamp));
  const V x2 = fma(x, x, splat(tiny<Element<V>>));
  const V n = fma(x, x2 * horner<1>(x2, Fit::p), x);
  const V d = horner<0>(x2, Fit::q);
  const V ratio = n * (d + d) / fma(n, n, d * d);
  if constexpr (sizeof(Element<V>) == sizeof(float)) return ratio;  // rounds to 1 at most: every float was tried
  else return clamp(ratio, splat(Element<V>(1)));
}

// Max error float 1.2e-7, double 2.4e-16; exactly 0 and 1 from twice tanh's clamp on.
template <class V> [[gnu::always_inline]] inline V sigmoid(V x) noexcept {
  const V half = splat(Element<V>(0.5));
  return fma(half, tanh(half * x), half);
}

// e^x = 2^n e^r with n = x / ln 2 to the nearest, |r| <= ln(2) / 2, and e^r - 1 by its series: no fit is needed, the
// first term left out is below 2^-27 (float) and 2^-57 (double) of e^r.
//
//   max error   exp    float 0.93 ulp (every 7th float)   double 0.88 ulp (1e7 points)
//               expm1  float 1.21 ulp                     double 1.22 ulp, for x <= 0: no more is asked of it
//   exact       1 for x = 0; infinity and 0 past the range; NaN passes
template <class T> struct ExpRange;
template <> struct ExpRange<float> {
  using Integer = int;
  static constexpr int mantissa = 23, bias = 127, terms = 7;
  static constexpr float least = -104.0f, most = 89.0f;      // 0 and infinity from there on
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cf7p-20f;  // n ln2_high is exact
};
template <> struct ExpRange<double> {
  using Integer = long long;
  static constexpr int mantissa = 52, bias = 1023, terms = 13;
  static constexpr double least = -746.0, most = 710.0;
  static constexpr double ln2_high = 0x1.62e42fefap-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
};

// 1, 1/2, 1/6 ...: (e^r - 1) / r = sum over k of r^k / (k + 1)!
template <class T> struct ExpSeries {
  T factor[ExpRange<T>::terms];
  constexpr ExpSeries() noexcept : factor{} {
    T factorial = 1;
    for (int k = 0; k < ExpRange<T>::terms; ++k) factor[k] = 1 / (factorial *= T(k + 1));
  }
};
template <class T> constexpr ExpSeries<T> exp_series;

template <class V> struct ExpParts {
  V r, series;    // e^r - 1 is their product
  V half, other;  // 2^n is their product: it may be subnormal, they are not
};

template <class V> [[gnu::always_inline]] inline ExpParts<V> exp_parts(V x) noexcept {
  using T = Element<V>;
  using Range = ExpRange<T>;
  typedef typename Range::Integer Integers __attribute__((vector_size(sizeof(V))));
  x = lesser(splat(Range::most), greater(splat(Range::least), x));
  // 1.5 2^mantissa + v, rounded, has the integer nearest to v in its last bits.
  const V shift = splat(T(3ll << (Range::mantissa - 1)));
  const V shifted = fma(x, splat(T(0x1.71547652b82fep+0)), shift), n = shifted - shift;
  const V r = fma(-n, splat(Range::ln2_low), fma(-n, splat(Range::ln2_high), x));
  const Integers whole = (Integers)shifted - (Integers)shift, half = whole >> 1;
  const auto power = [](Integers exponent) { return (V)((exponent + Range::bias) << Range::mantissa); };
  return {r, horner<0>(r, exp_series<T>.factor), power(half), power(whole - half)};
}

template <class V> [[gnu::always_inline]] inline V exp(V x) noexcept {
  const ExpParts<V> parts = exp_parts(x);
  return fma(parts.r, parts.series, splat(Element<V>(1))) * parts.half * parts.other;
}

// e^x - 1 for x <= 0, small results with their relative accuracy.
template <class V> [[gnu::always_inline]] inline V expm1(V x) noexcept {
  const ExpParts<V> parts = exp_parts(x);
  const V power = parts.half * parts.other;
  return fma(power * parts.r, parts.series, power - splat(Element<V>(1)));
}

// Zero for a state too small to matter, so that a decaying one never reaches the subnormals' slow path.
template <class V> [[gnu::always_inline]] inline V flush(V x) noexcept {
  const V magnitude = greater(-x, x);  // of 3 cycles, where a comparison and a select take 9
  return magnitude < splat(tiny<Element<V>>) ? V{} : x;
}

}  // namespace
}  // namespace pyrnn
