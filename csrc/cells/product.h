// The sums of a cell in registers: a = bias + W_ih x + W_hh h for a tile of rows by vectors of hidden units.
//
// The inputs' part is either made for many steps at once and parked in the gates' own memory (project), or in the step
// itself, just before the hidden part (fused), which then reads and writes no gates at all. The order of every sum is
// the same in both: bias, x, h.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

// Tiles of a product that accumulates so many vectors a vector of units.
template <int gates> struct TileShape {
  // Vectors of units a tile takes side by side: a panel's width, and enough chains where rows are few.
  static constexpr int narrow = gates < panel_width ? panel_width / gates : 1;
  static constexpr int units(int rows) noexcept { return narrow * at_least_8(rows, gates * narrow); }
  static constexpr int max_rows = accumulators / (gates * narrow);
};

// Cuts `count` vectors of units into widths up to U: as even as can be, or, since every width is a copy of the code, U
// and its halves.
template <int U, bool evenly, class F> [[gnu::always_inline]] inline void in_widths(int count, F f) noexcept {
  if constexpr (evenly) {
    in_pieces(count, U, [&](int vector, int width) { with_count<U>(width, [&](auto u) { f(u, vector); }); });
  } else {
    int vector = 0;
    for (; vector + U <= count; vector += U) f(Count<U>{}, vector);
    if constexpr (U > 1) in_widths<U / 2, false>(count - vector, [&](auto u, int further) { f(u, vector + further); });
  }
}

// Calls f(Count<rows>, Count<units>, first row, first unit) tile by tile. Groups of units outside, rows inside: a
// group's weights are read from memory once and serve all rows. Groups are as even as can be: one vector of units alone
// has too few chains to hide the latency of its own.
template <class T, class Shape, class F> [[gnu::always_inline]] inline void over_tiles(int rows, int H, F f) noexcept {
  const int vectors = (H + lanes<T> - 1) / lanes<T>;
  in_pieces(vectors, Shape::units(1), [&](int first, int group) {
    in_pieces(rows, Shape::max_rows, [&](int row, int count) {
      with_count<Shape::max_rows>(count, [&](auto r) {
        constexpr int U = Shape::units(decltype(r)::value);
        in_widths<U, decltype(r)::value == 1>(group,
                                              [&](auto u, int vector) { f(r, u, row, (first + vector) * lanes<T>); });
      });
    });
  });
}

// gates[row][slot] = bias + W_ih x, for all rows of some steps.
template <class T, class Input, int R, int U>
void project_tile(const Project<T>& p, int row, int unit) noexcept {
  constexpr int G = Input::count;
  RowPointers<T, R> x;
  T* gates[R];
  RowCursor<const T> x_rows(p.x, row);
  RowCursor<T> gates_rows(p.gates, row);
#pragma GCC unroll 12
  for (int r = 0; r < R; ++r) x.row[r] = x_rows.next(), gates[r] = gates_rows.next();
  Tile<T, R, U, G> tile;
  const auto column = [&](int u, int g) { return static_cast<ptrdiff_t>(Input::at[g]) * p.H + unit + u * lanes<T>; };
  tile.each([&](Vec<T>& sum, int, int u, int g)
                __attribute__((always_inline)) { sum = load(p.bias + column(u, g), p.H - unit - u * lanes<T>); });
  const ptrdiff_t panel = static_cast<ptrdiff_t>(p.I) * G * lanes<T>;
  tile.multiply(x, p.weight_ih + unit / lanes<T> * panel, panel, G, p.I);
  tile.each([&](Vec<T> sum, int r, int u, int g)
                __attribute__((always_inline)) { store(gates[r] + column(u, g), sum, p.H - unit - u * lanes<T>); });
}

template <class T, class Input> void project(const Project<T>& p) noexcept {
  using Shape = TileShape<Input::count>;
  over_tiles<T, Shape>(p.M, p.H, [&](auto r, auto u, int row, int unit) {
    project_tile<T, Input, decltype(r)::value, decltype(u)::value>(p, row, unit);
  });
}

}  // namespace
}  // namespace pyrnn
