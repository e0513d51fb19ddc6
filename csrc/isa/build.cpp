// CMake compiles this file once per ISA. It includes all kernels and defines the two tables that the object exports:
// one with all kernels, and one without those that the C library does not call. The AVX-512 object has two more, for
// CPUs with VNNI (simd/dot.h).
#include "cells/elementwise.h"
#include "cells/step.h"
#include "dispatch/kernels.h"
#include "kernels/checksum.h"
#include "kernels/gemm.h"
#include "kernels/matvec.h"
#include "kernels/outer.h"
#include "kernels/probe.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

// D is the dot product of bytes. double has only the native format.
template <class T, class D> constexpr Ops<T> make_ops() noexcept {
  Ops<T> ops = {lanes<T>,       panel_columns<T>, pack_matrix<T>,   gemm<T>,         matvec<T>,
                outer<T>,       outer_scratch<T>, column_sums<T>,   activate<T>,     softmax<T>,
                column_dots<T>, checksum<T>,      multiply_adds<T>, read_through<T>, {format_ops<T, Native<T>>()}};
  if constexpr (sizeof(T) == sizeof(float)) {
    ops.format[static_cast<int>(Format::bf16)] = format_ops<T, InBf16>();
    ops.format[static_cast<int>(Format::int8)] = format_ops<T, InInt8<D>>();
  }
  return ops;
}

template <class D> constexpr Isa whole(const char* name) noexcept {
  return {name, make_ops<float, D>(), make_ops<double, D>()};
}

// Keeps what inference in float32 needs. The linker's --gc-sections removes kernels that no table lists: here two
// thirds of the code (csrc/capi).
constexpr Isa only_inference(Isa isa) noexcept {
  Ops<float>& ops = isa.f32;
  for (FormatOps<float>& format : ops.format)
    if (&format != ops.format) format = {};
  for (CellOps<float>* cells : {ops.format[0].cell, ops.format[0].chosen})
    for (int i = 0; i < cell_count; ++i) cells[i].backward = cells[i].backward_reset = nullptr;
  ops.matvec = nullptr;
  ops.outer = nullptr;
  ops.column_sums = nullptr;
  ops.column_dots = nullptr;
  ops.multiply_adds = nullptr;
  ops.read_through = nullptr;
  isa.f64 = {};
  return isa;
}

}  // namespace

#define PYRNN_TEXT_OF(name) #name
#define PYRNN_TEXT(name) PYRNN_TEXT_OF(name)
#define PYRNN_JOIN_OF(a, b) a##b
#define PYRNN_JOIN(a, b) PYRNN_JOIN_OF(a, b)

extern constinit const Isa PYRNN_JOIN(isa_, PYRNN_ISA) = whole<Dot>(PYRNN_TEXT(PYRNN_ISA));
extern constinit const Isa PYRNN_JOIN(inference_, PYRNN_ISA) = only_inference(whole<Dot>(PYRNN_TEXT(PYRNN_ISA)));
#if PYRNN_VECTOR_BYTES == 64
extern constinit const Isa isa_avx512vnni = whole<VnniDot>("avx512vnni");
extern constinit const Isa inference_avx512vnni = only_inference(whole<VnniDot>("avx512vnni"));
#endif

}  // namespace pyrnn
