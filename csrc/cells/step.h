// One time step of any cell, forward and backward: the only place where a cell meets memory.
//
// Forward: for each vector of hidden units and each tile of batch rows, the products run in registers, and the cell's
// equations follow; the state is stored once.
// Backward: the cell's equations, row by row; the product with W_hh is a plain gemm of the caller's.
//
// A cell is one stage or several (cells/gru.h): a stage names the slots that W_ih x goes to (Input), those that W_hh h
// is added to (Hidden), those its equations read (Sums), those whose gradients it makes (Gradient), and whether its
// result is the new state (ends_step).
//
// Loads stop at the end of a row, as stores do: the next row may be another thread's.
#pragma once

#include <type_traits>

#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/product.h"
#include "cells/rnn.h"

namespace pyrnn {
namespace {

template <class Stage, class V> constexpr int slot_count = sizeof(typename Stage::Slots) / sizeof(V);
template <class Stage, class V> constexpr bool has_second = sizeof(typename Stage::State) == 2 * sizeof(V);

// The slots of a stage as an array: all members of Slots are of the one type V.
template <class V, class Slots> [[gnu::always_inline]] inline V* array_of(Slots& slots) noexcept {
  return reinterpret_cast<V*>(&slots);
}

template <class Step> [[gnu::always_inline]] inline ptrdiff_t row_of(const Step& s, int i) noexcept {
  return s.rows ? s.rows[i].row : i;
}

// The finished sums of one vector of units of one row, slot by slot.
constexpr int most_sums = 4;
template <class T> struct RowSums {
  ptrdiff_t row;
  Vec<T> slot[most_sums];
};

// The cell's equations for one vector of units of some rows.
template <class T> using Finish = void (*)(const StepForward<T>& s, const RowSums<T>* rows, int count, int unit);

template <class T, class Stage, class Functions>
void finish(const StepForward<T>& s, const RowSums<T>* rows, int count, int unit) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  const int n = s.H - unit;
  const Functions functions(s.options, s.H, unit);
  for (const RowSums<T>* each = rows; each != rows + count; ++each) {
    const ptrdiff_t row = each->row, c_at = row * s.H + unit;
    typename Stage::Slots sums, saved;
#pragma GCC unroll 4
    for (int i = 0; i < Stage::Sums::count; ++i)
      array_of<V>(sums)[Stage::Sums::at[i]] = each->slot[Stage::Sums::at[i]];
    typename Stage::State prev = {};
    // A projected h is narrower than a row of units; only the LSTM has one, and it does not look at h.
    if (s.h_prev_stride == s.H) prev.h = load(s.h_prev + row * s.h_prev_stride + unit, n);
    if constexpr (has_second<Stage, V>)
      if (s.c) array_of<V>(prev)[1] = load(s.c_prev + c_at, n);
    auto next = Stage::forward(functions, sums, prev, saved);
    if (s.keep || !Stage::ends_step) {
#pragma GCC unroll 5
      for (int slot = 0; slot < S; ++slot)
        store(s.gates + row * s.gates_stride + slot * static_cast<ptrdiff_t>(s.H) + unit, array_of<V>(saved)[slot], n);
    }
    if constexpr (Stage::ends_step) {
      store(s.h + row * s.h_stride + unit, next.h, n);
      if (s.y) store(s.y + row * s.y_stride + unit, next.h, n);
      if constexpr (has_second<Stage, V>)
        if (s.c) store(s.c + c_at, array_of<V>(next)[1], n);
    }
  }
}

// The hidden part's operands: h or r h, and its weights.
template <class T> struct Operand {
  const T* weight;  // packed panels
  const T* input;  // [B,P]
  ptrdiff_t stride;
};

// R rows by U vectors of units, from row and unit on. Fused, the tile makes all sums of the stage; else those that W_hh
// adds to, and the others are complete in the gates' memory.
template <class T, class Stage, bool fused, int R, int U>
void step_tile(const StepForward<T>& s, const Operand<T>& in, Finish<T> finish, int row, int unit) noexcept {
  using Input = typename Stage::Input;
  using Hidden = typename Stage::Hidden;
  using Made = std::conditional_t<fused, typename Stage::Sums, Hidden>;
  const ptrdiff_t H = s.H;
  RowPointers<T, R> h, x;
  ptrdiff_t at[R];
  Tile<T, R, U, Made::count> tile;
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) {
    at[r] = row_of(s, row + r);
    h.row[r] = in.input + at[r] * in.stride;
    if constexpr (fused) x.row[r] = s.x + at[r] * s.x_stride;
  }
  tile.each([&](Vec<T>& sum, int r, int u, int g) __attribute__((always_inline)) {
    const int units = unit + u * lanes<T>;
    const bool own = Input::index_of(Made::at[g]) < 0;  // the GRU candidate's own sum: no input in it
    const T* const start = own     ? s.bias_hh + units
                           : fused ? s.bias + Made::at[g] * H + units
                                   : s.gates + at[r] * s.gates_stride + Made::at[g] * H + units;
    sum = load(start, s.H - units);
  });
  if constexpr (fused) {
    const ptrdiff_t panel = static_cast<ptrdiff_t>(s.I) * Input::count * lanes<T>;
    tile.template multiply<Input>(x, s.weight_ih + unit / lanes<T> * panel, panel, Input::count, s.I);
  }
  const ptrdiff_t panel = static_cast<ptrdiff_t>(s.P) * Hidden::count * lanes<T>;
  using Into = std::conditional_t<fused, Hidden, FirstSlots<Hidden::count>>;
  tile.template multiply<Into>(h, in.weight + unit / lanes<T> * panel, panel, Hidden::count, s.P);
  RowSums<T> sums[U][R];
  tile.each([&](Vec<T> sum, int r, int u, int g)
                __attribute__((always_inline)) { sums[u][r].slot[Made::at[g]] = sum; });
#pragma GCC unroll 1
  for (int u = 0; u < U; ++u) {
    const int units = unit + u * lanes<T>;
#pragma GCC unroll 1
    for (int r = 0; r < R; ++r) {
      sums[u][r].row = at[r];
#pragma GCC unroll 4
      for (int slot = 0; slot < most_sums; ++slot)
        if (Stage::Sums::index_of(slot) >= 0 && Made::index_of(slot) < 0)
          sums[u][r].slot[slot] = load(s.gates + at[r] * s.gates_stride + slot * H + units, s.H - units);
    }
    finish(s, sums[u], R, units);
  }
}

template <class T, class Stage, bool fused>
void run_stage(const StepForward<T>& s, const Operand<T>& in, Finish<T> finish) noexcept {
  using Shape = TileShape<fused ? Stage::Sums::count : Stage::Hidden::count>;
  over_tiles<T, Shape>(s.B, s.H, [&](auto r, auto u, int row, int unit) {
    step_tile<T, Stage, fused, decltype(r)::value, decltype(u)::value>(s, in, finish, row, unit);
  });
}

template <class T, class Stage, class Functions> void backward_stage(const StepBackward<T>& s) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  for (int i = 0; i < s.B; ++i)
    for (int unit = 0; unit < s.H; unit += lanes<T>) {
      const int n = s.H - unit;
      const ptrdiff_t row = row_of(s, i), at = row * s.H + unit;
      typename Stage::Slots slots = {}, da = {};
#pragma GCC unroll 5
      for (int slot = 0; slot < S; ++slot)
        array_of<V>(slots)[slot] = load(s.gates + row * s.gates_stride + slot * static_cast<ptrdiff_t>(s.H) + unit, n);
      typename Stage::State prev = {}, d = {}, total = {};
      if (s.h_prev_stride == s.H) prev.h = load(s.h_prev + row * s.h_prev_stride + unit, n);
      if (s.direct) d.h = load(s.direct + at, n);
      if (s.product) d.h += load(s.product + at, n);
      if (s.dy) d.h += load(s.dy + row * s.dy_stride + unit, n);
      d.h = flush(d.h);
      total = d;
      if constexpr (has_second<Stage, V>) {
        if (s.c_prev) array_of<V>(prev)[1] = load(s.c_prev + at, n);
        array_of<V>(d)[1] = flush(load(s.dc + at, n));
      }
      Stage::backward(Functions(s.options, s.H, unit), slots, prev, d, total, da);
#pragma GCC unroll 5
      for (int slot = 0; slot < S; ++slot)
        if (Stage::Gradient::index_of(slot) >= 0)
          store(s.da + row * s.da_stride + slot * static_cast<ptrdiff_t>(s.H) + unit, array_of<V>(da)[slot], n);
      if (s.direct) store(s.direct + at, d.h, n);
      if (s.dh_total) store(s.dh_total + at, total.h, n);
      if constexpr (has_second<Stage, V>) {
        store(s.dc + at, array_of<V>(d)[1], n);
        if (s.dc_total) store(s.dc_total + at, array_of<V>(total)[1], n);
      }
    }
}

// What the door offers of a cell of one stage.
template <class T, class Stage, class Functions> struct OneStage {
  static void pack_input(const T* weight, int H, int I, T* packed) noexcept {
    pack_gates(weight, Stage::Input::count, H, I, packed);
  }
  static void pack_hidden(const T* weight, int H, int P, T* packed) noexcept {
    pack_gates(weight, Stage::Hidden::count, H, P, packed);
  }
  static void forward(const StepForward<T>& s) noexcept {
    const Operand<T> h = {s.weight_hh, s.h_prev, s.h_prev_stride};
    if (s.x) run_stage<T, Stage, true>(s, h, finish<T, Stage, Functions>);
    else run_stage<T, Stage, false>(s, h, finish<T, Stage, Functions>);
  }
  static constexpr CellOps<T> ops = {
      pack_input, pack_hidden, project<T, typename Stage::Input>, forward, backward_stage<T, Stage, Functions>,
      nullptr};
};
template <class T, class F> using RnnOps = OneStage<T, Rnn<Vec<T>>, F>;
template <class T, class F> using LstmOps = OneStage<T, Lstm<Vec<T>>, F>;
template <class T, class F> using GruOps = OneStage<T, Gru<Vec<T>>, F>;

// And of the GRU with the reset gate before the product. Its step is never fused: the candidate waits for r h.
template <class T, class F> struct GruResetBeforeOps {
  using V = Vec<T>;
  static ptrdiff_t first_weights(int H, int P) noexcept {
    return static_cast<ptrdiff_t>((H + lanes<T> - 1) / lanes<T>) * lanes<T> * P * 2;
  }
  static void pack_hidden(const T* weight, int H, int P, T* packed) noexcept {
    pack_gates(weight, 2, H, P, packed);
    pack_gates(weight + static_cast<ptrdiff_t>(2) * H * P, 1, H, P, packed + first_weights(H, P));
  }
  static void forward(const StepForward<T>& s) noexcept {
    if (s.x)
      project<T, typename GruReset<V>::Input>({s.B,
                                               s.I,
                                               s.H,
                                               {s.x, 0, s.x_stride, s.B, s.rows},
                                               s.weight_ih,
                                               s.bias,
                                               {s.gates, 0, s.gates_stride, s.B, s.rows}});
    run_stage<T, GruReset<V>, false>(s, {s.weight_hh, s.h_prev, s.h_prev_stride}, finish<T, GruReset<V>, F>);
    const T* rh = s.gates + static_cast<ptrdiff_t>(3) * s.H;
    run_stage<T, GruUpdate<V>, false>(s, {s.weight_hh + first_weights(s.H, s.P), rh, s.gates_stride},
                                      finish<T, GruUpdate<V>, F>);
  }
  static constexpr CellOps<T> ops = {GruOps<T, F>::pack_input,
                                     pack_hidden,
                                     project<T, typename GruReset<V>::Input>,
                                     forward,
                                     backward_stage<T, GruUpdate<V>, F>,
                                     backward_stage<T, GruReset<V>, F>};
};

}  // namespace
}  // namespace pyrnn
