// A checksum, by which a caller detects whether weights have changed since they were packed.
#pragma once

#include "simd/vec.h"

namespace pyrnn {
namespace {

template <class T> struct WordOf;
template <> struct WordOf<float> {
  using type = unsigned int;
};
template <> struct WordOf<double> {
  using type = unsigned long long;
};

// Adds up the numbers' bits as integers that wrap around, and adds up these sums too (Fletcher): a change of one
// number, or an exchange of two, always changes the result. The value depends on the ISA. There are four chains of
// sums because in one chain each add waits for the previous one.
template <class T> unsigned long long checksum(const T* x, ptrdiff_t n) noexcept {
  using Word = typename WordOf<T>::type;
  typedef Word Words __attribute__((vector_size(sizeof(Vec<T>))));
  constexpr int chains = 4;
  Words sum[chains] = {}, sums[chains] = {};
  const auto add = [&](int i, Vec<T> numbers) __attribute__((always_inline)) {
    sum[i] += (Words)numbers;
    sums[i] += sum[i];
  };
  for (; n >= chains * lanes<T>; n -= chains * lanes<T>, x += chains * lanes<T>)
#pragma GCC unroll 8
    for (int i = 0; i < chains; ++i) add(i, load(x + i * lanes<T>));
  for (int i = 0; n > 0; ++i, n -= lanes<T>, x += lanes<T>) add(i, load(x, static_cast<int>(n)));
  unsigned long long all = 0;
  for (int i = 0; i < chains; ++i)
    for (int lane = 0; lane < lanes<T>; ++lane) {
      all = all * 0x9E3779B97F4A7C15u + sum[i][lane];
      all = all * 0x9E3779B97F4A7C15u + sums[i][lane];
    }
  return all;
}

}  // namespace
}  // namespace pyrnn
