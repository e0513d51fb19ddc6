// The fused multiply-add of double: the instruction where the target has it, elsewhere integer arithmetic. fma.h says
// why the C library's function is not used.
#pragma once

#include <cstdint>

#include "simd/fma.h"

namespace pyrnn {
namespace {

#if defined(__FP_FAST_FMA) || defined(__FMA__) || defined(__FMA4__) || defined(__aarch64__) || __riscv_flen >= 64 || \
    (defined(__ARM_FEATURE_FMA) && __ARM_FP & 8)
inline double fused(double x, double y, double z) noexcept { return __builtin_fma(x, y, z); }
#else

// The number high 2^64 + low.
struct Wide {
  std::uint64_t high, low;
};

// The magnitude of a double that is neither zero, infinite nor NaN: significand 2^exponent with the significand in
// [2^62, 2^63).
struct Magnitude {
  std::uint64_t significand;
  int exponent;
};

inline Magnitude magnitude(std::uint64_t bits) noexcept {
  const int field = static_cast<int>(bits >> 52 & 0x7ff);
  const std::uint64_t fraction = bits & ((1ull << 52) - 1);
  if (field) return {(fraction | 1ull << 52) << 10, field - 1085};
  const int shift = __builtin_clzll(fraction) - 1;
  return {fraction << shift, -1074 - shift};
}

inline Wide product(std::uint64_t x, std::uint64_t y) noexcept {
  constexpr std::uint64_t half = 0xffffffff;
  const std::uint64_t low = (x & half) * (y & half);
  const std::uint64_t middle = (x >> 32) * (y & half) + (low >> 32);
  const std::uint64_t other = (x & half) * (y >> 32) + (middle & half);
  return {(x >> 32) * (y >> 32) + (middle >> 32) + (other >> 32), other << 32 | (low & half)};
}

// Returns x / 2^n for n >= 0. The last bit is set if a 1 was shifted out, so that rounding sees that the quotient is
// not exact.
inline std::uint64_t shifted_right(std::uint64_t x, int n) noexcept {
  if (n >= 64) return x != 0;
  return x >> n | ((x & ((1ull << n) - 1)) != 0);
}
inline Wide shifted_right(Wide x, int n) noexcept {
  if (n == 0) return x;
  if (n >= 64) return {0, shifted_right(x.high, n - 64) | (x.low != 0)};
  return {x.high >> n, x.high << (64 - n) | shifted_right(x.low, n)};
}

inline Wide difference(Wide x, Wide y) noexcept { return {x.high - y.high - (x.low < y.low), x.low - y.low}; }
inline Wide sum(Wide x, Wide y) noexcept {
  const std::uint64_t low = x.low + y.low;
  return {x.high + y.high + (low < x.low), low};
}

// Returns the bits of x 2^exponent rounded to the nearest double, ties to even, without a sign. x is not zero.
inline std::uint64_t rounded(Wide x, int exponent) noexcept {
  if (!x.high) x = {x.low, 0}, exponent -= 64;
  const int lead = __builtin_clzll(x.high);
  std::uint64_t top = x.high;
  if (lead) top = x.high << lead | x.low >> (64 - lead);
  top |= (x.low << lead) != 0;
  int field = exponent + 127 - lead + 1023;
  if (field >= 0x7ff) return 0x7ffull << 52;
  if (field <= 0) top = shifted_right(top, 1 - field), field = 1;
  const std::uint64_t cut = top & 0x7ff;
  top >>= 11;
  top += cut > 0x400 || (cut == 0x400 && (top & 1));
  // The leading bit of a normal significand adds 1 to the exponent field.
  return (static_cast<std::uint64_t>(field - 1) << 52) + top;
}

// x y + z, correctly rounded for all arguments; `fused` below is twice as fast where it does not call this.
[[gnu::noinline, gnu::cold]] inline double fused_in_integers(double x, double y, double z) noexcept {
  constexpr std::uint64_t sign = 1ull << 63, infinity = 0x7ffull << 52;
  const std::uint64_t x_bits = __builtin_bit_cast(std::uint64_t, x), y_bits = __builtin_bit_cast(std::uint64_t, y);
  const std::uint64_t z_bits = __builtin_bit_cast(std::uint64_t, z), z_size = z_bits & ~sign;
  const auto ordinary = [](std::uint64_t bits) { return (bits & ~sign) - 1 < infinity - 1; };  // finite and not zero
  if (!ordinary(x_bits) || !ordinary(y_bits)) return x * y + z;  // the product is exact
  if (z_size >= infinity) return z + z;

  const Magnitude a = magnitude(x_bits), b = magnitude(y_bits);
  Wide p = product(a.significand, b.significand), q = {};
  int exponent = a.exponent + b.exponent;  // p's; after the shift below, p's and q's
  if (z_size) {
    const Magnitude c = magnitude(z_bits);
    q = {c.significand, 0};
    const int ahead = exponent - (c.exponent - 64);
    // The smaller number is shifted to the exponent of the larger one. Bits are lost only if it is so small that the sum
    // still has more than 60 bits below the 53 of the result; there they decide no rounding.
    if (ahead >= 0) q = shifted_right(q, ahead);
    else p = shifted_right(p, -ahead), exponent = c.exponent - 64;
  }
  std::uint64_t negative = (x_bits ^ y_bits) & sign;
  if (negative == (z_bits & sign)) {
    p = sum(p, q);
  } else if (p.high > q.high || (p.high == q.high && p.low >= q.low)) {
    p = difference(p, q);
  } else {
    p = difference(q, p);
    negative ^= sign;
  }
  if (!(p.high | p.low)) return 0.0;
  return __builtin_bit_cast(double, negative | rounded(p, exponent));
}

// Returns x with the upper half of its significand (Veltkamp). The rest, too, has 26 bits, so that products of halves
// are exact.
inline double upper_half(double x) noexcept {
  const double scaled = x * 0x1p27 + x;
  return scaled - (scaled - x);
}

// x y + z, rounded once.
//
//   range        all arguments
//   max error    0.5 ulp: correctly rounded, ties to even
//   NaN          gives NaN; so do 0 * infinity and infinity - infinity
//   infinity     gives infinity; a finite sum becomes infinite only if it rounds to infinity, however large x y is
//   zero         has the sign that IEEE 754 prescribes; terms that cancel give +0
//   subnormals   are exact as arguments and correctly rounded as results
inline double fused(double x, double y, double z) noexcept {
  const double p = x * y;
  const auto below = [](double value, double limit) { return __builtin_fabs(value) < limit; };  // false for NaN
  constexpr double most = 0x1p900, least = 0x1p-900;  // between them the steps below that must be exact are exact
  if (!(below(x, most) && below(y, most) && below(z, most) && below(p, most)) || below(p, least))
    return fused_in_integers(x, y, z);
  // These hold exactly: p + p_error = x y (Dekker) and s + s_error = p + z (Knuth).
  const double x_high = upper_half(x), x_low = x - x_high, y_high = upper_half(y), y_low = y - y_high;
  const double p_error = ((x_high * y_high - p) + x_high * y_low + x_low * y_high) + x_low * y_low;
  const double s = p + z, z_part = s - p, s_error = (p - (s - z_part)) + (z - z_part);
  // Adding the rounded sum of the errors to s gives the right result unless it lies close to half way between two
  // doubles; a margin of 1e-3 is more than enough.
  const double e = s_error + p_error, result = s + e, rest = e - (result - s);
  if (__builtin_expect(result + rest * 1.001 != result, 0)) return fused_in_integers(x, y, z);
  return result;
}
#endif

}  // namespace
}  // namespace pyrnn
