// Loops over rows: column sums (gradients of biases) and elementwise functions.
#pragma once

#include "kernels/tile.h"

namespace pyrnn {
namespace {

// sums[n] = or += the sum over rows m = 0 .. M-1, in this order, of rows[m][n]. The sum is compensated (Kahan 1965):
// adding thousands of rows one by one would lose three digits that a pairwise sum such as torch's keeps. The
// compensation of an infinite sum is set to zero: infinity minus infinity would make the sum NaN, where torch's stays
// infinite.
template <class T, int V>
void column_sums(Rows<const T> rows, int M, int n, int N, bool accumulate, T* sums, T* lost_sums) noexcept {
  Vec<T> sum[V] = {}, lost[V] = {};
  for (int v = 0; v < V && accumulate; ++v) {
    sum[v] = load(sums + n + v * lanes<T>, N - n - v * lanes<T>);
    lost[v] = load(lost_sums + n + v * lanes<T>, N - n - v * lanes<T>);
  }
  RowCursor<const T> cursor(rows, 0);
  for (int m = 0; m < M; ++m) {
    const T* row = cursor.next() + n;
    for (int v = 0; v < V; ++v) {
      const Vec<T> term = load(row + v * lanes<T>, N - n - v * lanes<T>) - lost[v], total = sum[v] + term;
      // This tests the sum and not `lost`, which the next row waits for.
      const Vec<T> zero_or_nan = total - total;  // NaN where the sum is not finite
      lost[v] = zero_or_nan == zero_or_nan ? (total - sum[v]) - term : Vec<T>{};
      sum[v] = total;
    }
  }
  for (int v = 0; v < V; ++v) {
    store(sums + n + v * lanes<T>, sum[v], N - n - v * lanes<T>);
    store(lost_sums + n + v * lanes<T>, lost[v], N - n - v * lanes<T>);
  }
}

template <class T> void column_sums(Rows<const T> rows, int M, int N, bool accumulate, T* sums, T* lost) noexcept {
  constexpr int wide = 8;  // vectors at once, which are independent chains
  int n = 0;
  for (; n + wide * lanes<T> <= N; n += wide * lanes<T>) column_sums<T, wide>(rows, M, n, N, accumulate, sums, lost);
  for (; n < N; n += lanes<T>) column_sums<T, 1>(rows, M, n, N, accumulate, sums, lost);
}

// sums[n] = or += the sum over rows m of a[m][n] b[m][n]: the gradient of a weight that multiplies elementwise.
template <class T>
void column_dots(Rows<const T> a, Rows<const T> b, int M, int N, bool accumulate, T* sums) noexcept {
  for (int n = 0; n < N; n += lanes<T>) {
    Vec<T> sum = accumulate ? load(sums + n, N - n) : Vec<T>{};
    RowCursor<const T> a_rows(a, 0), b_rows(b, 0);
    for (int m = 0; m < M; ++m) sum = fma(load(a_rows.next() + n, N - n), load(b_rows.next() + n, N - n), sum);
    store(sums + n, sum, N - n);
  }
}

template <class T, class F> void map(const T* x, T* y, ptrdiff_t n, F function) noexcept {
  for (ptrdiff_t i = 0; i < n; i += lanes<T>) {
    const int count = static_cast<int>(n - i < lanes<T> ? n - i : lanes<T>);
    store(y + i, function(load(x + i, count)), count);
  }
}

}  // namespace
}  // namespace pyrnn
