// Gemm: C = start + A B with B packed, for products that run outside of the loop over time.
//
// The product goes block by block over k: the accumulators are stored in C after a block and loaded again for the
// next, so each sum keeps its order.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

// A block of A (96 x 1024 floats) and a block of a panel (1024 x 64) take 640 KB and stay in a 1 MB L2. A product of K
// = 2048 is 2 % faster than with blocks of 512.
constexpr int gemm_row_block = 96, gemm_k_block = 1024;

// Multiplies R rows by U panels for k from k0 to k0 + K. It uses all vectors of each panel, or only the first G if it
// is the last panel.
template <class T, int R, int U, int G>
[[gnu::always_inline]] inline void gemm_tile(const Gemm<T>& g, int m, int n, int k0, int K) noexcept {
  RowPointers<T, R> a;
  T* c[R];
  RowCursor<const T> a_rows(g.a, m);
  RowCursor<T> c_rows(g.c, m);
  for (int r = 0; r < R; ++r) a.row[r] = a_rows.next() + k0, c[r] = c_rows.next();
  const bool first = k0 == 0;
  Tile<T, R, U, G> tile;
  for (int r = 0; r < R; ++r)
    for (int u = 0; u < U; ++u)
      for (int v = 0; v < G; ++v) {
        const int column = n + (u * panel_width + v) * lanes<T>;
        tile.acc[r][u][v] = !first || g.accumulate ? load(c[r] + column, g.N - column)
                            : g.bias               ? load(g.bias + column)
                                                   : Vec<T>{};
      }
  // Prefetches cold output rows while it multiplies: saves 12 % of the product's time at K = 64.
  if (first && !g.accumulate)
    for (int r = 0; r < R; ++r)
      for (int i = 0; i < U * G * lanes<T>; i += cache_line<T>) __builtin_prefetch(c[r] + n + i, 1);
  const ptrdiff_t panel = static_cast<ptrdiff_t>(g.b_rows) * panel_columns<T>;
  tile.multiply(a, g.b + n / panel_columns<T> * panel + static_cast<ptrdiff_t>(g.b_first + k0) * panel_columns<T>,
                panel, panel_width, K);
  for (int r = 0; r < R; ++r)
    for (int u = 0; u < U; ++u)
      for (int v = 0; v < G; ++v) {
        const int column = n + (u * panel_width + v) * lanes<T>;
        store(c[r] + column, tile.acc[r][u][v], g.N - column);
      }
}

template <class T, int G> void gemm_panel(const Gemm<T>& g, int m0, int M, int n, int k0, int K) noexcept {
  in_counts<accumulators / panel_width, true>(
      M, [&](auto r, int m) { gemm_tile<T, decltype(r)::value, 1, G>(g, m0 + m, n, k0, K); });
}

// A single row uses several panels at once: one panel has too few independent sums to hide the latency of the FMA.
template <class T> int gemm_row(const Gemm<T>& g, int m, int k0, int K) noexcept {
  constexpr int panels = at_least_8(1, panel_width);
  int n = 0;
  for (; n + panels * panel_columns<T> <= g.N; n += panels * panel_columns<T>)
    gemm_tile<T, 1, panels, panel_width>(g, m, n, k0, K);
  return n;
}

template <class T> void gemm(const Gemm<T>& g) noexcept {
  for (int m = 0; m < g.M; m += gemm_row_block) {
    const int rows = smaller(gemm_row_block, g.M - m);
    for (int k = 0; k < g.K || k == 0; k += gemm_k_block) {
      const int K = smaller(gemm_k_block, g.K - k);
      int n = rows == 1 ? gemm_row(g, m, k, K) : 0;
      for (; n < g.N; n += panel_columns<T>) {
        const int vectors = smaller(panel_width, (g.N - n + lanes<T> - 1) / lanes<T>);
        with_count<panel_width>(vectors, [&](auto v) { gemm_panel<T, decltype(v)::value>(g, m, rows, n, k, K); });
      }
    }
  }
}

}  // namespace
}  // namespace pyrnn
