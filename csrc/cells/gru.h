// GRU cell, for one vector of hidden units, in both forms in use.
//
//   r = σ(a_r)    z = σ(a_z)    h' = (1 - z) n + z h, computed as (h - n) z + n
//
//   Gru                  n = tanh(a_n + r (W_hn h + b_hn))   reset gate AFTER the product: torch.nn.GRU, cuDNN
//   GruReset, GruUpdate  n = tanh(a_n + W_hn (r h))          reset gate BEFORE it: Cho et al. 2014
//
// Gate order r, z, n: as torch.nn.GRU. step.h supplies the sums a, the products of r and z included.
#pragma once

#include "simd/math.h"

namespace pyrnn {
namespace {

template <class V> struct Gru {
  struct Slots { V r, z, n, hn; };  // hn = W_hn h + b_hn: a sum of its own, kept beside n for backward
  struct State { V h; };
  static constexpr int hidden_slots[] = {0, 1, 3}, gradient_slots[] = {0, 1, 2, 3};
  static constexpr bool ends_step = true;

  [[gnu::always_inline]] static State forward(Slots a, State prev, Slots& gates) noexcept {
    gates.r = sigmoid(a.r);
    gates.z = sigmoid(a.z);
    gates.n = tanh(fma(gates.r, a.hn, a.n));
    gates.hn = a.hn;
    return {flush(fma(prev.h - gates.n, gates.z, gates.n))};
  }

  // d = dLoss/dh'; da are the gradients of the sums. On exit d is what flows to the step before past W_hh.
  [[gnu::always_inline]] static void backward(Slots s, State prev, State, State& d, Slots& da) noexcept {
    const V one = splat(Element<V>(1));
    da.n = d.h * (one - s.z) * fma(-s.n, s.n, one);
    da.hn = da.n * s.r;
    da.r = da.n * s.hn * s.r * (one - s.r);
    da.z = d.h * (prev.h - s.n) * s.z * (one - s.z);
    d.h = d.h * s.z;
  }
};

// The other form takes two stages, each with a product of its own: r and z from h, then n from r h.
template <class V> struct GruResetSlots { V r, z, n, rh; };  // rh = r h, the input of the second product
template <class V> struct GruResetState { V h, rh; };

template <class V> struct GruReset {
  using Slots = GruResetSlots<V>;
  using State = GruResetState<V>;
  static constexpr int hidden_slots[] = {0, 1}, gradient_slots[] = {0};
  static constexpr bool ends_step = false;

  [[gnu::always_inline]] static State forward(Slots a, State prev, Slots& gates) noexcept {
    gates.r = sigmoid(a.r);
    gates.z = sigmoid(a.z);
    gates.n = a.n;
    gates.rh = gates.r * prev.h;
    return prev;
  }

  // Runs after GruUpdate's backward and the product that gives d.rh.
  [[gnu::always_inline]] static void backward(Slots s, State prev, State, State& d, Slots& da) noexcept {
    da.r = d.rh * prev.h * s.r * (splat(Element<V>(1)) - s.r);
    d.h = fma(d.rh, s.r, d.h);
  }
};

template <class V> struct GruUpdate {
  using Slots = GruResetSlots<V>;
  using State = GruResetState<V>;
  static constexpr int hidden_slots[] = {2}, gradient_slots[] = {1, 2};
  static constexpr bool ends_step = true;

  [[gnu::always_inline]] static State forward(Slots a, State prev, Slots& gates) noexcept {
    gates = a;
    gates.n = tanh(a.n);
    return {flush(fma(prev.h - gates.n, gates.z, gates.n)), V{}};
  }

  [[gnu::always_inline]] static void backward(Slots s, State prev, State, State& d, Slots& da) noexcept {
    const V one = splat(Element<V>(1));
    da.n = d.h * (one - s.z) * fma(-s.n, s.n, one);
    da.z = d.h * (prev.h - s.n) * s.z * (one - s.z);
    d.h = d.h * s.z;
  }
};

}  // namespace
}  // namespace pyrnn
