// Eight-bit products. Each row of the weights is quantised once, each row of activations at every step; the sums are
// exact in 32-bit integers.
//
//   w ~ scale_w q_w,  x ~ scale_x q_x,  |q| <= 127    w . x ~ scale_w scale_x (sum over k of q_w q_x)
//
// The order of an integer sum does not change it, so four k at a time (a group) go into one lane, as simd/dot.h
// expects. A sum fits into 32 bits for K up to largest_int8_inner. Every ISA computes the same sums. The template
// parameter D is one of the dot products of simd/dot.h.
//
// Quantising a row is one fixed sequence of operations: m = max |x|, scale = m / 127, inverse = 127 / m, and q = x
// inverse rounded to the nearest integer, ties to even, by one fma. A row with m < 2^-100 (the limit below which
// `flush` in simd/math.h sets a state to zero) becomes zero with scale zero. A row that holds a NaN or an infinity
// becomes zero with scale NaN: every sum with it is then NaN.
#pragma once

#include "dispatch/kernels.h"
#include "kernels/tile.h"
#include "simd/dot.h"

namespace pyrnn {
namespace {

constexpr int int8_groups(int K) noexcept { return (K + 3) / 4; }

// The bytes of a quantised row: it is padded to whole vectors and whole groups.
constexpr int int8_row_step = lanes<float> > 4 ? lanes<float> : 4;
constexpr ptrdiff_t int8_row_bytes(int K) noexcept {
  return (static_cast<ptrdiff_t>(K) + int8_row_step - 1) / int8_row_step * int8_row_step;
}

struct RowScale {
  float scale, inverse;  // if inverse is 0, the whole row becomes zero
};

// Finds max |x| on the bits of the magnitudes as integers: they are ordered as the floats are, with infinity and NaN
// last, so a NaN is never lost in a max.
[[gnu::always_inline]] inline RowScale row_scale(const float* x, int K) noexcept {
  IntVec most[2] = {};
  int k = 0;
  const auto take = [](IntVec& so_far, Vec<float> v) __attribute__((always_inline)) {
    const IntVec size = (IntVec)v & 0x7fffffff;
    so_far = size > so_far ? size : so_far;
  };
  for (; k + 2 * lanes<float> <= K; k += 2 * lanes<float>)
    take(most[0], load(x + k)), take(most[1], load(x + k + lanes<float>));
  for (; k < K; k += lanes<float>) take(most[0], load(x + k, K - k));
  take(most[0], (Vec<float>)most[1]);
  std::int32_t largest = 0;
  for (int lane = 0; lane < lanes<float>; ++lane)
    if (most[0][lane] > largest) largest = most[0][lane];
  float m;
  __builtin_memcpy(&m, &largest, sizeof m);
  if (!(m < __builtin_inff())) return {__builtin_nanf(""), 0};
  if (m < 0x1p-100f) return {0, 0};
  return {m / 127, 127 / m};
}

// Returns round(x inverse) + offset: after the addition of 1.5 2^23 the low bits of the float hold the rounded
// integer.
[[gnu::always_inline]] inline ByteVec to_bytes(Vec<float> x, float inverse, int offset) noexcept {
  return low_bytes((IntVec)fma(x, splat(inverse), splat(0x1.8p23f + static_cast<float>(offset))));
}
// Returns zero if `inverse` is 0: the product with it would be NaN for an infinity or a NaN.
[[gnu::always_inline]] inline Vec<float> finite_row(const float* x, int n, float inverse) noexcept {
  return n > 0 && inverse != 0 ? load(x, n) : Vec<float>{};
}

// Quantises one row of one step into q [int8_row_bytes(K)], zero-padded and with the offset that D expects. Returns
// the scale.
template <class D> float quantize_row(const float* x, int K, std::uint8_t* q) noexcept {
  const RowScale row = row_scale(x, K);
  const auto put = [&](ptrdiff_t k, Vec<float> v) __attribute__((always_inline)) {
    const ByteVec bytes = to_bytes(v, row.inverse, D::offset);
    __builtin_memcpy(q + k, &bytes, sizeof bytes);
  };
  ptrdiff_t k = 0;
  for (; row.inverse != 0 && k + lanes<float> <= K; k += lanes<float>) put(k, load(x + k));
  for (; k < int8_row_bytes(K); k += lanes<float>)
    put(k, finite_row(x + (k < K ? k : 0), static_cast<int>(K - k), row.inverse));
  return row.scale;
}

// Writes one quantised row of weights into its lane of a panel. Returns the sum of its q.
inline std::int32_t pack_row_int8(const float* w, int K, float inverse, ptrdiff_t group_bytes,
                                  std::int8_t* packed) noexcept {
  std::int32_t sum = 0;
  for (int k = 0; k < K; k += int8_row_step) {
    std::int8_t q[int8_row_step];
    for (int i = 0; i < int8_row_step; i += lanes<float>) {
      const ByteVec bytes = to_bytes(finite_row(w + (k + i < K ? k + i : k), K - k - i, inverse), inverse, 0);
      __builtin_memcpy(q + i, &bytes, sizeof bytes);
    }
    for (int i = 0; i < int8_row_step; ++i) sum += q[i];
    for (int i = 0; i < int8_row_step && k + i < K; i += 4)
      __builtin_memcpy(packed + (k + i) / 4 * group_bytes, q + i, 4);
  }
  return sum;
}

// int8_packed_bytes: the bytes of the panels that pack_gates_int8 writes. It also writes int8_padded_rows scales and
// as many offsets.
constexpr ptrdiff_t int8_padded_rows(int gates, int H) noexcept {
  return static_cast<ptrdiff_t>((H + lanes<float> - 1) / lanes<float>) * lanes<float> * gates;
}
constexpr ptrdiff_t int8_packed_bytes(int gates, int H, int K) noexcept {
  return int8_padded_rows(gates, H) * int8_groups(K) * 4;
}

// Quantises and packs the gate blocks of a weight [gates * H, K] in the order of pack_gates, one panel per vector of
// units: packed [groups][gates][lanes][4], scales [gates][lanes], offsets [gates][lanes]. A sum starts from its
// offset.
template <class D>
void pack_gates_int8(const float* weight, int gates, int H, int K, std::int8_t* packed, float* scales,
                     std::int32_t* offsets) noexcept {
  const ptrdiff_t group_bytes = static_cast<ptrdiff_t>(gates) * lanes<float> * 4;
  __builtin_memset(packed, 0, static_cast<size_t>(int8_packed_bytes(gates, H, K)));
  for (int unit = 0; unit < H; unit += lanes<float>, packed += int8_groups(K) * group_bytes)
    for (int g = 0; g < gates; ++g)
      for (int lane = 0; lane < lanes<float>; ++lane, ++scales, ++offsets) {
        *scales = 0, *offsets = 0;
        if (unit + lane >= H) continue;
        const float* const w = weight + (static_cast<ptrdiff_t>(g) * H + unit + lane) * K;
        const RowScale row = row_scale(w, K);
        *scales = row.scale;
        *offsets = -D::offset * pack_row_int8(w, K, row.inverse, group_bytes, packed + (g * lanes<float> + lane) * 4);
      }
}

// The integer form of Tile (tile.h): `acc` starts from the offsets that pack_gates_int8 wrote and ends as the sum over
// k of q_w q_x.
template <class D, int R, int U, int G> struct Int8Tile {
  IntVec acc[R][U][G];

  [[gnu::always_inline]] void start(const std::int32_t* offsets) noexcept {  // offsets: those of the first panel
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g)
          __builtin_memcpy(&acc[r][u][g], offsets + (u * G + g) * lanes<float>, sizeof(IntVec));
  }

  // panel_stride counts bytes; it is groups * G * lanes<float> * 4 if the panels are adjacent.
  [[gnu::always_inline]] void multiply(const std::uint8_t* const (&q)[R], const std::int8_t* panels,
                                       ptrdiff_t panel_stride, int groups) noexcept {
    for (ptrdiff_t k = 0; k < groups; ++k) {
      typename D::Group x[R];
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) x[r] = D::group(q[r] + 4 * k);
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) {
          const std::int8_t* const w = panels + u * panel_stride + (k * G + g) * (lanes<float> * 4);
#pragma GCC unroll 12
          for (int r = 0; r < R; ++r) acc[r][u][g] = D::add(acc[r][u][g], x[r], w);
        }
    }
  }
};

// Returns a + scale_x scale_w q. The product of the scales is rounded first; the conversion of q rounds to nearest.
[[gnu::always_inline]] inline Vec<float> add_scaled(IntVec q, float scale_x, Vec<float> scale_w,
                                                    Vec<float> a) noexcept {
  return fma(__builtin_convertvector(q, Vec<float>), splat(scale_x) * scale_w, a);
}

}  // namespace
}  // namespace pyrnn
