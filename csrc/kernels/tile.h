// Tile: a block of a product that stays in registers, R rows by U * G vectors of columns.
//
//   acc[r][u][g] += a(r, k) * panel_u[k][g]      for k = 0 .. K-1, in this order and no other
//
// Lanes run across columns, never across k, so each output is one chain of fused multiply-adds whatever the width of a
// vector: this is how the kernels keep the bit contract (csrc/README.md). A panel is K rows of `width` contiguous
// vectors, of which a tile uses G. These G vectors are the gates of one vector of hidden units (cells/product.h) or
// adjacent columns (gemm.h).
#pragma once

#include <utility>

#include "dispatch/kernels.h"
#include "simd/vec.h"

namespace pyrnn {
namespace {

// Returns pointers to one row after the other, from row m on. It divides once at the start, not once per row.
template <class T> struct RowCursor {
  const Rows<T>& rows;
  const RowAt* listed;
  T* step;
  int row;
  [[gnu::always_inline]] RowCursor(const Rows<T>& all, int m) noexcept
      : rows(all), listed(all.list ? all.list + m : nullptr), step(all.data), row(0) {
    if (listed) return;
    row = m;
    if (m >= all.batch) step += m / all.batch * all.step_stride, row = m % all.batch;
  }
  [[gnu::always_inline]] T* next() noexcept {
    if (listed) {
      const RowAt at = *listed++;
      return step + at.step * rows.step_stride + at.row * rows.row_stride;
    }
    T* const here = step + row * rows.row_stride;
    if (++row == rows.batch) row = 0, step += rows.step_stride;
    return here;
  }
};

// The left operand of a tile: R rows of a row-major matrix, or R columns interleaved as [K,R].
template <class T, int R> struct RowPointers {
  const T* row[R];
  [[gnu::always_inline]] T at(int r, ptrdiff_t k) const noexcept { return row[r][k]; }
};
template <class T, int R> struct Interleaved {
  const T* data;  // [K,R]
  [[gnu::always_inline]] T at(int r, ptrdiff_t k) const noexcept { return data[k * R + r]; }
};

// The slots of a cell, or the columns of a tile, that a product computes: its g-th vector is number at[g].
template <int... numbers> struct SlotList {
  static constexpr int count = sizeof...(numbers), at[count] = {numbers...};
  // Returns the position of a slot in this list, or -1.
  static constexpr int index_of(int slot) noexcept {
    for (int i = 0; i < count; ++i)
      if (at[i] == slot) return i;
    return -1;
  }
};
template <int... numbers> SlotList<numbers...> slots_from(std::integer_sequence<int, numbers...>);
template <int count> using FirstSlots = decltype(slots_from(std::make_integer_sequence<int, count>()));

// The stages of a cell, in the order in which a step runs them.
template <class... Stages> struct StageList {};

template <class T, int R, int U, int G> struct Tile {
  Vec<T> acc[R][U][G];

  // Calls visit(acc[r][u][g], r, u, g) for all. The loops are unrolled because accumulators with a variable index
  // would be in memory, not in registers.
  template <class F> [[gnu::always_inline]] void each(F visit) noexcept {
#pragma GCC unroll 12
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int g = 0; g < G; ++g) visit(acc[r][u][g], r, u, g);
  }

  // Adds the product to `acc`; `Into` lists the columns that the panel's vectors are added to. If `ahead` is not 0,
  // the panels are prefetched that many k ahead.
  template <class Into = FirstSlots<G>, int ahead = 0, class A, class W>
  [[gnu::always_inline]] void multiply(A a, const W* panels, ptrdiff_t panel_stride, int width, int K) noexcept {
    for (ptrdiff_t k = 0; k < K; ++k) {
      Vec<T> w[U][Into::count];
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int g = 0; g < Into::count; ++g) w[u][g] = load(panels + u * panel_stride + (k * width + g) * lanes<T>);
      if constexpr (ahead > 0)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
          for (int g = 0; g < Into::count; g += sizeof(T) / sizeof(W))
            __builtin_prefetch(panels + u * panel_stride + ((k + ahead) * width + g) * lanes<T>);
#pragma GCC unroll 12
      for (int r = 0; r < R; ++r) {
        const Vec<T> x = splat(a.at(r, k));
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
          for (int g = 0; g < Into::count; ++g) {
            Vec<T>& sum = acc[r][u][Into::at[g]];
            sum = fma(x, w[u][g], sum);
          }
      }
    }
  }
};

// Returns how many panels to multiply at once: two FMA units with a latency of four cycles need eight independent
// chains, so a tile with few rows and gates takes several panels.
constexpr int at_least_8(int rows, int gates) noexcept {
  const int chains = rows * gates;
  return chains >= 8 || lanes<float> == 1 ? 1 : (8 + chains - 1) / chains;
}

// Calls f(Count<n>) for a run-time n in 1 .. Max, so that loops inside f have constant bounds.
template <int N> struct Count {
  static constexpr int value = N;
};
template <int Max, class F> [[gnu::always_inline]] inline void with_count(int n, F f) noexcept {
  if (n == Max) {
    f(Count<Max>{});
  } else if constexpr (Max > 1) {
    with_count<Max - 1>(n, f);
  }
}

// Cuts `count` into pieces of at most `largest`, as even as possible (8 rows become 4 + 4, not 6 + 2), and calls
// f(begin, size) for each. The end of the last piece needs no division: a step of one sequence makes three such calls,
// mostly with one piece, and the divisions took 5 % of its time at H = 8.
template <class F> [[gnu::always_inline]] inline void in_pieces(int count, int largest, F f) noexcept {
  const int pieces = (count + largest - 1) / largest;
  for (int i = 0, begin = 0; i < pieces; ++i) {
    const int end = i + 1 == pieces ? count : static_cast<int>(static_cast<ptrdiff_t>(count) * (i + 1) / pieces);
    f(begin, end - begin);
    begin = end;
  }
}

// Calls f(Count<n>, begin) for pieces of at most Max: of even sizes, which compiles f for every n; or else of Max and
// its halves.
template <int Max, bool evenly, class F> [[gnu::always_inline]] inline void in_counts(int count, F f) noexcept {
  if constexpr (evenly) {
    in_pieces(count, Max, [&](int begin, int n) { with_count<Max>(n, [&](auto constant) { f(constant, begin); }); });
  } else {
    int begin = 0;
    for (; begin + Max <= count; begin += Max) f(Count<Max>{}, begin);
    if constexpr (Max > 1)
      in_counts<Max / 2, false>(count - begin, [&](auto n, int further) { f(n, begin + further); });
  }
}

constexpr int smaller(int a, int b) noexcept { return a < b ? a : b; }

}  // namespace
}  // namespace pyrnn
