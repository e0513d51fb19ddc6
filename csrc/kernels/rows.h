// Loops over rows: column sums (bias gradients) and elementwise functions.
#pragma once

#include "kernels/tile.h"

namespace pyrnn {
namespace {

// sums[n] = sum over rows m = 0 .. M-1, in this order, of rows[m][n]. Compensated (Kahan 1965): thousands of rows
// added one by one would lose three digits that a pairwise sum, as torch's, keeps.
template <class T, int V> void column_sums(Rows<const T> rows, int M, int n, int N, T* sums) noexcept {
  Vec<T> sum[V] = {}, lost[V] = {};
  RowCursor<const T> cursor(rows, 0);
  for (int m = 0; m < M; ++m) {
    const T* row = cursor.next() + n;
    for (int v = 0; v < V; ++v) {
      const Vec<T> term = load(row + v * lanes<T>, N - n - v * lanes<T>) - lost[v], total = sum[v] + term;
      lost[v] = (total - sum[v]) - term;
      sum[v] = total;
    }
  }
  for (int v = 0; v < V; ++v) store(sums + n + v * lanes<T>, sum[v], N - n - v * lanes<T>);
}

template <class T> void column_sums(Rows<const T> rows, int M, int N, T* sums) noexcept {
  constexpr int wide = 8;  // vectors side by side: independent chains
  int n = 0;
  for (; n + wide * lanes<T> <= N; n += wide * lanes<T>) column_sums<T, wide>(rows, M, n, N, sums);
  for (; n < N; n += lanes<T>) column_sums<T, 1>(rows, M, n, N, sums);
}

template <class T, Vec<T> (*function)(Vec<T>) noexcept> void map(const T* x, T* y, ptrdiff_t n) noexcept {
  for (ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const int count = static_cast<int>(n - i < lanes<T> ? n - i : lanes<T>);
    store(y + i, function(load(x + i, count)), count);
  }
}

}  // namespace
}  // namespace pyrnn
