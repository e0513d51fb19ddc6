// How a cell's weights are stored and multiplied: natively, in bf16, or in int8 (Format of dispatch/kernels.h).
//
// A format packs the gate blocks of a weight [gates * H, K] into panels, one per vector of hidden units. Its Operand
// holds the rows to be multiplied, those of a whole step (int8 quantises them there). Its `add` adds W x to the sums
// of a tile.
#pragma once

#include "kernels/int8.h"
#include "kernels/pack.h"

namespace pyrnn {
namespace {

// Weights over 1 MB (the size of an L2) are prefetched in software, panel_ahead k ahead, when one row is multiplied:
// the CPU's prefetcher loses three parallel streams at page ends. A GRU at 50,1,512,512 is 10 % faster so.
constexpr int panel_ahead = 8;
constexpr ptrdiff_t far_bytes = 1 << 20;

constexpr ptrdiff_t padded_units(int H, int lanes) noexcept {
  return static_cast<ptrdiff_t>((H + lanes - 1) / lanes) * lanes;
}

// The left operand of a float product: the rows are read where they are.
template <class T> struct RowOperand {
  Rows<const T> rows;

  RowOperand(Rows<const T> all, int, int, void*) noexcept : rows(all) {}
  template <int R> [[gnu::always_inline]] RowPointers<T, R> tile(int first) const noexcept {
    RowPointers<T, R> x;
    RowCursor<const T> cursor(rows, first);
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r) x.row[r] = cursor.next();
    return x;
  }
};

// Weights of type W, which the product widens to T in registers.
template <class T, class W> struct FloatFormat {
  using Operand = RowOperand<T>;
  // `fuses`: the step may compute the product of the inputs too. `all_shapes`: rows are cut evenly, with a tile for
  // every count. Each makes up half of a cell's code, so the small formats have neither: they serve one sequence at a
  // time, and wait for memory.
  static constexpr bool fuses = sizeof(T) == sizeof(W), all_shapes = fuses && lanes<T> > 1;
  static constexpr ptrdiff_t row_scratch(int) noexcept { return 0; }
  static constexpr ptrdiff_t packed_bytes(int gates, int H, int K) noexcept {
    return padded_units(H, lanes<T>) * gates * K * static_cast<ptrdiff_t>(sizeof(W));
  }
  static void pack(const T* weight, int gates, int H, int K, void* packed) noexcept {
    pack_gates(weight, gates, H, K, static_cast<W*>(packed));
  }
  template <class Into, int R, int U, int G>
  [[gnu::always_inline]] static void add(Tile<T, R, U, G>& tile, const RowPointers<T, R>& x, const void* packed,
                                         int unit, int H, int K) noexcept {
    const ptrdiff_t panel = static_cast<ptrdiff_t>(K) * Into::count * lanes<T>;
    const W* const panels = static_cast<const W*>(packed) + unit / lanes<T> * panel;
    if (R == 1 && packed_bytes(Into::count, H, K) > far_bytes)
      tile.template multiply<Into, panel_ahead>(x, panels, panel, Into::count, K);
    else tile.template multiply<Into>(x, panels, panel, Into::count, K);
  }
};
template <class T> using Native = FloatFormat<T, T>;
using InBf16 = FloatFormat<float, Bf16>;

// D is a dot product of bytes (simd/dot.h). Behind the panels are the scales, and behind these the offsets that the
// sums start from.
template <class D> struct InInt8 {
  static constexpr bool fuses = false, all_shapes = false;
  template <int R> struct QuantizedRows {
    const std::uint8_t* q[R];
    float scale[R];
  };

  // The quantised rows, then their scales, in the caller's scratch memory.
  struct Operand {
    std::uint8_t* q;
    float* scale;
    ptrdiff_t bytes;

    Operand(Rows<const float> rows, int M, int K, void* scratch) noexcept
        : q(static_cast<std::uint8_t*>(scratch)), bytes(int8_row_bytes(K)) {
      scale = reinterpret_cast<float*>(q + M * ((bytes + 3) / 4 * 4));
      RowCursor<const float> cursor(rows, 0);
      for (int m = 0; m < M; ++m) scale[m] = quantize_row<D>(cursor.next(), K, q + m * bytes);
    }
    template <int R> [[gnu::always_inline]] QuantizedRows<R> tile(int first) const noexcept {
      QuantizedRows<R> x;
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) x.q[r] = q + (first + r) * bytes, x.scale[r] = scale[first + r];
      return x;
    }
  };
  static constexpr ptrdiff_t row_scratch(int K) noexcept { return (int8_row_bytes(K) + 3) / 4 * 4 + 4; }

  static constexpr ptrdiff_t packed_bytes(int gates, int H, int K) noexcept {
    return int8_packed_bytes(gates, H, K) + int8_padded_rows(gates, H) * 8;
  }
  static void pack(const float* weight, int gates, int H, int K, void* packed) noexcept {
    float* const scales = scales_of(packed, gates, H, K);
    pack_gates_int8<D>(weight, gates, H, K, static_cast<std::int8_t*>(packed), scales,
                       reinterpret_cast<std::int32_t*>(scales + int8_padded_rows(gates, H)));
  }
  template <class Into, int R, int U, int G>
  [[gnu::always_inline]] static void add(Tile<float, R, U, G>& tile, const QuantizedRows<R>& x, const void* packed,
                                         int unit, int H, int K) noexcept {
    constexpr int gates = Into::count, step = gates * lanes<float>;
    const ptrdiff_t panel = static_cast<ptrdiff_t>(int8_groups(K)) * step * 4, first = unit / lanes<float>;
    const float* const scales = scales_of(packed, gates, H, K);
    Int8Tile<D, R, U, gates> sums;
    sums.start(reinterpret_cast<const std::int32_t*>(scales + int8_padded_rows(gates, H)) + first * step);
    sums.multiply(x.q, static_cast<const std::int8_t*>(packed) + first * panel, panel, int8_groups(K));
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int g = 0; g < gates; ++g) {
          Vec<float>& sum = tile.acc[r][u][Into::at[g]];
          sum = add_scaled(sums.acc[r][u][g], x.scale[r], load(scales + (first + u) * step + g * lanes<float>), sum);
        }
  }

 private:
  static const float* scales_of(const void* packed, int gates, int H, int K) noexcept {
    return reinterpret_cast<const float*>(static_cast<const std::int8_t*>(packed) + int8_packed_bytes(gates, H, K));
  }
  static float* scales_of(void* packed, int gates, int H, int K) noexcept {
    return const_cast<float*>(scales_of(static_cast<const void*>(packed), gates, H, K));
  }
};

}  // namespace
}  // namespace pyrnn
