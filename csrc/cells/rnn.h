// Elman RNN cell, for one vector of hidden units. step.h supplies a = b_ih + b_hh + W_ih x + W_hh h.
//
//   h' = tanh(a)    or    h' = max(a, 0)
//
// As torch.nn.RNN with nonlinearity "tanh" or "relu". Elman 1990.
#pragma once

#include "simd/math.h"

namespace pyrnn {
namespace {

struct Tanh {
  template <class V> [[gnu::always_inline]] static V apply(V a) noexcept { return tanh(a); }
  template <class V> [[gnu::always_inline]] static V slope(V h) noexcept { return fma(-h, h, splat(Element<V>(1))); }
};
struct Relu {
  template <class V> [[gnu::always_inline]] static V apply(V a) noexcept { return a < V{} ? V{} : a; }  // NaN passes
  template <class V> [[gnu::always_inline]] static V slope(V h) noexcept {
    return h > V{} ? splat(Element<V>(1)) : V{};
  }
};

template <class V, class Activation> struct Rnn {
  struct Slots { V a; };  // the sum; after the step, the new state
  struct State { V h; };
  static constexpr int hidden_slots[] = {0}, gradient_slots[] = {0};
  static constexpr bool ends_step = true;

  [[gnu::always_inline]] static State forward(Slots a, State, Slots& gates) noexcept {
    gates.a = flush(Activation::apply(a.a));
    return {gates.a};
  }

  // d = dLoss/dh'; da is the gradient of the sum. Nothing flows to the step before but through W_hh.
  [[gnu::always_inline]] static void backward(Slots s, State, State, State& d, Slots& da) noexcept {
    da.a = d.h * Activation::slope(s.a);
  }
};

}  // namespace
}  // namespace pyrnn
