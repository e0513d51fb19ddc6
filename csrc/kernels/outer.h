// Outer: C = or += A^T B, a sum over rows (all time steps of all sequences): the gradient of a weight matrix.
//
// It goes over the rows in the caller's order, block by block. The accumulators are stored in C after a block and
// loaded again for the next, so each sum has the order of the rows. It copies the operands of a block into contiguous
// memory first: rows of A and B lie a page or more apart, and each would need a TLB entry of its own.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

// A C that is larger than L2 (M = 2048, N = 512) takes a tile some 500 cycles to load, against 12 cycles per row of
// the product: on Zen 5 blocks of 256, 512 and 1024 rows ran at 189, 205 and 213 GFLOP/s, and at 222 with C prefetched
// one tile ahead and 96 columns of A.
constexpr int outer_row_block = 1024;
constexpr int outer_tile_rows = accumulators / panel_width;
constexpr int outer_columns = 16 * outer_tile_rows;  // columns of A that are copied at once, in whole cache lines

template <class T> constexpr int padded(int N) noexcept {
  return (N + panel_columns<T> - 1) / panel_columns<T> * panel_columns<T>;
}

template <class T> ptrdiff_t outer_scratch(int N) noexcept {
  return static_cast<ptrdiff_t>(outer_row_block) * (padded<T>(N) + panel_columns<T> + outer_columns);
}

// The left operand: outer_columns columns of a block of A, copied to [K, outer_columns].
template <class T> struct OuterColumns {
  const T* data;
  [[gnu::always_inline]] T at(int r, ptrdiff_t k) const noexcept { return data[k * outer_columns + r]; }
};

// Copies columns m .. m+M of rows k0 .. k0+K of A, once for both B: reading a row costs 10 cycles per cache line,
// which matters for N as small as 64.
template <class T> void outer_pack_a(const Outer<T>& o, int m, int M, int k0, int K, T* to) noexcept {
  RowCursor<const T> rows(o.a, k0);
  for (ptrdiff_t k = 0; k < K; ++k, to += outer_columns) {
    const T* row = rows.next() + m;
    for (int i = 0; i < M; i += lanes<T>) store(to + i, load(row + i, M - i), lanes<T>);
  }
}

// Copies rows k0 .. k0+K of B into panels of [K][panel_width] vectors.
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

// Computes one tile of C. If `ahead`, another tile follows R rows further down, and its part of C is prefetched.
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

// Computes the tiles for M columns of A and all columns of B.
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
