// tanh and sigmoid: fixed sequences of fma, div and selects, the same bits on every ISA. No libm.
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

template <class V> [[gnu::always_inline]] inline V tanh(V x) noexcept {
  using Fit = TanhFit<Element<V>>;
  x = clamp(x, splat(Fit::clamp));
  const V x2 = x * x;
  const V n = fma(x * x2, horner<1>(x2, Fit::p), x);
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

// Zero for a state too small to matter, so that a decaying one never reaches the subnormals' slow path.
template <class V> [[gnu::always_inline]] inline V flush(V x) noexcept {
  using T = Element<V>;
  const V tiny = splat(sizeof(T) == 4 ? T(0x1p-100) : T(0x1p-900));
  const V magnitude = x < V{} ? -x : x;
  return magnitude < tiny ? V{} : x;
}

}  // namespace
}  // namespace pyrnn
