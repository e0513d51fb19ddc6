// Vec<T> is one SIMD register of float or double. Its width is that of the instruction set (ISA) that this file is
// compiled for.
//
// GCC's and Clang's vector extensions give + - * / and comparisons lane by lane, and ?: selects lanes. They have no
// guaranteed fused multiply-add, so fma() is written here once per ISA. Everything under csrc/isa is compiled with
// -ffp-contract=off: the compiler forms no other fused operations.
//
// The unnamed namespace gives every ISA a copy of its own that the linker does not see (dispatch/kernels.h says why).
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

// CMakeLists.txt defines PYRNN_VECTOR_BYTES; 0 means one lane, the scalar form of every kernel.
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

// The number of registers that a tile may use as accumulators: three quarters of all; the others hold weights and
// inputs.
#if PYRNN_VECTOR_BYTES == 64 || PYRNN_VECTOR_BYTES == 16  // AVX-512 and NEON have 32 registers
constexpr int accumulators = 24;
#elif PYRNN_VECTOR_BYTES == 32
constexpr int accumulators = 12;
#else
constexpr int accumulators = 4;  // Without SIMD, more rows hide no latency; four keep the code small.
#endif

template <class T> [[gnu::always_inline]] inline Vec<T> load(const T* p) noexcept {
  Vec<T> v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

// A bfloat16 number is the upper half of a float. It is for storage only; widening it is exact.
struct Bf16 {
  unsigned short bits;
};
// This uses intrinsics because GCC 12 widens a vector lane by lane, which makes bf16 weights no faster than float
// ones.
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
// Rounds to the nearest bfloat16, ties to even; NaN stays NaN.
inline Bf16 to_bf16(float x) noexcept {
  unsigned int word;
  __builtin_memcpy(&word, &x, sizeof word);
  if (x != x) return {static_cast<unsigned short>(word >> 16 | 0x40)};
  return {static_cast<unsigned short>((word + 0x7fff + (word >> 16 & 1)) >> 16)};
}

// load_first loads the first n lanes and sets the others to zero; store_first stores the first n lanes. n may exceed
// the width. Both use masked instructions where the ISA has them: scalar loops for the tails, inlined wherever a row
// ends, made up half of the code.
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
  return x - Vec<T>{};  // x - 0 equals x for every x; x + 0 would turn -0 into +0.
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
#else  // one lane; a CPU without the instruction computes it in software
[[gnu::always_inline]] inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) noexcept {
  return Vec<float>{PYRNN_FMA(a[0], b[0], c[0])};
}
[[gnu::always_inline]] inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) noexcept {
  return Vec<double>{fused(a[0], b[0], c[0])};
}
#endif

// greater and lesser return the larger and the smaller of a and b, or b if one of them is NaN. They use the one x86
// instruction for it: from ?: GCC 12 makes a comparison and a blend, which takes twice as long. The AVX-512 intrinsics
// are the masked ones because GCC 12 warns about its own unmasked ones.
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
