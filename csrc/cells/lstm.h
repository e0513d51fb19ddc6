// LSTM cell, for one vector of hidden units. step.h supplies a = b_ih + b_hh + W_ih x + W_hh h.
//
//   i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)
//   c' = f c + i g              h' = o tanh(c')
//
// Gate order i, f, g, o: as torch.nn.LSTM. Hochreiter & Schmidhuber 1997; forget gate Gers et al. 2000.
#pragma once

#include "simd/math.h"

namespace pyrnn {
namespace {

template <class V> struct Lstm {
  struct Slots { V i, f, g, o; };  // the four sums; after the step, the four gates
  struct State { V h, c; };
  static constexpr int hidden_slots[] = {0, 1, 2, 3}, gradient_slots[] = {0, 1, 2, 3};
  static constexpr bool ends_step = true;

  [[gnu::always_inline]] static State forward(Slots a, State prev, Slots& gates) noexcept {
    gates = {sigmoid(a.i), sigmoid(a.f), tanh(a.g), sigmoid(a.o)};
    const V c = flush(fma(gates.f, prev.c, gates.i * gates.g));
    return {flush(gates.o * tanh(c)), c};
  }

  // d = dLoss/d...; da are the gradients of the sums. On exit d.c is the gradient of the c before.
  [[gnu::always_inline]] static void backward(Slots s, State prev, State now, State& d, Slots& da) noexcept {
    const V one = splat(Element<V>(1));
    const V tanh_c = tanh(now.c);
    const V dc = fma(d.h * s.o, fma(-tanh_c, tanh_c, one), d.c);
    da.i = dc * s.g * s.i * (one - s.i);
    da.f = dc * prev.c * s.f * (one - s.f);
    da.g = dc * s.i * fma(-s.g, s.g, one);
    da.o = d.h * tanh_c * s.o * (one - s.o);
    d.c = dc * s.f;
  }
};

}  // namespace
}  // namespace pyrnn
