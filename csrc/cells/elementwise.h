// Layers without weights: functions of each element, and softmax. Names and constants are those of pyrnn.nn.Activation.
#pragma once

#include "cells/activation.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

// Klambauer et al. 2017, arXiv:1706.02515.
constexpr double selu_alpha = 1.6732632423543772, selu_scale = 1.0507009873554805;
constexpr double gelu_scale = 0.7978845608028654;  // sqrt(2 / pi); Hendrycks & Gimpel 2016, arXiv:1606.08415

template <class V> [[gnu::always_inline]] inline V elu(V x, Element<V> alpha) noexcept {
  return x > V{} ? x : splat(alpha) * expm1(lesser(V{}, x));  // expm1 is not for large x
}
template <class V> [[gnu::always_inline]] inline V softsign(V x) noexcept {
  return x / (one<V>() + (x < V{} ? -x : x));
}
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
    case Activation::silu: return map(x, y, n, [](V a) noexcept { return a * sigmoid(a); });
    case Activation::gelu_tanh: return map(x, y, n, [](V a) noexcept { return gelu_tanh(a); });
  }
}

// Sums run from the first element to the last, whatever the width of a vector.
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
