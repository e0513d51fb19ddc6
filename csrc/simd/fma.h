/* The rules that a compiler must keep so that bits are the same everywhere, and the fused multiply-add of float.

   C99 that C++ reads too, for there are two readers: the kernels include this file (vec.h), and the exporter copies
   all below the pragma into the C that it writes, with that network's name for pyrnn (pyrnn/export/program.py). */
#pragma once

#include <float.h>
#include <limits.h>
#include <stdint.h>

/* GCC defines these from version 12 on, but _M_FP_FAST, which is Visual C++'s. Clang defines the first two alone. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || defined(_M_FP_FAST) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error "pyrnn computes other numbers under -ffast-math, -Ofast, /fp:fast and their parts: compile it without"
#endif
#if defined(__FLT_EVAL_METHOD__) /* FLT_EVAL_METHOD is C99's, and not there under -std=gnu89; 16 concerns _Float16 */
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
#if INT_MAX < 2147483647
#error "pyrnn needs an int of 32 bits, which this target does not have"
#endif

#if defined(__clang__)
/* Clang tells no other flag of that kind, but these undo them all; where a target knows no float_control, most. */
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
/* 0 under each such flag, -funsafe-math-optimizations without its parts too; and on chips without an FPU anyway. */
#if defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#pragma GCC optimize("no-unsafe-math-optimizations", "no-associative-math", "no-reciprocal-math", "signed-zeros")
#endif
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#else
#pragma STDC FP_CONTRACT OFF
#endif

/* PYRNN_FMA(x, y, z) is x y + z, rounded once: by one instruction where the target has it. GCC says so for each target
   by __FP_FAST_FMAF, Clang for some. For a compiler other than these, one may define PYRNN_FMA as its intrinsic. */
#if !defined(PYRNN_FMA) && defined(__GNUC__)
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__FMA4__) || defined(__aarch64__) || \
    defined(__ARM_FEATURE_FMA) || defined(__riscv_flen) || defined(__riscv_zfinx)
#ifdef __has_builtin
#if __has_builtin(__builtin_elementwise_fma) /* Clang without Linux makes a call of the other, for errno's sake */
#define PYRNN_FMA(x, y, z) __builtin_elementwise_fma(x, y, z)
#endif
#endif
#if !defined(PYRNN_FMA) && !defined(__clang__) && !defined(__cplusplus) && __GNUC__ >= 7
/* The same instruction. With -flto GCC inlines the body of a program's own fmaf in place of __builtin_fmaf. */
#define PYRNN_FMA(x, y, z) __builtin_fmaf32(x, y, z)
#elif !defined(PYRNN_FMA)
#define PYRNN_FMA(x, y, z) __builtin_fmaf(x, y, z)
#endif
#endif
#endif

/* The C library's fmaf is no substitute for the instruction: picolibc 1.8 computes x * y + z, newlib rounds twice on
   chips without an FPU, and MinGW-w64 is wrong in a quarter of all cases. */
#ifndef PYRNN_FMA
#if FLT_MANT_DIG != 24 || DBL_MANT_DIG != 53
#error "pyrnn needs a float of 32 bits and a double of 64, which this target does not have"
#endif
#if defined(__GNUC__)
#define PYRNN_RARE __attribute__((noinline, cold))
#define PYRNN_RARELY(condition) __builtin_expect(condition, 0)
#else
#define PYRNN_RARE
#define PYRNN_RARELY(condition) (condition)
#endif

typedef union {
  double value;
  uint64_t bits;
} pyrnn_double;

/* p + z to float, by way of a double that is rounded to odd: where double cannot hold the sum, to that neighbour of it
   whose last bit is 1. So the rounding to float sees on which side of a tie the sum lies. */
PYRNN_RARE static float pyrnn_rounded_once(double p, double z) {
  const double sum = p + z, added = sum - p;
  const double error = (p - (sum - added)) + (z - added); /* exact: Knuth's TwoSum */
  pyrnn_double odd;
  odd.value = sum;
  if (error != 0.0 && !(odd.bits & 1)) {
    if ((error > 0.0) == (sum > 0.0)) ++odd.bits;
    else --odd.bits;
  }
  return (float)odd.value;
}

/* x y + z. The product is exact in double. The sum rounded to double rounds to the right float, unless it lies in the
   middle between two floats, or below the normal ones.

     max error    0.5 ulp, for all arguments: correctly rounded, ties to even
     NaN          passes; 0 * infinity and infinity - infinity give NaN
     infinity     passes; the result is one only where the exact sum rounds to it, however large the product is
     zero         has the sign that IEEE 754 gives it; terms that cancel give +0
     subnormals   are exact as arguments and correctly rounded as results */
static inline float pyrnn_fma(float x, float y, float z) {
  const double p = (double)x * y;
  pyrnn_double sum;
  uint32_t size;
  sum.value = p + z;
  size = (uint32_t)(sum.bits >> 32) & 0x7fffffffu;
  if (PYRNN_RARELY(((uint32_t)sum.bits & 0x1fffffffu) == 0x10000000u)) return pyrnn_rounded_once(p, z);
  if (PYRNN_RARELY(size - 1u < 0x380fffffu)) return pyrnn_rounded_once(p, z); /* 0 < |sum| < 2^-126 */
  return (float)sum.value;
}
#define PYRNN_FMA(x, y, z) pyrnn_fma(x, y, z)
#endif
