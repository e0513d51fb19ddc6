// Vec<T>: one SIMD register of float or double, its width taken from the ISA this file is compiled for.
//
// GCC and Clang vector extensions give + - * / and comparisons lane by lane, with ?: as the select; the one
// operation they lack is a guaranteed fused multiply-add, written here once per ISA. Everything under
// csrc/isa is compiled with -ffp-contract=off, so these are the only fused operations there are.
//
// Unnamed namespace: every ISA gets its own copy and none is visible to the linker (see dispatch/kernels.h).
#pragma once

#include <cstddef>

#include "simd/fma.h"
#include "simd/fma64.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace pyrnn {
namespace {

// PYRNN_VECTOR_BYTES comes from CMakeLists.txt; 0 asks for one lane: the plain scalar form of every kernel.
template <class T> struct VecOf;
template <> struct VecOf<float> {
  typedef float type __attribute__((vector_size(PYRNN_VECTOR_BYTES ? PYRNN_VECTOR_BYTES : sizeof(float))));
};
template <> struct VecOf<double> {
  typedef double type __attribute__((vector_size(PYRNN_VECTOR_BYTES ? PYRNN_VECTOR_BYTES : sizeof(double))));
};
template <class T> using Vec = typename VecOf<T>::type;
template <class V> using Element = decltype(V{}[0] + 0);  // the T of a Vec<T>
template <class T> constexpr int lanes = sizeof(Vec<T>) / sizeof(T);

// Registers a tile may fill with accumulators: three quarters of the file, the rest for weights and inputs.
#if PYRNN_VECTOR_BYTES == 64 || PYRNN_VECTOR_BYTES == 16  // AVX-512 and NEON have 32 registers
constexpr int accumulators = 24;
#elif PYRNN_VECTOR_BYTES == 32
constexpr int accumulators = 12;
#else
constexpr int accumulators = 4;  // the plain form: small code, and nothing to hide behind other rows
#endif

template <class T> [[gnu::always_inline]] inline Vec<T> load(const T* p) noexcept {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// bfloat16, the upper half of a float: storage only, widened exactly.
struct Bf16 {
  unsigned short bits;
};
// By intrinsics: GCC 12 widens a vector lane by lane, and the weights then come no faster than floats do.
[[gnu::always_inline]] inline Vec<float> load(const Bf16* p) noexcept {
#if PYRNN_VECTOR_BYTES == 64
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return (Vec<float>)_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, halves), 16);
#elif PYRNN_VECTOR_BYTES == 32
  const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return (Vec<float>)_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
#elif PYRNN_VECTOR_BYTES == 16
  return (Vec<float>)vshll_n_u16(vld1_u16(&p->bits), 16);
#else
  const unsigned int word = static_cast<unsigned int>(p->bits) << 16;
  Vec<float> v;
  __builtin_memcpy(&v, &word, sizeof v);
  return v;
#endif
}
// To the nearest, ties to even; a NaN stays one.
inline Bf16 to_bf16(float x) noexcept {
  unsigned int word;
  __builtin_memcpy(&word, &x, sizeof word);
  if (x != x) return {static_cast<unsigned short>(word >> 16 | 0x40)};
  return {static_cast<unsigned short>((word + 0x7fff + (word >> 16 & 1)) >> 16)};
}

// The first n lanes, the others zero; and a store of the first n lanes. n may exceed the width. A masked
// instruction where there is one: scalar tails, inlined wherever a row ends, were half of the code.
#if PYRNN_VECTOR_BYTES == 64
[[gnu::always_inline]] inline Vec<float> load_first(const float* p, int n) noexcept {
  return _mm512_maskz_loadu_ps((1u << n) - 1, p);
}
[[gnu::always_inline]] inline Vec<double> load_first(const double* p, int n) noexcept {
  return _mm512_maskz_loadu_pd((1u << n) - 1, p);
}
[[gnu::always_inline]] inline void store_first(float* p, Vec<float> v, int n) noexcept {
  _mm512_mask_storeu_ps(p, (1u << n) - 1, v);
}
[[gnu::always_inline]] inline void store_first(double* p, Vec<double> v, int n) noexcept {
  _mm512_mask_storeu_pd(p, (1u << n) - 1, v);
}
#elif PYRNN_VECTOR_BYTES == 32
[[gnu::always_inline]] inline __m256i mask_of(float, int n) noexcept {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
[[gnu::always_inline]] inline __m256i mask_of(double, int n) noexcept {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
[[gnu::always_inline]] inline Vec<float> load_first(const float* p, int n) noexcept {
  return _mm256_maskload_ps(p, mask_of(0.0f, n));
}
[[gnu::always_inline]] inline Vec<double> load_first(const double* p, int n) noexcept {
  return _mm256_maskload_pd(p, mask_of(0.0, n));
}
[[gnu::always_inline]] inline void store_first(float* p, Vec<float> v, int n) noexcept {
  _mm256_maskstore_ps(p, mask_of(0.0f, n), v);
}
[[gnu::always_inline]] inline void store_first(double* p, Vec<double> v, int n) noexcept {
  _mm256_maskstore_pd(p, mask_of(0.0, n), v);
}
#else
template <class T> [[gnu::always_inline]] inline Vec<T> load_first(const T* p, int n) noexcept {
  Vec<T> v = {};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
template <class T, class V> [[gnu::always_inline]] inline void store_first(T* p, V v, int n) noexcept {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
#endif

template <class T> [[gnu::always_inline]] inline Vec<T> load(const T* p, int n) noexcept {
  return n >= lanes<T> ? load(p) : load_first(p, n);
}
template <class T> [[gnu::always_inline]] inline void store(T* p, Vec<T> v, int n) noexcept {
  if (n >= lanes<T>) __builtin_memcpy(p, &v, sizeof v);
  else store_first(p, v, n);
}

template <class T> [[gnu::always_inline]] inline Vec<T> splat(T x) noexcept {
  return x - Vec<T>{};  // x - 0 is x for every x, -0 included; x + 0 would not be
}

#if PYRNN_VECTOR_BYTES == 64
[[gnu::always_inline]] inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return _mm512_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return _mm512_fmadd_pd(a, b, c);
}
#elif PYRNN_VECTOR_BYTES == 32
[[gnu::always_inline]] inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return _mm256_fmadd_ps(a, b, c);
}
[[gnu::always_inline]] inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return _mm256_fmadd_pd(a, b, c);
}
#elif PYRNN_VECTOR_BYTES == 16
[[gnu::always_inline]] inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return (Vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
[[gnu::always_inline]] inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return (Vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else  // one lane; without the instruction in software
[[gnu::always_inline]] inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return Vec<float>{PYRNN_FMA(a[0], b[0], c[0])};
}
[[gnu::always_inline]] inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return Vec<double>{fused(a[0], b[0], c[0])};
}
#endif

// The greater and the lesser of two; where they cannot be compared, b: a NaN passes from there. One instruction on
// x86, which GCC 12 does not find for ?: (a comparison into a mask and a blend: twice the time), and whose unmasked
// intrinsics it warns about.
#if PYRNN_VECTOR_BYTES == 64
[[gnu::always_inline]] inline Vec<float> greater(Vec<float> a, Vec<float> b) noexcept {
  return _mm512_maskz_max_ps(0xffff, a, b);
}
[[gnu::always_inline]] inline Vec<double> greater(Vec<double> a, Vec<double> b) noexcept {
  return _mm512_maskz_max_pd(0xff, a, b);
}
[[gnu::always_inline]] inline Vec<float> lesser(Vec<float> a, Vec<float> b) noexcept {
  return _mm512_maskz_min_ps(0xffff, a, b);
}
[[gnu::always_inline]] inline Vec<double> lesser(Vec<double> a, Vec<double> b) noexcept {
  return _mm512_maskz_min_pd(0xff, a, b);
}
#elif PYRNN_VECTOR_BYTES == 32
[[gnu::always_inline]] inline Vec<float> greater(Vec<float> a, Vec<float> b) noexcept { return _mm256_max_ps(a, b); }
[[gnu::always_inline]] inline Vec<double> greater(Vec<double> a, Vec<double> b) noexcept {
  return _mm256_max_pd(a, b);
}
[[gnu::always_inline]] inline Vec<float> lesser(Vec<float> a, Vec<float> b) noexcept { return _mm256_min_ps(a, b); }
[[gnu::always_inline]] inline Vec<double> lesser(Vec<double> a, Vec<double> b) noexcept { return _mm256_min_pd(a, b); }
#else
template <class V> [[gnu::always_inline]] inline V greater(V a, V b) noexcept { return a > b ? a : b; }
template <class V> [[gnu::always_inline]] inline V lesser(V a, V b) noexcept { return a < b ? a : b; }
#endif

}  // namespace
}  // namespace pyrnn
