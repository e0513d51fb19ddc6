// The sums of a cell in registers, a = bias + W_ih x + W_hh h, for a tile of rows by vectors of hidden units.
//
// Either `project` computes the inputs' part bias + W_ih x for many steps at once and stores it in the memory of the
// gates, or the step computes it just before the hidden part (fused), and then reads no sums from memory. The order of
// every sum is the same in both: bias, x, h.
#pragma once

#include "cells/format.h"

namespace pyrnn {
namespace {

// The shape of a tile that accumulates `gates` vectors per vector of units.
template <int gates> struct TileShape {
  // A tile takes `narrow` vectors of units, which fill the width of a panel. If it has only a few rows, it takes more
  // vectors, so that enough independent chains of multiply-adds hide their latency.
  static constexpr int narrow = gates < panel_width ? panel_width / gates : 1;
  static constexpr int units(int rows) noexcept { return narrow * at_least_8(rows, gates * narrow); }
  static constexpr int max_rows = accumulators / (gates * narrow);
};

// Calls f(Count<rows>, Count<units>, first row, first unit) for each tile. Groups of units are the outer loop, rows
// the inner one: a group's weights are read from memory once for all rows.
template <class T, class F, class Shape, class Visit>
[[gnu::always_inline]] inline void over_tiles(int rows, Units units, Visit f) noexcept {
  const int vectors = (units.end - units.first + lanes<T> - 1) / lanes<T>;
  in_pieces(vectors, Shape::units(1), [&](int first, int group) {
    in_counts<Shape::max_rows, F::all_shapes>(rows, [&](auto r, int row) {
      constexpr int R = decltype(r)::value;
      in_counts<Shape::units(R), F::all_shapes && R == 1>(
          group, [&](auto u, int vector) { f(r, u, row, units.first + (first + vector) * lanes<T>); });
    });
  });
}

// Writes gates[row][slot] = bias + W_ih x for one tile of the rows of some steps.
template <class T, class Input, class F, int R, int U>
void project_tile(const Project<T>& p, const typename F::Operand& x, int row, int unit) noexcept {
  T* gates[R];
  RowCursor<T> gates_rows(p.gates, row);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) gates[r] = gates_rows.next();
  const auto column = [&](int u, int g) { return static_cast<ptrdiff_t>(Input::at[g]) * p.H + unit + u * lanes<T>; };
  Tile<T, R, U, Input::count> tile;
  tile.each([&](Vec<T>& sum, int, int u, int g)
                __attribute__((always_inline)) { sum = load(p.bias + column(u, g), p.H - unit - u * lanes<T>); });
  F::template add<FirstSlots<Input::count>>(tile, x.template tile<R>(row), p.weight_ih, unit, p.H, p.I);
  tile.each([&](Vec<T> sum, int r, int u, int g)
                __attribute__((always_inline)) { store(gates[r] + column(u, g), sum, p.H - unit - u * lanes<T>); });
}

template <class T, class Input, class F> void project(const Project<T>& p) noexcept {
  const typename F::Operand x(p.x, p.M, p.I, p.scratch);
  over_tiles<T, F, TileShape<Input::count>>(p.M, p.units, [&](auto r, auto u, int row, int unit) {
    project_tile<T, Input, F, decltype(r)::value, decltype(u)::value>(p, x, row, unit);
  });
}

}  // namespace
}  // namespace pyrnn
