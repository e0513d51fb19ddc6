// Packing cuts a matrix into panels of columns. A panel is [K][width] vectors, contiguous and zero-padded, so a tile
// reads its weights through one pointer and has no tail.
#pragma once

#include "kernels/tile.h"

namespace pyrnn {
namespace {

// The width of a panel of a plain product, in vectors; the width of a cell's panel is its number of gates
// (cells/product.h).
constexpr int panel_width = (accumulators + 5) / 6;
template <class T> constexpr int panel_columns = panel_width * lanes<T>;
template <class T> constexpr int cache_line = 64 / sizeof(T);

// One step of a transposition: exchanges halves of the rows a and b that lie `distance` lanes apart.
template <int distance, class V, int... lane>
[[gnu::always_inline]] inline void exchange(V& a, V& b, std::integer_sequence<int, lane...>) noexcept {
  constexpr int count = sizeof...(lane);
  const V first = __builtin_shufflevector(a, b, (lane & distance ? count + lane - distance : lane)...);
  b = __builtin_shufflevector(a, b, (lane & distance ? count + lane : lane + distance)...);
  a = first;
}

// Transposes a square of vectors in registers, in log2(lanes) rounds of exchanges.
template <class T, int distance = lanes<T> / 2>
[[gnu::always_inline]] inline void transpose(Vec<T> (&rows)[lanes<T>]) noexcept {
  if constexpr (distance > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<T>; ++i)
      if (!(i & distance))
        exchange<distance>(rows[i], rows[i + distance], std::make_integer_sequence<int, lanes<T>>());
    transpose<T, distance / 2>(rows);
  }
}

// Packs one vector of columns for all k: destination rows are `width` vectors apart, and lanes from n on become zero.
// Training packs the weights at every step: packing element by element (0.28 ns each; by vectors 0.1 ns) took a tenth
// of the time of an LSTM's training step at B = 1.
template <class T>
inline void pack_vector(const T* source, ptrdiff_t row_stride, ptrdiff_t column_stride, int K, int n, int width,
                        T* packed) noexcept {
  const ptrdiff_t to_next = static_cast<ptrdiff_t>(width) * lanes<T>;
  ptrdiff_t k = 0;
  if (column_stride == 1)
    for (; k < K; ++k) store(packed + k * to_next, n > 0 ? load(source + k * row_stride, n) : Vec<T>{}, lanes<T>);
  else if (row_stride == 1)
    for (; k + lanes<T> <= K; k += lanes<T>) {
      Vec<T> rows[lanes<T>];
#pragma GCC unroll 16
      for (int lane = 0; lane < lanes<T>; ++lane)
        rows[lane] = lane < n ? load(source + k + lane * column_stride) : Vec<T>{};
      transpose<T>(rows);
#pragma GCC unroll 16
      for (int i = 0; i < lanes<T>; ++i) store(packed + (k + i) * to_next, rows[i], lanes<T>);
    }
  for (; k < K; ++k)
    for (int lane = 0; lane < lanes<T>; ++lane)
      packed[k * to_next + lane] = lane < n ? source[k * row_stride + lane * column_stride] : T(0);
}

template <class T>
void pack_matrix(const T* source, ptrdiff_t row_stride, ptrdiff_t column_stride, int K, int N, T* packed) noexcept {
  for (int n = 0; n < N; n += panel_columns<T>, packed += static_cast<ptrdiff_t>(K) * panel_columns<T>)
    for (int v = 0; v < panel_width; ++v) {
      const int first = n + v * lanes<T>;
      pack_vector(source + (first < N ? first : 0) * column_stride, row_stride, column_stride, K, N - first,
                  panel_width, packed + v * lanes<T>);
    }
}

// Packs the gate blocks of a weight [gates * H, P] so that the gates of one vector of hidden units are side by side.
template <class T> void pack_gates(const T* weight, int gates, int H, int P, T* packed) noexcept {
  for (int unit = 0; unit < H; unit += lanes<T>, packed += static_cast<ptrdiff_t>(P) * gates * lanes<T>)
    for (int g = 0; g < gates; ++g)
      pack_vector(weight + (static_cast<ptrdiff_t>(g) * H + unit) * P, 1, P, P, H - unit, gates,
                  packed + g * lanes<T>);
}

inline void pack_gates(const float* weight, int gates, int H, int P, Bf16* packed) noexcept {
  for (int unit = 0; unit < H; unit += lanes<float>)
    for (int k = 0; k < P; ++k)
      for (int g = 0; g < gates; ++g)
        for (int i = unit; i < unit + lanes<float>; ++i)
          *packed++ = i < H ? to_bf16(weight[(static_cast<ptrdiff_t>(g) * H + i) * P + k]) : Bf16{0};
}

}  // namespace
}  // namespace pyrnn
