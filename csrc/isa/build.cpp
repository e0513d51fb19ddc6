// Compiled once per ISA (CMakeLists.txt): everything below the door, and the table it exports; for AVX-512 two, which
// differ in the dot product of bytes (simd/dot.h).
#include "cells/elementwise.h"
#include "cells/step.h"
#include "isa/ops.h"
#include "kernels/checksum.h"
#include "kernels/gemm.h"
#include "kernels/outer.h"
#include "kernels/probe.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

// D: the dot product of bytes. double has no small formats.
template <class T, class D> constexpr Ops<T> make_ops() noexcept {
  Ops<T> ops = {lanes<T>,        panel_columns<T>,
                pack_matrix<T>,  gemm<T>,
                outer<T>,        outer_scratch<T>,
                column_sums<T>,  activate<T>,
                softmax<T>,      column_dots<T>,
                checksum<T>,     multiply_adds<T>,
                read_through<T>, {format_ops<T, Native<T>>()}};
  if constexpr (sizeof(T) == sizeof(float)) {
    ops.format[static_cast<int>(Format::bf16)] = format_ops<T, InBf16>();
    ops.format[static_cast<int>(Format::int8)] = format_ops<T, InInt8<D>>();
  }
  return ops;
}

}  // namespace

#define PYRNN_TEXT_OF(name) #name
#define PYRNN_TEXT(name) PYRNN_TEXT_OF(name)
#define PYRNN_JOIN_OF(a, b) a##b
#define PYRNN_JOIN(a, b) PYRNN_JOIN_OF(a, b)

extern constinit const Isa PYRNN_JOIN(isa_, PYRNN_ISA) = {PYRNN_TEXT(PYRNN_ISA), make_ops<float, Dot>(),
                                                          make_ops<double, Dot>()};
#if PYRNN_VECTOR_BYTES == 64
extern constinit const Isa isa_avx512vnni = {"avx512vnni", make_ops<float, VnniDot>(), make_ops<double, VnniDot>()};
#endif

}  // namespace pyrnn
