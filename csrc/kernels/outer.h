// Outer: C (+)= A^T B, a sum over rows (all time steps of all sequences): the gradient of a weight matrix.
//
// The rows are taken in the caller's order, blockwise; the accumulators are parked in C between blocks, so the
// order of each sum is the order of the rows. Operands are copied into contiguous blocks first: rows of A and B lie
// a page or more apart, and reading them in place costs a TLB entry per row.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

// A tile waits some 500 cycles for its C when that is larger than L2 (M = 2048, N = 512), against 12 a row: blocks of
// 256, 512, 1024 rows ran at 189, 205, 213 GFLOP/s on Zen 5; 222 with C asked for a tile ahead and 96 columns of A.
constexpr int outer_row_block = 1024;
constexpr int outer_tile_rows = accumulators / panel_width;
constexpr int outer_columns = 16 * outer_tile_rows;  // of A, copied at once: whole cache lines

template <class T> constexpr int padded(int N) noexcept {
  return (N + panel_columns<T> - 1) / panel_columns<T> * panel_columns<T>;
}

template <class T> ptrdiff_t outer_scratch(int N) noexcept {
  return static_cast<ptrdiff_t>(outer_row_block) * (padded<T>(N) + panel_columns<T> + outer_columns);
}

// The left operand: some columns of a block of A, [K, outer_columns].
template <class T> struct OuterColumns {
  const T* data;
  [[gnu::always_inline]] T at(int r, ptrdiff_t k) const noexcept { return data[k * outer_columns + r]; }
};

// Columns m .. m+M, rows k0 .. k0+K of A. They are copied once for both B: 10 cycles a cache line weigh when N is 64.
template <class T> void outer_pack_a(const Outer<T>& o, int m, int M, int k0, int K, T* to) noexcept {
  RowCursor<const T> rows(o.a, k0);
  for (ptrdiff_t k = 0; k < K; ++k, to += outer_columns) {
    const T* row = rows.next() + m;
    for (int i = 0; i < M; i += lanes<T>) store(to + i, load(row + i, M - i), lanes<T>);
  }
}

// Rows k0 .. k0+K of B as panels [K][panel_width].
template <class T> void outer_pack_b(const typename Outer<T>::Right& right, int k0, int K, T* panels) noexcept {
  RowCursor<const T> rows(right.b, k0);
  for (ptrdiff_t k = 0; k < K; ++k) {
    const T* row = rows.next();
    T* to = panels + k * panel_columns<T>;
    for (int n = 0; n < right.N; n += panel_columns<T>, to += static_cast<ptrdiff_t>(K) * panel_columns<T>)
      for (int v = 0; v < panel_width; ++v) {
        const int column = n + v * lanes<T>;
        store(to + v * lanes<T>, column < right.N ? load(row + column, right.N - column) : Vec<T>{}, lanes<T>);
      }
  }
}

// `ahead`: another tile follows R rows further down.
template <class T, int R, int G>
void outer_tile(const typename Outer<T>::Right& right, const T* a, const T* panel, int m, int n, int K, bool resume,
                bool ahead) noexcept {
  Tile<T, R, 1, G> tile = {};
  T* const c = right.c + m * right.c_row + n * right.c_column;
  const auto each = [&](auto visit) {
    for (int r = 0; r < R; ++r)
      for (int v = 0; v < G; ++v)
        visit(tile.acc[r][0][v], c + r * right.c_row + v * lanes<T> * right.c_column,
              smaller(lanes<T>, right.N - n - v * lanes<T>));
  };
  if (resume)
    each([&](Vec<T>& acc, const T* p, int count) {
      if (right.c_column == 1) acc = load(p, count);
      else
        for (int i = 0; i < count; ++i) acc[i] = p[i * right.c_column];
    });
  if (right.c_column == 1 && ahead)
    for (int r = 0; r < R; ++r)
      for (int i = 0; i < G * lanes<T>; i += cache_line<T>) __builtin_prefetch(c + (R + r) * right.c_row + i, 1);
  tile.multiply(OuterColumns<T>{a}, panel, 0, panel_width, K);
  each([&](Vec<T>& acc, T* p, int count) {
    if (right.c_column == 1) store(p, acc, count);
    else
      for (int i = 0; i < count; ++i) p[i * right.c_column] = acc[i];
  });
}

// M columns of A, all of B's.
template <class T>
void outer_columns_of(const typename Outer<T>::Right& right, const T* a, int m0, int M, const T* panel, int K,
                      bool resume) noexcept {
  for (int n = 0; n < right.N; n += panel_columns<T>, panel += static_cast<ptrdiff_t>(K) * panel_columns<T>) {
    const int vectors = smaller(panel_width, (right.N - n + lanes<T> - 1) / lanes<T>);
    with_count<panel_width>(vectors, [&](auto v) {
      in_pieces(M, outer_tile_rows, [&](int m, int rows) {
        with_count<outer_tile_rows>(rows, [&](auto r) {
          outer_tile<T, decltype(r)::value, decltype(v)::value>(right, a + m, panel, m0 + m, n, K, resume,
                                                                m + 2 * rows <= M);
        });
      });
    });
  }
}

template <class T> void outer(const Outer<T>& o) noexcept {
  T* const a = o.scratch;
  T* const panels[] = {a + outer_row_block * outer_columns,
                       a + outer_row_block * (outer_columns + padded<T>(o.right[0].N))};
  for (int k = 0; k < o.K || k == 0; k += outer_row_block) {
    const int K = smaller(outer_row_block, o.K - k);
    for (int i = 0; i < 2; ++i)
      if (o.right[i].N) outer_pack_b(o.right[i], k, K, panels[i]);
    for (int m = 0; m < o.M; m += outer_columns) {
      const int M = smaller(outer_columns, o.M - m);
      outer_pack_a(o, m, M, k, K, a);
      for (int i = 0; i < 2; ++i) outer_columns_of(o.right[i], a, m, M, panels[i], K, k > 0 || o.accumulate);
    }
  }
}

}  // namespace
}  // namespace pyrnn
