// Dot products of bytes. Each lane of a 32-bit integer vector computes acc + the sum over four k of w x, for |w| and
// |x| <= 127.
//
// Every implementation gives the same integers: nothing saturates in that range. An implementation is a struct:
// `offset` is what it wants added to the activations x, `Group` holds four of them ready for every lane, `add` is the
// product. `Dot` uses the instruction set that this object is compiled for; `VnniDot` uses an instruction beyond it,
// so isa/select.cpp checks the CPU before it picks a table with it.
#pragma once

#include <cstdint>

#include "simd/vec.h"

namespace pyrnn {
namespace {

typedef std::int32_t IntVec __attribute__((vector_size(sizeof(Vec<float>))));

typedef std::int8_t ByteVec __attribute__((vector_size(lanes<float>)));

// Returns the low byte of every lane. (GCC 12 compiles __builtin_convertvector lane by lane: 130 ns for a row of 512
// numbers in place of 26.)
[[gnu::always_inline]] inline ByteVec low_bytes(IntVec v) noexcept {
#if PYRNN_VECTOR_BYTES == 64
  return (ByteVec)_mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);  // GCC 12 warns about its own unmasked intrinsic.
#elif PYRNN_VECTOR_BYTES == 32
  const __m256i first = _mm256_shuffle_epi8((__m256i)v, _mm256_set1_epi32(0x0c080400));
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
  return (ByteVec)_mm_cvtsi128_si64(both);
#elif PYRNN_VECTOR_BYTES == 16
  const int16x4_t half = vmovn_s32((int32x4_t)v);
  return (ByteVec)vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(half, half))), 0);
#else
  return ByteVec{static_cast<std::int8_t>(v[0])};
#endif
}

[[gnu::always_inline]] inline std::int32_t four_bytes(const std::uint8_t* p) noexcept {
  std::int32_t four;
  __builtin_memcpy(&four, p, 4);
  return four;
}

#if PYRNN_VECTOR_BYTES == 64
// Multiplies |x| by w with the sign of x: two such products add up to less than 2^15. With x + 128 in place of |x| the
// 16-bit sum of two products would saturate.
struct Dot {
  static constexpr int offset = 0;
  struct Group {
    __m512i size;
    __mmask64 negative;
  };
  [[gnu::always_inline]] static Group group(const std::uint8_t* x) noexcept {
    const __m512i all = _mm512_set1_epi32(four_bytes(x));
    return {_mm512_abs_epi8(all), _mm512_movepi8_mask(all)};
  }
  [[gnu::always_inline]] static IntVec add(IntVec acc, Group x, const std::int8_t* p) noexcept {
    const __m512i w = _mm512_loadu_si512(p), turned = _mm512_mask_sub_epi8(w, x.negative, _mm512_setzero_si512(), w);
    return acc + (IntVec)_mm512_madd_epi16(_mm512_maddubs_epi16(x.size, turned), _mm512_set1_epi16(1));
  }
};
// Uses one instruction in place of four. It is written as assembly because -mavx512vnni would need another object with
// a copy of every kernel (334 KB of 1.3 MB) for these few lines. Its x is unsigned, x + 128: 128 sum(w) must be
// subtracted.
struct VnniDot {
  static constexpr int offset = 128;
  using Group = __m512i;
  [[gnu::always_inline]] static Group group(const std::uint8_t* x) noexcept {
    return _mm512_set1_epi32(four_bytes(x));
  }
  [[gnu::always_inline]] static IntVec add(IntVec acc, Group x, const std::int8_t* p) noexcept {
    asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(_mm512_loadu_si512(p)));
    return acc;
  }
};
#elif PYRNN_VECTOR_BYTES == 32
// Multiplies |x| by w with the sign of x: two such products add up to less than 2^15. With x + 128 in place of |x| the
// 16-bit sum of two products would saturate.
struct Dot {
  static constexpr int offset = 0;
  struct Group {
    __m256i x, size;
  };
  [[gnu::always_inline]] static Group group(const std::uint8_t* x) noexcept {
    const __m256i all = _mm256_set1_epi32(four_bytes(x));
    return {all, _mm256_abs_epi8(all)};
  }
  [[gnu::always_inline]] static IntVec add(IntVec acc, Group x, const std::int8_t* p) noexcept {
    const __m256i w = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), turned = _mm256_sign_epi8(w, x.x);
    return acc + (IntVec)_mm256_madd_epi16(_mm256_maddubs_epi16(x.size, turned), _mm256_set1_epi16(1));
  }
};
#elif PYRNN_VECTOR_BYTES == 16
struct Dot {
  static constexpr int offset = 0;
  using Group = int8x16_t;
  [[gnu::always_inline]] static Group group(const std::uint8_t* x) noexcept {
    return vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(x)));
  }
  [[gnu::always_inline]] static IntVec add(IntVec acc, Group x, const std::int8_t* p) noexcept {
    const int8x16_t w = vld1q_s8(p);
#if defined(__ARM_FEATURE_DOTPROD)
    return (IntVec)vdotq_s32((int32x4_t)acc, w, x);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return acc + (IntVec)vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
#endif
  }
};
#else  // one lane: the definition that the other implementations must equal
struct Dot {
  static constexpr int offset = 0;
  using Group = const std::uint8_t*;
  [[gnu::always_inline]] static Group group(const std::uint8_t* x) noexcept { return x; }
  [[gnu::always_inline]] static IntVec add(IntVec acc, Group x, const std::int8_t* w) noexcept {
    for (int i = 0; i < 4; ++i) acc[0] += w[i] * static_cast<std::int8_t>(x[i]);
    return acc;
  }
};
#endif

}  // namespace
}  // namespace pyrnn
