// Measures the machine's two limits, the sides of a roofline: multiply-adds from registers, and reads from memory.
#pragma once

#include "simd/vec.h"

namespace pyrnn {
namespace {

// Does `rounds` times one multiply-add on each of as many registers as the tile of a product has. They are independent
// chains, and more than the eight that two FMA units with a latency of four cycles need. Returns the number of
// floating-point operations. `sink` receives a number that depends on all of them; otherwise the compiler would remove
// them.
template <class T> double multiply_adds(ptrdiff_t rounds, T& sink) noexcept {
  const Vec<T> factor = splat(static_cast<T>(0.5)), term = splat(static_cast<T>(1));
  Vec<T> chain[accumulators];
  for (int i = 0; i < accumulators; ++i) chain[i] = splat(static_cast<T>(i));
  for (ptrdiff_t round = 0; round < rounds; ++round)
#pragma GCC unroll 24
    for (int i = 0; i < accumulators; ++i) chain[i] = fma(chain[i], factor, term);
  sink = 0;
  for (int i = 0; i < accumulators; ++i) sink += chain[i][0];
  return 2.0 * accumulators * lanes<T> * static_cast<double>(rounds);
}

// Adds up x[0..n) `rounds` times and returns the bytes that it read. It reads whole groups of eight vectors; a rest at
// the end of x is not read.
template <class T> double read_through(const T* x, ptrdiff_t n, ptrdiff_t rounds, T& sink) noexcept {
  constexpr int chains = 8;
  constexpr ptrdiff_t group = chains * lanes<T>;
  Vec<T> sum[chains] = {};
  for (ptrdiff_t round = 0; round < rounds; ++round)
    for (ptrdiff_t k = 0; k + group <= n; k += group)
#pragma GCC unroll 8
      for (int i = 0; i < chains; ++i) sum[i] += load(x + k + i * lanes<T>);
  sink = 0;
  for (int i = 0; i < chains; ++i) sink += sum[i][0];
  return static_cast<double>(n / group * group) * sizeof(T) * static_cast<double>(rounds);
}

}  // namespace
}  // namespace pyrnn
