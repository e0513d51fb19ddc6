// Layers without weights: functions of each element, and softmax. Names and constants are those of
// pyrnn.nn.Activation.
//
// Each function states its largest error, absolute and in units in the last place (ulp) of the exact result. The
// reference was double for float and quadruple precision for double; the arguments were every float up to 2000 in size
// (selu, softsign: every 7th), and 4e6 to 1e7 doubles up to 40 in size (softsign: 1000).
#pragma once

#include "cells/activation.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

// Klambauer et al. 2017, arXiv:1706.02515.
constexpr double selu_alpha = 1.6732632423543772, selu_scale = 1.0507009873554805;
constexpr double gelu_scale = 0.7978845608028654;  // sqrt(2 / pi); Hendrycks & Gimpel 2016, arXiv:1606.08415

// elu(x) = x for x > 0, alpha (e^x - 1) else; selu(x) = selu_scale elu(x) with alpha = selu_alpha.
//
//   range        every x
//   max error    elu (alpha = 1)  float 4.3e-8, 1.22 ulp    double 7.9e-17, 1.15 ulp; exact for x > 0
//                selu             float 2.64 ulp             double 2.31 ulp
//   NaN          gives NaN
//   infinity     +infinity gives infinity, -infinity gives -alpha (selu: -selu_scale selu_alpha)
//   zero         gives +0
//   subnormals   elu with alpha = 1 returns them as they are
template <class V> [[gnu::always_inline]] inline V elu(V x, Element<V> alpha) noexcept {
  return x > V{} ? x : splat(alpha) * expm1(lesser(V{}, x));  // expm1 takes x <= 0 only
}
// x / (1 + |x|).
//
//   range        every finite x; the result lies in [-1, 1]
//   max error    float 9.0e-8, 1.50 ulp    double 1.7e-16, 1.50 ulp
//   NaN          gives NaN
//   infinity     gives NaN, as in torch
//   zero         keeps its sign
//   subnormals   are returned as they are
template <class V> [[gnu::always_inline]] inline V softsign(V x) noexcept {
  return x / (one<V>() + (x < V{} ? -x : x));
}
// x / (1 + e^-x), computed as x sigmoid(x).
//
//   range        every finite x
//   max error    float  1.8e-6, 2.44 ulp for x >= 0
//                double 1.2e-14, 2.44 ulp for x >= 0
//                for x < 0 the error in ulp is not bounded (see sigmoid)
//   NaN          gives NaN
//   infinity     +infinity gives infinity; -infinity gives NaN, as in torch
//   zero         keeps its sign
//   subnormals   give x / 2
template <class V> [[gnu::always_inline]] inline V silu(V x) noexcept { return x * sigmoid(x); }
// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
//
//   range        every finite x
//   max error    float  6.1e-7, 2.20 ulp for x >= 0
//                double 1.6e-15, 1.81 ulp for x >= 0
//                for x < 0 the error in ulp is not bounded: 1 + tanh cancels
//   NaN          gives NaN
//   infinity     +infinity gives infinity; -infinity gives NaN, as in torch
//   zero         gives +0
//   subnormals   give x / 2
template <class V> [[gnu::always_inline]] inline V gelu_tanh(V x) noexcept {
  using T = Element<V>;
  const V half = splat(T(0.5)) * x, cubic = fma(splat(T(0.044715)) * x * x, x, x);
  return fma(half, tanh(splat(T(gelu_scale)) * cubic), half);
}

template <class T>
void activate(Activation f, T alpha, const T* x, T* y, ptrdiff_t n) noexcept {
  using V = Vec<T>;
  switch (f) {
    case Activation::tanh: return map(x, y, n, [](V a) noexcept { return tanh(a); });
    case Activation::sigmoid: return map(x, y, n, [](V a) noexcept { return sigmoid(a); });
    case Activation::relu: return map(x, y, n, [](V a) noexcept { return relu(a); });
    case Activation::identity: return map(x, y, n, [](V a) noexcept { return a; });
    case Activation::hard_sigmoid_keras2: return map(x, y, n, [](V a) noexcept { return hard_sigmoid_keras2(a); });
    case Activation::hard_sigmoid_keras3: return map(x, y, n, [](V a) noexcept { return hard_sigmoid_keras3(a); });
    case Activation::leaky_relu: return map(x, y, n, [=](V a) noexcept { return a > V{} ? a : splat(alpha) * a; });
    case Activation::elu: return map(x, y, n, [=](V a) noexcept { return elu(a, alpha); });
    case Activation::selu:
      return map(x, y, n, [](V a) noexcept { return splat(T(selu_scale)) * elu(a, T(selu_alpha)); });
    case Activation::softsign: return map(x, y, n, [](V a) noexcept { return softsign(a); });
    case Activation::exponential: return map(x, y, n, [](V a) noexcept { return exp(a); });
    case Activation::silu: return map(x, y, n, [](V a) noexcept { return silu(a); });
    case Activation::gelu_tanh: return map(x, y, n, [](V a) noexcept { return gelu_tanh(a); });
  }
}

// y = exp(x) / sum(exp(x)) for each of M rows of N elements, computed as exp(x - max). The sum runs from the first
// element to the last, whatever the width of a vector.
//
//   range        N >= 1; the results lie in [0, 1]
//   max error    float, relative: 5.7e-7 (N = 10), 1.7e-6 (N = 1000), 3.7e-5 (N = 30000), largest of
//                20 rows from a normal distribution of deviation 3
//   NaN          makes its row NaN
//   infinity     +infinity makes its row NaN; -infinity gives 0, and a row of -infinity alone NaN
//   zero, subnormals  are exact as arguments; a result below the normal numbers may be subnormal
template <class T> void softmax(const T* x, T* y, ptrdiff_t M, ptrdiff_t N) noexcept {
  for (ptrdiff_t m = 0; m < M; ++m, x += N, y += N) {
    T most = x[0], sum = 0;
    for (ptrdiff_t n = 1; n < N; ++n) most = x[n] > most ? x[n] : most;
    map(x, y, N, [=](Vec<T> a) noexcept { return exp(a - splat(most)); });
    for (ptrdiff_t n = 0; n < N; ++n) sum += y[n];
    for (ptrdiff_t n = 0; n < N; ++n) y[n] /= sum;
  }
}

}  // namespace
}  // namespace pyrnn
