// One time step of any cell, forward and backward: the only place where a cell meets memory.
//
// Forward: for each vector of hidden units and each tile of batch rows, the recurrent product runs in registers
// on top of the hoisted sums, and the cell's equations follow on the same registers; the state is stored once.
// Backward: the cell's equations, row by row; the product with W_hh is a plain gemm of the caller's.
//
// A cell is one stage or several (cells/gru.h): a stage names the slots its product adds to (hidden_slots), the
// slots whose gradients it makes (gradient_slots), and whether its result is the new state (ends_step).
#pragma once

#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "kernels/pack.h"

namespace pyrnn {
namespace {

template <int n> constexpr int count(const int (&)[n]) noexcept { return n; }

template <class Stage, class V> constexpr int slot_count = sizeof(typename Stage::Slots) / sizeof(V);
template <class Stage, class V> constexpr bool has_second = sizeof(typename Stage::State) == 2 * sizeof(V);

// Where a slot stands in one of a stage's lists, or -1.
template <int n> constexpr int index_of(const int (&slots)[n], int slot) noexcept {
  for (int i = 0; i < n; ++i)
    if (slots[i] == slot) return i;
  return -1;
}

// Slots beyond the hoisted ones start from the recurrent bias alone: only the GRU candidate's W_hn h + b_hn.
template <class Stage> constexpr bool starts_from_bias(int slot) noexcept {
  return count(Stage::hidden_slots) == 3 && slot == 3;
}

// The slots of a stage as an array: all members of Slots are of the one type V.
template <class V, class Slots> [[gnu::always_inline]] inline V* array_of(Slots& slots) noexcept {
  return reinterpret_cast<V*>(&slots);
}

// The cell's equations for one vector of units of one row, on the finished sums. Not inlined: a tile has up to
// 24 of them, and the copies made the library three times as large and no faster.
template <class T, class Stage>
[[gnu::noinline]] void finish(const StepForward<T>& s, int row, int unit, const Vec<T>* products) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  const int n = s.H - unit;
  T* const gates = s.gates + row * s.gates_stride + unit;
  typename Stage::Slots sums, saved;
#pragma GCC unroll 4
  for (int slot = 0; slot < S; ++slot) {
    const int p = index_of(Stage::hidden_slots, slot);
    array_of<V>(sums)[slot] = p >= 0 ? products[p] : load(gates + slot * static_cast<ptrdiff_t>(s.H));
  }
  typename Stage::State prev = {};
  prev.h = load(s.h_prev + row * s.h_prev_stride + unit);
  const ptrdiff_t c_at = static_cast<ptrdiff_t>(row) * s.H + unit;
  if constexpr (has_second<Stage, V>)
    if (s.c) array_of<V>(prev)[1] = load(s.c_prev + c_at);
  auto next = Stage::forward(sums, prev, saved);
  if (s.keep || !Stage::ends_step) {
#pragma GCC unroll 4
    for (int slot = 0; slot < S; ++slot)
      store(gates + slot * static_cast<ptrdiff_t>(s.H), array_of<V>(saved)[slot], n);
  }
  if constexpr (Stage::ends_step) {
    store(s.h + row * s.h_stride + unit, next.h, n);
    if (s.y) store(s.y + row * s.y_stride + unit, next.h, n);
    if constexpr (has_second<Stage, V>)
      if (s.c) store(s.c + c_at, array_of<V>(next)[1], n);
  }
}

// R rows by U vectors of units, from row and unit on.
template <class T, class Stage, int R, int U>
void stage_tile(const StepForward<T>& s, const T* weight, const T* input, ptrdiff_t input_stride, int row,
                int unit) noexcept {
  constexpr int G = count(Stage::hidden_slots);
  const ptrdiff_t panel = static_cast<ptrdiff_t>(s.P) * G * lanes<T>;
  RowPointers<T, R> a;
  Tile<T, R, U, G> tile;
  for (int r = 0; r < R; ++r) {
    a.row[r] = input + (row + r) * input_stride;
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const int at = unit + u * lanes<T>;
        const ptrdiff_t slot = Stage::hidden_slots[g];
        tile.acc[r][u][g] = starts_from_bias<Stage>(Stage::hidden_slots[g])
                                ? load(s.bias_hh + at)
                                : load(s.gates + (row + r) * s.gates_stride + slot * s.H + at);
      }
  }
  tile.multiply(a, weight + unit / lanes<T> * panel, panel, G, s.P);
  const Tile<T, R, U, G> sums = tile;  // a copy: addressing the tile itself would keep it out of the registers
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 1
    for (int u = 0; u < U; ++u) finish<T, Stage>(s, row + r, unit + u * lanes<T>, sums.acc[r][u]);
}

// Vectors of units a tile takes side by side: a panel's width, and enough chains where rows are few.
template <class Stage> constexpr int tile_units(int rows) noexcept {
  const int gates = count(Stage::hidden_slots), narrow = gates < panel_width ? panel_width / gates : 1;
  return narrow * at_least_8(rows, gates * narrow);
}

// Groups of units outside, rows inside: a group's weights are read from memory once and serve all rows.
template <class T, class Stage>
void run_stage(const StepForward<T>& s, const T* weight, const T* input, ptrdiff_t input_stride) noexcept {
  constexpr int gates = count(Stage::hidden_slots);
  constexpr int max_rows = accumulators / (gates * (gates < panel_width ? panel_width / gates : 1));
  constexpr int group = tile_units<Stage>(1);
  const int units = (s.H + lanes<T> - 1) / lanes<T>;
  for (int first = 0; first < units; first += group)
    in_pieces(s.B, max_rows, [&](int row, int rows) {
      with_count<max_rows>(rows, [&](auto r) {
        constexpr int R = decltype(r)::value, U = tile_units<Stage>(R);
        int u = first;
        const int end = smaller(first + group, units);
        for (; u + U <= end; u += U) stage_tile<T, Stage, R, U>(s, weight, input, input_stride, row, u * lanes<T>);
        for (; u < end; ++u) stage_tile<T, Stage, R, 1>(s, weight, input, input_stride, row, u * lanes<T>);
      });
    });
}

template <class T, class Stage> void backward_stage(const StepBackward<T>& s) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  for (int row = 0; row < s.B; ++row)
    for (int unit = 0; unit < s.H; unit += lanes<T>) {
      const int n = s.H - unit;
      const ptrdiff_t at = static_cast<ptrdiff_t>(row) * s.H + unit;
      typename Stage::Slots slots, da;
#pragma GCC unroll 4
      for (int slot = 0; slot < S; ++slot)
        array_of<V>(slots)[slot] = load(s.gates + row * s.gates_stride + slot * static_cast<ptrdiff_t>(s.H) + unit);
      typename Stage::State prev = {}, now = {}, d = {};
      prev.h = load(s.h_prev + row * s.h_prev_stride + unit);
      if (s.direct) d.h = load(s.direct + at);
      if (s.product) d.h += load(s.product + at);
      if (s.dy) d.h += load(s.dy + row * s.dy_stride + unit, n);
      d.h = flush(d.h);
      if constexpr (has_second<Stage, V>) {
        if (s.c) array_of<V>(prev)[1] = load(s.c_prev + at), array_of<V>(now)[1] = load(s.c + at);
        array_of<V>(d)[1] = flush(load(s.dc + at));
      }
      Stage::backward(slots, prev, now, d, da);
#pragma GCC unroll 4
      for (int slot = 0; slot < S; ++slot)
        if (index_of(Stage::gradient_slots, slot) >= 0)
          store(s.da + row * s.da_stride + slot * static_cast<ptrdiff_t>(s.H) + unit, array_of<V>(da)[slot], n);
      if (s.direct) store(s.direct + at, d.h, n);
      if constexpr (has_second<Stage, V>) store(s.dc + at, array_of<V>(d)[1], n);
    }
}

// What the door offers of a cell of one stage.
template <class T, class Stage> struct OneStage {
  static constexpr int gates = count(Stage::hidden_slots);
  static void pack_hidden(const T* weight, int H, int P, T* packed) noexcept {
    pack_gates(weight, gates, H, P, packed);
  }
  static void forward(const StepForward<T>& s) noexcept {
    run_stage<T, Stage>(s, s.weight_hh, s.h_prev, s.h_prev_stride);
  }
  static constexpr CellOps<T> ops = {pack_hidden, forward, backward_stage<T, Stage>, nullptr};
};

// And of the GRU with the reset gate before the product.
template <class T> struct TwoStages {
  using V = Vec<T>;
  static ptrdiff_t first_weights(int H, int P) noexcept {
    return static_cast<ptrdiff_t>((H + lanes<T> - 1) / lanes<T>) * lanes<T> * P * 2;
  }
  static void pack_hidden(const T* weight, int H, int P, T* packed) noexcept {
    pack_gates(weight, 2, H, P, packed);
    pack_gates(weight + static_cast<ptrdiff_t>(2) * H * P, 1, H, P, packed + first_weights(H, P));
  }
  static void forward(const StepForward<T>& s) noexcept {
    run_stage<T, GruReset<V>>(s, s.weight_hh, s.h_prev, s.h_prev_stride);
    const T* rh = s.gates + static_cast<ptrdiff_t>(3) * s.H;
    run_stage<T, GruUpdate<V>>(s, s.weight_hh + first_weights(s.H, s.P), rh, s.gates_stride);
  }
  static constexpr CellOps<T> ops = {pack_hidden, forward, backward_stage<T, GruUpdate<V>>,
                                     backward_stage<T, GruReset<V>>};
};

}  // namespace
}  // namespace pyrnn
