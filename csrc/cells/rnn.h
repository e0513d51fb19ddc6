// The Elman RNN cell, for one vector of hidden units. step.h supplies the sum a = b_ih + b_hh + W_ih x + W_hh h.
//
//   h' = tanh(a)    or    h' = max(a, 0)
//
// This is torch.nn.RNN with nonlinearity "tanh" or "relu". Elman 1990.
#pragma once

#include "cells/activation.h"
#include "kernels/tile.h"

namespace pyrnn {
namespace {

template <class V> struct Rnn {
  // Before the step: the sum. After it: the new state.
  struct Slots {
    V a;
  };
  enum Slot { a };
  struct State {
    V h;
  };
  using Input = SlotList<a>;
  using Hidden = Input;
  using Sums = Input;
  using Gradient = Input;
  static constexpr bool ends_step = true;

  template <class F> [[gnu::always_inline]] static State forward(F fn, Slots a, State, Slots& gates) noexcept {
    gates.a = flush(fn.state(a.a));
    return {gates.a};
  }

  // d is the gradient of the loss by h', da that by the sum. The gradient reaches the previous step only through W_hh.
  template <class F>
  [[gnu::always_inline]] static void backward(F fn, Slots s, State, State& d, State&, Slots& da) noexcept {
    da.a = fn.state_back(d.h, s.a);
  }
};

struct RnnTanhCell {
  template <class V> using Stages = StageList<Rnn<V>>;
  template <class V> using Functions = Standard<V>;
  static constexpr CellFacts facts = {
      .name = "rnn_tanh", .layer = "RNN", .gates = {"h"}, .slots = {"h"}, .states = {"h"}};
};
struct RnnReluCell {
  template <class V> using Stages = StageList<Rnn<V>>;
  template <class V> using Functions = Rectified<V>;
  static constexpr CellFacts facts = {
      .name = "rnn_relu", .layer = "RNN", .gates = {"h"}, .slots = {"h"}, .states = {"h"}};
};

}  // namespace
}  // namespace pyrnn
