// One time step of any cell, forward and backward: the only place where a cell meets memory.
//
// Forward: for each vector of hidden units and each tile of batch rows, the recurrent product runs in registers
// on top of the hoisted sums, and the cell's equations follow; the state is stored once.
// Backward: the cell's equations, row by row; the product with W_hh is a plain gemm of the caller's.
//
// A cell is one stage or several (cells/gru.h): a stage names the slots its product adds to (hidden_slots), the
// slots whose gradients it makes (gradient_slots), and whether its result is the new state (ends_step).
//
// Loads stop at the end of a row, as stores do: the next row may be another thread's.
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

// The slots of a stage as an array: all members of Slots are of the one type V.
template <class V, class Slots> [[gnu::always_inline]] inline V* array_of(Slots& slots) noexcept {
  return reinterpret_cast<V*>(&slots);
}

template <class Step> [[gnu::always_inline]] inline ptrdiff_t row_of(const Step& s, int i) noexcept {
  return s.rows ? s.rows[i].row : i;
}

// The cell's equations for one vector of units of one row, on the finished sums.
template <class T> using Finish = void (*)(const StepForward<T>& s, ptrdiff_t row, int unit, const Vec<T>* products);

template <class T, class Stage, class Functions>
void finish(const StepForward<T>& s, ptrdiff_t row, int unit, const Vec<T>* products) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  const int n = s.H - unit;
  T* const gates = s.gates + row * s.gates_stride + unit;
  typename Stage::Slots sums, saved;
#pragma GCC unroll 5
  for (int slot = 0; slot < S; ++slot) {
    const int p = index_of(Stage::hidden_slots, slot);
    array_of<V>(sums)[slot] = p >= 0 ? products[p] : load(gates + slot * static_cast<ptrdiff_t>(s.H), n);
  }
  typename Stage::State prev = {};
  // A projected h is narrower than a row of units; only the LSTM has one, and it does not look at h.
  if (s.h_prev_stride == s.H) prev.h = load(s.h_prev + row * s.h_prev_stride + unit, n);
  const ptrdiff_t c_at = row * s.H + unit;
  if constexpr (has_second<Stage, V>)
    if (s.c) array_of<V>(prev)[1] = load(s.c_prev + c_at, n);
  auto next = Stage::forward(Functions(s.options, s.H, unit), sums, prev, saved);
  if (s.keep || !Stage::ends_step) {
#pragma GCC unroll 5
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

// The product of one stage: which slots it adds to. Slot 3 of three is the GRU candidate's own sum, which starts
// from the recurrent bias alone; the others start from the hoisted sums.
template <int... numbers> struct Product {
  static constexpr int slots[] = {numbers...}, gates = sizeof...(numbers);
  static constexpr bool own_sum(int slot) noexcept { return gates == 3 && slot == 3; }

  // Vectors of units a tile takes side by side: a panel's width, and enough chains where rows are few.
  static constexpr int narrow = gates < panel_width ? panel_width / gates : 1;
  static constexpr int units(int rows) noexcept { return narrow * at_least_8(rows, gates * narrow); }
  static constexpr int max_rows = accumulators / (gates * narrow);
};
template <class T> struct Operand {
  const T* weight;  // packed panels
  const T* input;   // [B,P]: h, or r h
  ptrdiff_t stride;
};

// R rows by U vectors of units, from row and unit on.
template <class T, class Product, int R, int U>
void product_tile(const StepForward<T>& s, const Operand<T>& in, Finish<T> finish, int row, int unit) noexcept {
  constexpr int G = Product::gates;
  const ptrdiff_t panel = static_cast<ptrdiff_t>(s.P) * G * lanes<T>;
  RowPointers<T, R> a;
  Tile<T, R, U, G> tile;
  for (int r = 0; r < R; ++r) {
    const ptrdiff_t at = row_of(s, row + r);
    a.row[r] = in.input + at * in.stride;
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const int slot = Product::slots[g], units = unit + u * lanes<T>;
        tile.acc[r][u][g] =
            Product::own_sum(slot)
                ? load(s.bias_hh + units, s.H - units)
                : load(s.gates + at * s.gates_stride + static_cast<ptrdiff_t>(slot) * s.H + units, s.H - units);
      }
  }
  tile.multiply(a, in.weight + unit / lanes<T> * panel, panel, G, s.P);
  const Tile<T, R, U, G> sums = tile;  // a copy: addressing the tile itself would keep it out of the registers
#pragma GCC unroll 1
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 1
    for (int u = 0; u < U; ++u) finish(s, row_of(s, row + r), unit + u * lanes<T>, sums.acc[r][u]);
}

// Groups of units outside, rows inside: a group's weights are read from memory once and serve all rows.
template <class T, class Product>
void run_product(const StepForward<T>& s, const Operand<T>& in, Finish<T> finish) noexcept {
  constexpr int group = Product::units(1);
  const int units = (s.H + lanes<T> - 1) / lanes<T>;
  for (int first = 0; first < units; first += group)
    in_pieces(s.B, Product::max_rows, [&](int row, int rows) {
      with_count<Product::max_rows>(rows, [&](auto r) {
        constexpr int R = decltype(r)::value, U = Product::units(R);
        int u = first;
        const int end = smaller(first + group, units);
        for (; u + U <= end; u += U) product_tile<T, Product, R, U>(s, in, finish, row, u * lanes<T>);
        for (; u < end; ++u) product_tile<T, Product, R, 1>(s, in, finish, row, u * lanes<T>);
      });
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
        if (index_of(Stage::gradient_slots, slot) >= 0)
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
template <class T, class Stage, class Functions, class Product> struct OneStage {
  static void pack_hidden(const T* weight, int H, int P, T* packed) noexcept {
    pack_gates(weight, Product::gates, H, P, packed);
  }
  static void forward(const StepForward<T>& s) noexcept {
    run_product<T, Product>(s, {s.weight_hh, s.h_prev, s.h_prev_stride}, finish<T, Stage, Functions>);
  }
  static constexpr CellOps<T> ops = {pack_hidden, forward, backward_stage<T, Stage, Functions>, nullptr};
};
template <class T, class F> using RnnOps = OneStage<T, Rnn<Vec<T>>, F, Product<0>>;
template <class T, class F> using LstmOps = OneStage<T, Lstm<Vec<T>>, F, Product<0, 1, 2, 3>>;
template <class T, class F> using GruOps = OneStage<T, Gru<Vec<T>>, F, Product<0, 1, 3>>;

// And of the GRU with the reset gate before the product.
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
    run_product<T, Product<0, 1>>(s, {s.weight_hh, s.h_prev, s.h_prev_stride}, finish<T, GruReset<V>, F>);
    const T* rh = s.gates + static_cast<ptrdiff_t>(3) * s.H;
    run_product<T, Product<2>>(s, {s.weight_hh + first_weights(s.H, s.P), rh, s.gates_stride},
                               finish<T, GruUpdate<V>, F>);
  }
  static constexpr CellOps<T> ops = {pack_hidden, forward, backward_stage<T, GruUpdate<V>, F>,
                                     backward_stage<T, GruReset<V>, F>};
};

}  // namespace
}  // namespace pyrnn
