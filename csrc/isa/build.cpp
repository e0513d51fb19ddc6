// CMake compiles this file once per ISA. It includes all kernels and defines the two tables that the object exports:
// one with all kernels, and one without those that the C library does not call. The AVX-512 object has two more, for
// CPUs with VNNI (simd/dot.h).
#include "cells/elementwise.h"
#include "cells/table.h"
#include "dispatch/kernels.h"
#include "kernels/checksum.h"
#include "kernels/gemm.h"
#include "kernels/matvec.h"
#include "kernels/outer.h"
#include "kernels/probe.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

// The functions that inference calls. The C library's table has nothing else: the linker's --gc-sections removes kernels
// that no table lists, here two thirds of the code (csrc/capi).
template <class T, bool training> constexpr Ops<T> shared_ops() noexcept {
  Ops<T> ops = {};
  ops.lanes = lanes<T>;
  ops.panel_columns = panel_columns<T>;
  ops.pack_matrix = pack_matrix<T>;
  ops.gemm = gemm<T>;
  ops.activate = activate<T>;
  ops.softmax = softmax<T>;
  ops.checksum = checksum<T>;
  ops.format[static_cast<int>(Format::native)] = format_ops<T, Native<T>, training>();
  return ops;
}

// D is the dot product of bytes. double has only the native format.
template <class T, class D> constexpr Ops<T> all_ops() noexcept {
  Ops<T> ops = shared_ops<T, true>();
  ops.matvec = matvec<T>;
  ops.outer = outer<T>;
  ops.outer_scratch = outer_scratch<T>;
  ops.column_sums = column_sums<T>;
  ops.column_dots = column_dots<T>;
  ops.multiply_adds = multiply_adds<T>;
  ops.read_through = read_through<T>;
  if constexpr (sizeof(T) == sizeof(float)) {
    ops.format[static_cast<int>(Format::bf16)] = format_ops<T, InBf16, true>();
    ops.format[static_cast<int>(Format::int8)] = format_ops<T, InInt8<D>, true>();
  }
  return ops;
}

template <class D> constexpr Isa whole(const char* name) noexcept {
  return {name, AllCells::facts, AllCells::count, all_ops<float, D>(), all_ops<double, D>()};
}

constexpr Isa only_inference(const char* name) noexcept {
  return {name, AllCells::facts, AllCells::count, shared_ops<float, false>(), {}};
}

}  // namespace

#define PYRNN_TEXT_OF(name) #name
#define PYRNN_TEXT(name) PYRNN_TEXT_OF(name)
#define PYRNN_JOIN_OF(a, b) a##b
#define PYRNN_JOIN(a, b) PYRNN_JOIN_OF(a, b)

extern constinit const Isa PYRNN_JOIN(isa_, PYRNN_ISA) = whole<Dot>(PYRNN_TEXT(PYRNN_ISA));
extern constinit const Isa PYRNN_JOIN(inference_, PYRNN_ISA) = only_inference(PYRNN_TEXT(PYRNN_ISA));
#if PYRNN_VECTOR_BYTES == 64
extern constinit const Isa isa_avx512vnni = whole<VnniDot>("avx512vnni");
extern constinit const Isa inference_avx512vnni = only_inference("avx512vnni");
#endif

}  // namespace pyrnn
