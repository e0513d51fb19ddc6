/* This header holds the compiler to the rules that make results the same everywhere, and defines the fused
   multiply-add of float.

   It is C99 that a C++ compiler accepts too, because it has two users: the kernels include it (vec.h), and the
   exporter copies everything below the pragma into the C that it writes, with the network's name in place of pyrnn
   (pyrnn/export/program.py). */
#pragma once

#include <float.h>
#include <stdint.h>

/* GCC 12 and later define all of these but _M_FP_FAST, which is Visual C++'s. Clang defines only the first two. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "pyrnn computes other numbers under -ffast-math, -Ofast, /fp:fast and their parts: compile it without"
#endif
#if defined(__FLT_EVAL_METHOD__) /* -std=gnu89 lacks FLT_EVAL_METHOD; 16 concerns _Float16 */
#if __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#define PYRNN_NOT_IN_FLOAT
#endif
#elif defined(FLT_EVAL_METHOD)
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#define PYRNN_NOT_IN_FLOAT
#endif
#endif
#ifdef PYRNN_NOT_IN_FLOAT
#error "pyrnn needs float arithmetic in float: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

#if defined(__clang__)
/* Clang has no macro for the other flags of this kind, but these pragmas undo them all; on a target without
   float_control they undo most. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunknown-pragmas"
#pragma clang diagnostic ignored "-Wignored-pragmas"
#pragma float_control(precise, on)
#pragma clang diagnostic pop
#pragma STDC FP_CONTRACT OFF
#if __clang_major__ >= 18
#pragma clang fp reassociate(off) reciprocal(off)
#elif __clang_major__ >= 12
#pragma clang fp reassociate(off)
#endif
#elif defined(__GNUC__)
/* __GCC_IEC_559 is 0 under each such flag, under -funsafe-math-optimizations even if its parts are switched off, and
   on chips without an FPU. */
#if defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#pragma GCC optimize("no-unsafe-math-optimizations", "no-associative-math", "no-reciprocal-math", "signed-zeros")
#endif
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#else
#pragma STDC FP_CONTRACT OFF
#endif

/* PYRNN_FMA(x, y, z) is x y + z, rounded once. It uses the target's instruction where there is one: GCC defines
   __FP_FAST_FMAF for each such target, Clang for some. With another compiler a user may define PYRNN_FMA as its
   intrinsic. */
#if !defined(PYRNN_FMA) && defined(__GNUC__)
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__FMA4__) || defined(__aarch64__) || \
    defined(__ARM_FEATURE_FMA) || defined(__riscv_flen) || defined(__riscv_zfinx)
#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_fma) /* off Linux, Clang turns __builtin_fmaf into a call, which sets errno */
#define PYRNN_FMA(x, y, z) __builtin_elementwise_fma(x, y, z)
#endif
#endif
#if !defined(PYRNN_FMA) && !defined(__clang__) && !defined(__cplusplus) && __GNUC__ >= 7
/* __builtin_fmaf32 is the same instruction. Under -flto, GCC would replace __builtin_fmaf by the body of a fmaf that
   the program defines itself. */
#define PYRNN_FMA(x, y, z) __builtin_fmaf32(x, y, z)
#elif !defined(PYRNN_FMA)
#define PYRNN_FMA(x, y, z) __builtin_fmaf(x, y, z)
#endif
#endif
#endif

/* The C library's fmaf does not replace the instruction: picolibc 1.8 computes x * y + z, newlib rounds twice on
   chips without an FPU, and MinGW-w64's result is wrong in a quarter of all cases. */
#ifndef PYRNN_FMA
#if FLT_MANT_DIG != 24
#error "pyrnn needs a float of 32 bits, which this target does not have"
#endif
/* These CPUs have no double arithmetic in hardware: there integers are faster, and the integer version alone
   suffices. */
#if DBL_MANT_DIG != 53 || defined(__SOFTFP__) || (defined(__ARM_FP) && !(__ARM_FP & 8)) || defined(__xtensa__) || \
    (defined(__riscv) && !(defined(__riscv_flen) && __riscv_flen >= 64))
#define PYRNN_FMA(x, y, z) pyrnn_fma_in_integers(x, y, z)
#define PYRNN_RARE
#else
#define PYRNN_FMA(x, y, z) pyrnn_fma(x, y, z)
#define PYRNN_IN_DOUBLE
#if defined(__GNUC__)
#define PYRNN_RARE __attribute__((noinline, cold))
#define PYRNN_RARELY(condition) __builtin_expect(condition, 0)
#else
#define PYRNN_RARE
#define PYRNN_RARELY(condition) (condition)
#endif
#endif

typedef union {
  float value;
  uint32_t bits;
} pyrnn_float_bits;

/* Returns e and sets *significand to s in [2^23, 2^24) so that the number with these bits is s 2^(e - 150). `size`
   are the bits without the sign of a number that is neither 0, infinite nor NaN. */
static int pyrnn_exponent(uint32_t size, uint32_t* significand) {
  int exponent = (int)(size >> 23);
  *significand = (size & 0x7fffffu) | 0x800000u;
  if (exponent) return exponent;
  for (*significand = size, exponent = 1; !(*significand & 0x800000u); --exponent) *significand <<= 1;
  return exponent;
}

/* Returns x / 2^n for n >= 0. The last bit is set if a 1 was shifted out, so that rounding sees that the quotient is
   not exact. */
static uint64_t pyrnn_shifted(uint64_t x, int n) {
  const uint64_t shifted = n < 64 ? x >> n : 0;
  return shifted | (n < 64 ? shifted << n != x : x != 0);
}

/* x y + z, rounded once.

     range        all arguments
     max error    0.5 ulp: correctly rounded, ties to even
     NaN          gives NaN; so do 0 * infinity and infinity - infinity
     infinity     gives infinity; a finite sum becomes infinite only if it rounds to infinity, however large x y is
     zero         has the sign that IEEE 754 prescribes; terms that cancel give +0
     subnormals   are exact as arguments and correctly rounded as results */
PYRNN_RARE static float pyrnn_fma_in_integers(float x, float y, float z) {
  pyrnn_float_bits a, b, c;
  uint32_t sign, a_size, b_size, c_size;
  uint64_t sum, other = 0, cut;
  int exponent, ahead;
  a.value = x;
  b.value = y;
  c.value = z;
  a_size = a.bits & 0x7fffffffu;
  b_size = b.bits & 0x7fffffffu;
  c_size = c.bits & 0x7fffffffu;
  if (a_size - 1 >= 0x7f7fffffu || b_size - 1 >= 0x7f7fffffu) return x * y + z; /* the product is exact */
  if (c_size >= 0x7f800000u) return z + z;

  sign = (a.bits ^ b.bits) & 0x80000000u;
  exponent = pyrnn_exponent(a_size, &a_size) + pyrnn_exponent(b_size, &b_size);
  sum = (uint64_t)a_size * b_size << 14; /* in [2^60, 2^62), times 2^(exponent - 314) */
  if (c_size) {
    /* If the shift loses bits, the shifted number is so small that the sum keeps 36 bits below the 24 of the result. */
    ahead = exponent - 126 - pyrnn_exponent(c_size, &c_size);
    other = (uint64_t)c_size << 38; /* in [2^61, 2^62) */
    if (ahead >= 0) {
      other = pyrnn_shifted(other, ahead);
    } else {
      sum = pyrnn_shifted(sum, -ahead);
      exponent -= ahead;
    }
  }
  if (!((sign ^ c.bits) >> 31)) {
    sum += other;
  } else if (sum >= other) {
    sum -= other;
  } else {
    sum = other - sum;
    sign ^= 0x80000000u;
  }
  if (!sum) return 0.0f;

  /* Shift the sum to [2^63, 2^64), then round it to 24 bits; a subnormal result has fewer. */
  for (exponent -= 124; !(sum >> 63); --exponent) sum <<= 1;
  if (exponent <= 0) {
    sum = pyrnn_shifted(sum, 1 - exponent);
    exponent = 1;
  }
  cut = sum & 0xffffffffffu;
  sum >>= 40;
  if (cut > 0x8000000000u || (cut == 0x8000000000u && (sum & 1))) ++sum;
  /* The leading bit of a normal significand adds 1 to the exponent. */
  a.bits = exponent < 255 ? sign | (((uint32_t)(exponent - 1) << 23) + (uint32_t)sum) : sign | 0x7f800000u;
  return a.value;
}

#ifdef PYRNN_IN_DOUBLE
typedef union {
  double value;
  uint64_t bits;
} pyrnn_double_bits;

/* The same function in double arithmetic. The product is exact in double. Rounding the double sum to float gives the
   right result unless the sum lies half way between two floats, or the result is subnormal. */
static inline float pyrnn_fma(float x, float y, float z) {
  pyrnn_double_bits sum;
  uint32_t size;
  sum.value = (double)x * y + z;
  size = (uint32_t)(sum.bits >> 32) & 0x7fffffffu;
  if (PYRNN_RARELY(((uint32_t)sum.bits & 0x1fffffffu) == 0x10000000u)) return pyrnn_fma_in_integers(x, y, z);
  if (PYRNN_RARELY(size - 1u < 0x380fffffu)) return pyrnn_fma_in_integers(x, y, z); /* 0 < |sum| < 2^-126 */
  return (float)sum.value;
}
#endif
#endif
