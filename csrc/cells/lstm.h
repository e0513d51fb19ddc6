// The LSTM cell, for one vector of hidden units. step.h supplies the sums a = b_ih + b_hh + W_ih x + W_hh h.
//
//   i = σ(a_i)    f = σ(a_f)    g = tanh(a_g)    o = σ(a_o)
//   c' = f c + i g              h' = o tanh(c')
//
// The gates have the order i, f, g, o, as in torch.nn.LSTM. Hochreiter & Schmidhuber 1997; forget gate: Gers et al.
// 2000.
#pragma once

#include "cells/activation.h"
#include "kernels/tile.h"

namespace pyrnn {
namespace {

template <class V> struct Lstm {
  // Before the step: the four sums. After it: the four gates and the new cell state.
  struct Slots {
    V i, f, g, o, c;
  };
  enum Slot { i, f, g, o, c };
  static_assert(offsetof(Slots, o) == o * sizeof(V) && offsetof(Slots, c) == c * sizeof(V));
  struct State {
    V h, c;
  };
  using Input = SlotList<i, f, g, o>;
  using Hidden = Input;
  using Sums = Input;
  using Gradient = Input;
  static constexpr bool ends_step = true;

  template <class F> [[gnu::always_inline]] static State forward(F fn, Slots a, State prev, Slots& gates) noexcept {
    gates.i = fn.gate(fn.peep(Peephole::i, prev.c, a.i));
    gates.f = fn.gate(fn.peep(Peephole::f, prev.c, a.f));
    gates.g = fn.state(a.g);
    gates.c = flush(fma(gates.f, prev.c, gates.i * gates.g));
    gates.o = fn.gate(fn.peep(Peephole::o, gates.c, a.o));
    return {flush(gates.o * fn.state(gates.c)), gates.c};
  }

  // d holds the gradients of the loss by h' and c', da those by the sums. On exit d.c is the gradient by the previous
  // c, and total.c the whole gradient by c'.
  template <class F>
  [[gnu::always_inline]] static void backward(F fn, Slots s, State prev, State& d, State& total, Slots& da) noexcept {
    const V squashed = fn.state(s.c);
    da.o = fn.gate_back(d.h * squashed, s.o);
    const V dc = fn.peep(Peephole::o, da.o, fn.state_back(d.h * s.o, squashed, d.c));
    da.i = fn.gate_back(dc * s.g, s.i);
    da.f = fn.gate_back(dc * prev.c, s.f);
    da.g = fn.state_back(dc * s.i, s.g);
    total.c = dc;
    d.c = fn.peep(Peephole::i, da.i, fn.peep(Peephole::f, da.f, dc * s.f));
  }
};

struct LstmCell {
  template <class V> using Stages = StageList<Lstm<V>>;
  template <class V> using Functions = Standard<V>;
  static constexpr CellFacts facts = {.name = "lstm",
                                      .layer = "LSTM",
                                      .gates = {"i f g o"},
                                      .slots = {"i f g o c"},
                                      .states = {"h c"},
                                      .recurrent_activation = true,
                                      .peephole = true,
                                      .projection = true};
};

}  // namespace
}  // namespace pyrnn
