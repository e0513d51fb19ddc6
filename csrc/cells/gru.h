// The GRU cell, for one vector of hidden units, in the two forms in use.
//
//   r = σ(a_r)    z = σ(a_z)    h' = (1 - z) n + z h, computed as (h - n) z + n
//
//   Gru                  n = tanh(a_n + r (W_hn h + b_hn))   reset gate AFTER the product: torch.nn.GRU, cuDNN
//   GruReset, GruUpdate  n = tanh(a_n + W_hn (r h))          reset gate BEFORE it: Cho et al. 2014
//
// The gates have the order r, z, n, as in torch.nn.GRU. step.h supplies the sums a; those of r and z include their
// products with h.
#pragma once

#include "cells/activation.h"
#include "kernels/tile.h"

namespace pyrnn {
namespace {

template <class V> struct Gru {
  // hn = W_hn h + b_hn. This sum is separate because backward needs it besides n.
  struct Slots {
    V r, z, n, hn;
  };
  struct State {
    V h;
  };
  using Input = SlotList<0, 1, 2>;
  using Hidden = SlotList<0, 1, 3>;
  using Sums = SlotList<0, 1, 2, 3>;
  using Gradient = Sums;
  static constexpr bool ends_step = true;

  template <class F> [[gnu::always_inline]] static State forward(F fn, Slots a, State prev, Slots& gates) noexcept {
    gates.r = fn.gate(a.r);
    gates.z = fn.gate(a.z);
    gates.n = fn.state(fma(gates.r, a.hn, a.n));
    gates.hn = a.hn;
    return {flush(fma(prev.h - gates.n, gates.z, gates.n))};
  }

  // d is the gradient of the loss by h', da that by the sums. On exit d is the part of the gradient by h that does not
  // go through W_hh.
  template <class F>
  [[gnu::always_inline]] static void backward(F fn, Slots s, State prev, State& d, State&, Slots& da) noexcept {
    da.n = fn.state_back(d.h * (one<V>() - s.z), s.n);
    da.hn = da.n * s.r;
    da.r = fn.gate_back(da.n * s.hn, s.r);
    da.z = fn.gate_back(d.h * (prev.h - s.n), s.z);
    d.h = d.h * s.z;
  }
};

// The other form has two stages, each with its own product: r and z from h, then n from r h, which is kept in slot rh.
template <class V> struct GruResetSlots {
  V r, z, n, rh;
};
template <class V> struct GruResetState {
  V h, rh;
};

template <class V> struct GruReset {
  using Slots = GruResetSlots<V>;
  using State = GruResetState<V>;
  using Input = SlotList<0, 1, 2>;
  using Hidden = SlotList<0, 1>;
  using Sums = Input;
  using Gradient = SlotList<0>;
  static constexpr bool ends_step = false;

  template <class F> [[gnu::always_inline]] static State forward(F fn, Slots a, State prev, Slots& gates) noexcept {
    gates.r = fn.gate(a.r);
    gates.z = fn.gate(a.z);
    gates.n = a.n;
    gates.rh = gates.r * prev.h;
    return prev;
  }

  // This runs after the backward function of GruUpdate and after the product that computes d.rh.
  template <class F>
  [[gnu::always_inline]] static void backward(F fn, Slots s, State prev, State& d, State&, Slots& da) noexcept {
    da.r = fn.gate_back(d.rh * prev.h, s.r);
    d.h = fma(d.rh, s.r, d.h);
  }
};

template <class V> struct GruUpdate {
  using Slots = GruResetSlots<V>;
  using State = GruResetState<V>;
  using Input = SlotList<0, 1, 2>;
  using Hidden = SlotList<2>;
  using Sums = SlotList<0, 1, 2, 3>;
  using Gradient = SlotList<1, 2>;
  static constexpr bool ends_step = true;

  template <class F> [[gnu::always_inline]] static State forward(F fn, Slots a, State prev, Slots& gates) noexcept {
    gates = a;
    gates.n = fn.state(a.n);
    return {flush(fma(prev.h - gates.n, gates.z, gates.n)), V{}};
  }

  template <class F>
  [[gnu::always_inline]] static void backward(F fn, Slots s, State prev, State& d, State&, Slots& da) noexcept {
    da.n = fn.state_back(d.h * (one<V>() - s.z), s.n);
    da.z = fn.gate_back(d.h * (prev.h - s.n), s.z);
    d.h = d.h * s.z;
  }
};

}  // namespace
}  // namespace pyrnn
