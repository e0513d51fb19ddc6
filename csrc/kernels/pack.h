// Packing: a matrix cut into panels of columns, each panel [K][width] vectors, contiguous and zero padded, so
// that a tile walks its weights with one pointer and no tail.
#pragma once

#include "kernels/tile.h"

namespace pyrnn {
namespace {

// Vectors in a panel of a plain product; the gates of a cell make panels of their own width (cells/step.h).
constexpr int panel_width = accumulators / 6;
template <class T> constexpr int panel_columns = panel_width * lanes<T>;

// One vector of columns for all k: destination rows are `width` vectors apart, lanes past n become zero.
template <class T>
inline void pack_vector(const T* source, ptrdiff_t row_stride, ptrdiff_t column_stride, int K, int n, int width,
                        T* packed) noexcept {
  for (ptrdiff_t k = 0; k < K; ++k) {
    T* to = packed + k * width * lanes<T>;
    for (int lane = 0; lane < lanes<T>; ++lane)
      to[lane] = lane < n ? source[k * row_stride + lane * column_stride] : T(0);
  }
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

// Gate blocks of a recurrent weight [gates * H, P], the gates of one vector of hidden units side by side.
template <class T> void pack_gates(const T* weight, int gates, int H, int P, T* packed) noexcept {
  for (int unit = 0; unit < H; unit += lanes<T>, packed += static_cast<ptrdiff_t>(P) * gates * lanes<T>)
    for (int g = 0; g < gates; ++g)
      pack_vector(weight + (static_cast<ptrdiff_t>(g) * H + unit) * P, 1, P, P, H - unit, gates,
                  packed + g * lanes<T>);
}

}  // namespace
}  // namespace pyrnn
