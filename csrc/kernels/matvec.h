// Matvec: y = start + W x with W as the caller stores it, for one step of one sequence. A packed copy of W would save
// nothing there: to check that W has not changed, the caller must read all of it, and the time of the step is the time
// to read W.
//
// Lanes run across rows of W, never across k, so each element of y is one chain of fused multiply-adds
// (kernels/tile.h). W is transposed in registers, in squares whose rows have 128 bits (4 x 4
// floats); larger squares would take more shuffles per element.
#pragma once

#include "kernels/pack.h"

namespace pyrnn {
namespace {

template <class T> constexpr int square = lanes<T> * sizeof(T) < 16 ? 1 : 16 / sizeof(T);

template <class V, int... lane>
[[gnu::always_inline]] inline auto joined(V a, V b, std::integer_sequence<int, lane...>) noexcept {
  return __builtin_shufflevector(a, b, lane...);
}

// Returns a vector of `parts` pieces of 128 bits that are `stride` elements apart in memory.
template <class T, int parts> [[gnu::always_inline]] inline auto load_parts(const T* p, ptrdiff_t stride) noexcept {
  if constexpr (parts == 1) {
    typedef T Part __attribute__((vector_size(square<T> * sizeof(T))));
    Part part;
    __builtin_memcpy(&part, p, sizeof part);
    return part;
  } else {
    return joined(load_parts<T, parts / 2>(p, stride), load_parts<T, parts / 2>(p + parts / 2 * stride, stride),
                  std::make_integer_sequence<int, parts * square<T>>());
  }
}

// Interleaves the lower or the upper halves of the squares of a and b, in pieces of `size` elements taken from a and b
// in turn.
template <int size, bool upper, class V, int... lane>
[[gnu::always_inline]] inline V interleaved(V a, V b, std::integer_sequence<int, lane...>) noexcept {
  constexpr int all = sizeof...(lane), width = square<Element<V>>;
  return __builtin_shufflevector(a, b,
                                 (lane / width * width + upper * width / 2 + lane % width / (2 * size) * size +
                                  lane % size + (lane / size % 2 ? all : 0))...);
}

// Sets columns[i] to elements i of `lanes` rows. The first row begins at p; the rows are K elements apart.
template <class T>
[[gnu::always_inline]] inline void load_columns(const T* p, ptrdiff_t K, Vec<T> (&columns)[square<T>]) noexcept {
  constexpr int n = square<T>;
  constexpr auto all = std::make_integer_sequence<int, lanes<T>>();
  Vec<T> rows[n];
#pragma GCC unroll 4
  for (int i = 0; i < n; ++i) rows[i] = load_parts<T, lanes<T> / n>(p + i * K, n * K);
  if constexpr (n == 4) {
    const Vec<T> low[] = {interleaved<1, false>(rows[0], rows[1], all), interleaved<1, false>(rows[2], rows[3], all)};
    const Vec<T> high[] = {interleaved<1, true>(rows[0], rows[1], all), interleaved<1, true>(rows[2], rows[3], all)};
    columns[0] = interleaved<2, false>(low[0], low[1], all);
    columns[1] = interleaved<2, true>(low[0], low[1], all);
    columns[2] = interleaved<2, false>(high[0], high[1], all);
    columns[3] = interleaved<2, true>(high[0], high[1], all);
  } else if constexpr (n == 2) {
    columns[0] = interleaved<1, false>(rows[0], rows[1], all);
    columns[1] = interleaved<1, true>(rows[0], rows[1], all);
  } else {
    columns[0] = rows[0];
  }
}

// Returns column k of the first `count` of `lanes` rows; the other lanes are zero.
template <class T> inline Vec<T> load_column(const T* weight, ptrdiff_t K, int k, int count) noexcept {
  Vec<T> column = {};
  for (int lane = 0; lane < smaller(count, lanes<T>); ++lane) column[lane] = weight[lane * K + k];
  return column;
}

// Computes y for U whole vectors of rows.
template <class T, int U>
void matvec_rows(const T* weight, ptrdiff_t K, const T* x, const T* start, T* y) noexcept {
  constexpr int n = square<T>;
  Vec<T> sum[U];
#pragma GCC unroll 2
  for (int u = 0; u < U; ++u) sum[u] = load(start + u * lanes<T>);
  int k = 0;
  for (; k + n <= K; k += n)
#pragma GCC unroll 2
    for (int u = 0; u < U; ++u) {
      Vec<T> w[n];
      load_columns<T>(weight + u * lanes<T> * K + k, K, w);
#pragma GCC unroll 4
      for (int i = 0; i < n; ++i) sum[u] = fma(splat(x[k + i]), w[i], sum[u]);
    }
  for (; k < K; ++k)
#pragma GCC unroll 2
    for (int u = 0; u < U; ++u)
      sum[u] = fma(splat(x[k]), load_column(weight + u * lanes<T> * K, K, k, lanes<T>), sum[u]);
#pragma GCC unroll 2
  for (int u = 0; u < U; ++u) store(y + u * lanes<T>, sum[u], lanes<T>);
}

// W is [N,K]; start may be y. Two vectors of rows are computed at once: with one, each fma waits for the one before
// (LSTM step, H = 128, AVX2 on Zen 5: 11 us in place of 7); with four, their cache lines evict each other from L1.
template <class T> void matvec(const T* weight, int N, int K, const T* x, const T* start, T* y) noexcept {
  const auto next = [&](int rows) { weight += static_cast<ptrdiff_t>(rows) * K, start += rows, y += rows, N -= rows; };
  for (; N >= 2 * lanes<T>; next(2 * lanes<T>)) matvec_rows<T, 2>(weight, K, x, start, y);
  for (; N >= lanes<T>; next(lanes<T>)) matvec_rows<T, 1>(weight, K, x, start, y);
  if (N == 0) return;
  Vec<T> sum = load(start, N);
  for (int k = 0; k < K; ++k) sum = fma(splat(x[k]), load_column(weight, K, k, N), sum);
  store(y, sum, N);
}

}  // namespace
}  // namespace pyrnn
