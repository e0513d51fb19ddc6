// Outer: C (+)= A^T B, a sum over rows (all time steps of all sequences): the gradient of a weight matrix.
//
// The rows are taken in the caller's order, blockwise; the accumulators are parked in C between blocks, so the
// order of each sum is the order of the rows. Both operands are copied into contiguous panels first: rows of
// A and B lie a page or more apart, and reading them in place costs a TLB entry per row.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

constexpr int outer_row_block = 256;
constexpr int outer_tile_rows = accumulators / panel_width;

template <class T> ptrdiff_t outer_scratch(int N) noexcept {
  const ptrdiff_t columns = (N + panel_columns<T> - 1) / panel_columns<T> * panel_columns<T>;
  return outer_row_block * (columns + outer_tile_rows);
}

// Rows k0 .. k0+K of B as panels [K][panel_width].
template <class T> void outer_pack_b(const Outer<T>& o, int k0, int K) noexcept {
  RowCursor<const T> rows(o.b, k0);
  for (ptrdiff_t k = 0; k < K; ++k) {
    const T* row = rows.next();
    T* to = o.scratch + k * panel_columns<T>;
    for (int n = 0; n < o.N; n += panel_columns<T>, to += static_cast<ptrdiff_t>(K) * panel_columns<T>)
      for (int v = 0; v < panel_width; ++v) {
        const int column = n + v * lanes<T>;
        store(to + v * lanes<T>, column < o.N ? load(row + column, o.N - column) : Vec<T>{}, lanes<T>);
      }
  }
}

template <class T, int R, int G>
void outer_tile(const Outer<T>& o, const T* a, const T* panel, int m, int n, int K, bool resume) noexcept {
  Tile<T, R, 1, G> tile = {};
  T* const c = o.c + m * o.c_row + n * o.c_column;
  const auto each = [&](auto visit) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < G; ++v)
        visit(tile.acc[r][0][v], c + r * o.c_row + v * lanes<T> * o.c_column,
              smaller(lanes<T>, o.N - n - v * lanes<T>));
  };
  if (resume)
    each([&](Vec<T>& acc, const T* p, int count) {
      if (o.c_column == 1) acc = load(p, count);
      else
        for (int i = 0; i < count; ++i) acc[i] = p[i * o.c_column];
    });
  tile.multiply(Interleaved<T, R>{a}, panel, 0, panel_width, K);
  each([&](Vec<T>& acc, T* p, int count) {
    if (o.c_column == 1) store(p, acc, count);
    else
      for (int i = 0; i < count; ++i) p[i * o.c_column] = acc[i];
  });
}

// R columns of A, all of B's columns.
template <class T, int R> void outer_rows(const Outer<T>& o, int m, int k0, int K) noexcept {
  T* const a = o.scratch + outer_scratch<T>(o.N) - outer_row_block * outer_tile_rows;
  RowCursor<const T> rows(o.a, k0);
  for (ptrdiff_t k = 0; k < K; ++k) {
    const T* row = rows.next() + m;
    for (int r = 0; r < R; ++r) a[k * R + r] = row[r];
  }
  const T* panel = o.scratch;
  for (int n = 0; n < o.N; n += panel_columns<T>, panel += static_cast<ptrdiff_t>(K) * panel_columns<T>) {
    const int vectors = smaller(panel_width, (o.N - n + lanes<T> - 1) / lanes<T>);
    with_count<panel_width>(
        vectors, [&](auto v) { outer_tile<T, R, decltype(v)::value>(o, a, panel, m, n, K, k0 > 0 || o.accumulate); });
  }
}

template <class T> void outer(const Outer<T>& o) noexcept {
  for (int k = 0; k < o.K || k == 0; k += outer_row_block) {
    const int K = smaller(outer_row_block, o.K - k);
    outer_pack_b(o, k, K);
    in_pieces(o.M, outer_tile_rows, [&](int m, int rows) {
      with_count<outer_tile_rows>(rows, [&](auto r) { outer_rows<T, decltype(r)::value>(o, m, k, K); });
    });
  }
}

}  // namespace
}  // namespace pyrnn
