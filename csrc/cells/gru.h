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
  enum Slot { r, z, n, hn };
  static_assert(offsetof(Slots, n) == n * sizeof(V) && offsetof(Slots, hn) == hn * sizeof(V));
  struct State {
    V h;
  };
  using Input = SlotList<r, z, n>;
  using Hidden = SlotList<r, z, hn>;
  using Sums = SlotList<r, z, n, hn>;
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
enum { slot_r, slot_z, slot_n, slot_rh };
static_assert(offsetof(GruResetSlots<float>, rh) == slot_rh * sizeof(float));
template <class V> struct GruResetState {
  V h, rh;
};

template <class V> struct GruReset {
  using Slots = GruResetSlots<V>;
  using State = GruResetState<V>;
  using Input = SlotList<slot_r, slot_z, slot_n>;
  using Hidden = SlotList<slot_r, slot_z>;
  using Sums = Input;
  using Gradient = SlotList<slot_r>;
  static constexpr bool ends_step = false;
  static constexpr int next_input = slot_rh;  // the slot that the product of the second stage multiplies

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
  using Input = SlotList<slot_r, slot_z, slot_n>;
  using Hidden = SlotList<slot_n>;
  using Sums = SlotList<slot_r, slot_z, slot_n, slot_rh>;
  using Gradient = SlotList<slot_z, slot_n>;
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

// The gates of both forms, in the order of the rows of their weights.
constexpr Names gru_gates = {"r z n"};

struct GruCell {
  template <class V> using Stages = StageList<Gru<V>>;
  template <class V> using Functions = Standard<V>;
  static constexpr CellFacts facts = {.name = "gru",
                                      .layer = "GRU",
                                      .gates = gru_gates,
                                      .slots = {"r z n hn"},
                                      .states = {"h"},
                                      .recurrent_activation = true,
                                      .passes_state = true};
};
struct GruResetBeforeCell {
  template <class V> using Stages = StageList<GruReset<V>, GruUpdate<V>>;
  template <class V> using Functions = Standard<V>;
  static constexpr CellFacts facts = {.name = "gru_reset_before",
                                      .layer = "GRU",
                                      .gates = gru_gates,
                                      .slots = {"r z n rh"},
                                      .states = {"h"},
                                      .recurrent_activation = true,
                                      .passes_state = true};
};

}  // namespace
}  // namespace pyrnn
