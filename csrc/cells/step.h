// One time step of any cell, forward and backward. Only this file loads a cell's inputs from memory and stores its
// results.
//
// Forward: for each vector of hidden units and each tile of batch rows, the products run in registers, then the cell's
// equations; the state is stored once. Backward: the cell's equations, row by row. The caller computes the product
// with W_hh by a plain gemm.
//
// A cell has one stage or several (cells/gru.h). A stage names the slots that W_ih x is added to (Input), those that
// W_hh h is added to (Hidden), those that its equations read (Sums), those whose gradients it computes (Gradient), and
// whether its result is the new state (ends_step).
//
// Neither loads nor stores cross a row's end: the next row may belong to another thread.
#pragma once

#include <type_traits>

#include "cells/activation.h"
#include "cells/product.h"

namespace pyrnn {
namespace {

template <class Stage, class V> constexpr int slot_count = sizeof(typename Stage::Slots) / sizeof(V);
template <class Stage, class V> constexpr bool has_second = sizeof(typename Stage::State) == 2 * sizeof(V);

// Returns the slots of a stage as an array: all members of Slots have the type V.
template <class V, class Slots> [[gnu::always_inline]] inline V* array_of(Slots& slots) noexcept {
  static_assert(std::is_standard_layout_v<Slots> && sizeof(Slots) % sizeof(V) == 0 && alignof(Slots) == alignof(V));
  return reinterpret_cast<V*>(&slots);
}

template <class Step> [[gnu::always_inline]] inline ptrdiff_t row_of(const Step& s, int i) noexcept {
  return s.rows ? s.rows[i].row : i;
}

// The complete sums of one vector of units of one row, slot by slot.
constexpr int most_sums = 4;
template <class T> struct RowSums {
  ptrdiff_t row;
  Vec<T> slot[most_sums];
};

// Applies the cell's equations to one vector of units of some rows.
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
    // With a projection h is narrower than a row of units; only the LSTM can have one, and its equations do not read
    // h.
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

// The left operands of a step: h or r h, and x if the step computes the inputs' part too.
template <class F> struct StepOperands {
  const typename F::Operand *x, *h;
  const void* weight_hh;
};

// Computes R rows by U vectors of units, from `row` and `unit` on. If fused, the tile computes all sums of the stage;
// otherwise it computes those that W_hh adds to, and loads the others, which are complete, from the memory of the
// gates.
template <class T, class Stage, bool fused, class F, int R, int U>
void step_tile(const StepForward<T>& s, const StepOperands<F>& in, Finish<T> finish, int row, int unit) noexcept {
  using Input = typename Stage::Input;
  using Hidden = typename Stage::Hidden;
  using Made = std::conditional_t<fused, typename Stage::Sums, Hidden>;
  const ptrdiff_t H = s.H;
  RowSums<T> sums[U][R];
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) sums[0][r].row = row_of(s, row + r);
  Tile<T, R, U, Made::count> tile;
  tile.each([&](Vec<T>& sum, int r, int u, int g) __attribute__((always_inline)) {
    const int units = unit + u * lanes<T>;
    const bool own = Input::index_of(Made::at[g]) < 0;  // W_hn h + b_hn of the GRU: x is not part of it
    const T* const start = own     ? s.bias_hh + units
                           : fused ? s.bias + Made::at[g] * H + units
                                   : s.gates + sums[0][r].row * s.gates_stride + Made::at[g] * H + units;
    sum = load(start, s.H - units);
  });
  if constexpr (fused) F::template add<Input>(tile, in.x->template tile<R>(row), s.weight_ih, unit, s.H, s.I);
  using Into = std::conditional_t<fused, Hidden, FirstSlots<Hidden::count>>;
  F::template add<Into>(tile, in.h->template tile<R>(row), in.weight_hh, unit, s.H, s.P);
  tile.each([&](Vec<T> sum, int r, int u, int g)
                __attribute__((always_inline)) { sums[u][r].slot[Made::at[g]] = sum; });
#pragma GCC unroll 1
  for (int u = 0; u < U; ++u) {
    const int units = unit + u * lanes<T>;
#pragma GCC unroll 1
    for (int r = 0; r < R; ++r) {
      sums[u][r].row = sums[0][r].row;
#pragma GCC unroll 4
      for (int slot = 0; slot < most_sums; ++slot)
        if (Stage::Sums::index_of(slot) >= 0 && Made::index_of(slot) < 0)
          sums[u][r].slot[slot] = load(s.gates + sums[0][r].row * s.gates_stride + slot * H + units, s.H - units);
    }
    finish(s, sums[u], R, units);
  }
}

// Runs a stage: multiplies `weight` by the rows of `input`, which are h or r h.
template <class T, class Stage, bool fused, class F>
void run_stage(const StepForward<T>& s, const void* weight, const T* input, ptrdiff_t stride,
               Finish<T> finish) noexcept {
  using Operand = typename F::Operand;
  constexpr int G = fused ? Stage::Sums::count : Stage::Hidden::count;
  const Operand h({input, 0, stride, s.B, s.rows}, s.B, s.P, s.scratch);
  const auto run = [&](const Operand* x) __attribute__((always_inline)) {
    const StepOperands<F> in = {x, &h, weight};
    over_tiles<T, F, TileShape<G>>(s.B, s.units, [&](auto r, auto u, int row, int unit) {
      step_tile<T, Stage, fused, F, decltype(r)::value, decltype(u)::value>(s, in, finish, row, unit);
    });
  };
  if constexpr (fused) {
    const Operand x({s.x, 0, s.x_stride, s.B, s.rows}, s.B, s.I,
                    static_cast<char*>(s.scratch) + s.B * F::row_scratch(s.P));
    run(&x);
  } else {
    run(nullptr);
  }
}

// The tape has left the cache by the time backward runs; prefetching it `rows_ahead` rows ahead halves a backward step
// at T = 100, B = 128, H = 64.
constexpr int rows_ahead = 4;
template <class T, int slots>
[[gnu::always_inline]] inline void fetch_ahead(const StepBackward<T>& s, ptrdiff_t row, int unit) noexcept {
  for (int slot = 0; slot < slots; ++slot)
    __builtin_prefetch(s.gates + row * s.gates_stride + slot * static_cast<ptrdiff_t>(s.H) + unit);
  if (s.c_prev) __builtin_prefetch(s.c_prev + row * s.H + unit);
  if (s.dy) __builtin_prefetch(s.dy + row * s.dy_stride + unit);
}

template <class T, class Stage, class Functions> void backward_stage(const StepBackward<T>& s) noexcept {
  using V = Vec<T>;
  constexpr int S = slot_count<Stage, V>;
  for (int i = 0; i < s.B; ++i)
    for (int unit = s.units.first; unit < s.units.end; unit += lanes<T>) {
      const int n = s.H - unit;
      if (i + rows_ahead < s.B) fetch_ahead<T, S>(s, row_of(s, i + rows_ahead), unit);
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

// Computes the inputs' part of one step, for a step that cannot be fused.
template <class T, class Input, class F> void project_step(const StepForward<T>& s) noexcept {
  project<T, Input, F>({.M = s.B,
                        .I = s.I,
                        .H = s.H,
                        .units = s.units,
                        .x = {s.x, 0, s.x_stride, s.B, s.rows},
                        .weight_ih = s.weight_ih,
                        .bias = s.bias,
                        .gates = {s.gates, 0, s.gates_stride, s.B, s.rows},
                        .scratch = s.scratch});
}

}  // namespace
}  // namespace pyrnn
