// The functions of a cell: `gate` is applied to the gates, `state` to the candidate and to the cell state. A cell
// receives them as an object. Standard holds the usual pair, sigmoid and tanh, compiled in; Chosen reads CellOptions
// for every vector, for networks with other functions.
//
// slope(y) is the derivative, expressed by the result y. state_back and gate_back turn the gradient of the result into
// the gradient of the argument: they multiply by the slope. Where a function is flat (relu below 0) they select zero,
// as torch does, because 0 * inf would be NaN. Peepholes (Gers & Schmidhuber 2000) add the cell state to the gates'
// sums: a_i += p_i c, a_f += p_f c, a_o += p_o c'. Standard has none.
#pragma once

#include "dispatch/kernels.h"
#include "simd/math.h"

namespace pyrnn {
namespace {

template <class V> [[gnu::always_inline]] inline V one() noexcept { return splat(Element<V>(1)); }

template <class V> [[gnu::always_inline]] inline V tanh_slope(V y) noexcept { return fma(-y, y, one<V>()); }
template <class V> [[gnu::always_inline]] inline V sigmoid_slope(V y) noexcept { return y * (one<V>() - y); }
template <class V> [[gnu::always_inline]] inline V relu(V a) noexcept { return a < V{} ? V{} : a; }  // NaN stays NaN
template <class V> [[gnu::always_inline]] inline V relu_back(V grad, V y) noexcept {
  return y <= V{} ? V{} : grad;  // if y is NaN, grad
}

template <class V> [[gnu::always_inline]] inline V between_0_and(Element<V> top, V x) noexcept {
  x = relu(x);
  return x > splat(top) ? splat(top) : x;
}
template <class V> [[gnu::always_inline]] inline V hard_sigmoid_keras2(V a) noexcept {
  return between_0_and<V>(1, fma(splat(Element<V>(0.2)), a, splat(Element<V>(0.5))));
}
template <class V> [[gnu::always_inline]] inline V hard_sigmoid_keras3(V a) noexcept {
  return between_0_and<V>(6, a + splat(Element<V>(3))) / splat(Element<V>(6));
}

template <class V> struct Standard {
  [[gnu::always_inline]] Standard(const CellOptions<Element<V>>&, int, int) noexcept {}
  [[gnu::always_inline]] V state(V a) const noexcept { return tanh(a); }
  [[gnu::always_inline]] V state_back(V grad, V y) const noexcept { return grad * tanh_slope(y); }
  // Returns onto + state_back(grad, y), rounded once.
  [[gnu::always_inline]] V state_back(V grad, V y, V onto) const noexcept { return fma(grad, tanh_slope(y), onto); }
  [[gnu::always_inline]] V gate(V a) const noexcept { return sigmoid(a); }
  [[gnu::always_inline]] V gate_back(V grad, V y) const noexcept { return grad * sigmoid_slope(y); }
  [[gnu::always_inline]] V peep(Peephole, V, V sum) const noexcept { return sum; }
};

// The functions of the RNN with nonlinearity "relu".
template <class V> struct Rectified : Standard<V> {
  using Standard<V>::Standard;
  [[gnu::always_inline]] V state(V a) const noexcept { return relu(a); }
  [[gnu::always_inline]] V state_back(V grad, V y) const noexcept { return relu_back(grad, y); }
};

template <class V> struct Chosen {
  using T = Element<V>;
  const CellOptions<T>& options;
  const T* peephole;  // [3,H], offset by the first unit; or null
  int H;

  Chosen(const CellOptions<T>& chosen, int hidden, int unit) noexcept
      : options(chosen), peephole(chosen.peephole ? chosen.peephole + unit : nullptr), H(hidden) {}
  V state(V a) const noexcept { return apply(options.activation, a); }
  V state_back(V grad, V y) const noexcept {
    return reaching(options.activation, grad, y) * slope(options.activation, y);
  }
  V state_back(V grad, V y, V onto) const noexcept {
    return fma(reaching(options.activation, grad, y), slope(options.activation, y), onto);
  }
  V gate(V a) const noexcept { return apply(options.recurrent_activation, a); }
  V gate_back(V grad, V y) const noexcept {
    return reaching(options.recurrent_activation, grad, y) * slope(options.recurrent_activation, y);
  }

  // Returns sum + p c. Forward, `sum` is a gate's sum and c the cell state; backward, `sum` is the gradient of the
  // cell state and c the gradient of the gate's sum.
  V peep(Peephole which, V c, V sum) const noexcept {
    return peephole ? fma(load(peephole + static_cast<ptrdiff_t>(which) * H), c, sum) : sum;
  }

 private:
  static V apply(Activation f, V a) noexcept {
    switch (f) {
      case Activation::tanh: return tanh(a);
      case Activation::sigmoid: return sigmoid(a);
      case Activation::relu: return relu(a);
      case Activation::hard_sigmoid_keras2: return hard_sigmoid_keras2(a);
      case Activation::hard_sigmoid_keras3: return hard_sigmoid_keras3(a);
      default: break;  // identity
    }
    return a;
  }
  // Returns the gradient, or zero where the function is flat. If y is NaN, relu returns the gradient and a hard
  // sigmoid zero, as torch does.
  static V reaching(Activation f, V grad, V y) noexcept {
    switch (f) {
      case Activation::relu: return relu_back(grad, y);
      case Activation::hard_sigmoid_keras2:
      case Activation::hard_sigmoid_keras3: return y > V{} ? (y < one<V>() ? grad : V{}) : V{};
      default: return grad;
    }
  }
  // Returns the derivative where the function is not flat; `reaching` handles the flat parts.
  static V slope(Activation f, V y) noexcept {
    switch (f) {
      case Activation::tanh: return tanh_slope(y);
      case Activation::sigmoid: return sigmoid_slope(y);
      case Activation::hard_sigmoid_keras2: return splat(T(0.2));
      case Activation::hard_sigmoid_keras3: return one<V>() / splat(T(6));
      default: return one<V>();
    }
  }
};

}  // namespace
}  // namespace pyrnn
