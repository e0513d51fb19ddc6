// Compiled once per ISA (CMakeLists.txt): everything below the door, and the one symbol it exports.
#include "cells/step.h"
#include "isa/ops.h"
#include "kernels/checksum.h"
#include "kernels/gemm.h"
#include "kernels/outer.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

template <class T> constexpr Ops<T> make_ops() noexcept {
  using V = Vec<T>;
  using S = Standard<V>;
  using C = Chosen<V>;
  return {lanes<T>,
          panel_columns<T>,
          pack_matrix<T>,
          gemm<T>,
          outer<T>,
          outer_scratch<T>,
          column_sums<T>,
          map<T, tanh<V>>,
          map<T, sigmoid<V>>,
          column_dots<T>,
          checksum<T>,
          {RnnOps<T, S>::ops, RnnOps<T, Rectified<V>>::ops, LstmOps<T, S>::ops, GruOps<T, S>::ops,
           GruResetBeforeOps<T, S>::ops},
          {RnnOps<T, C>::ops, RnnOps<T, C>::ops, LstmOps<T, C>::ops, GruOps<T, C>::ops, GruResetBeforeOps<T, C>::ops}};
}

}  // namespace

#define PYRNN_TEXT_OF(name) #name
#define PYRNN_TEXT(name) PYRNN_TEXT_OF(name)
#define PYRNN_JOIN_OF(a, b) a##b
#define PYRNN_JOIN(a, b) PYRNN_JOIN_OF(a, b)

extern constinit const Isa PYRNN_JOIN(isa_, PYRNN_ISA) = {PYRNN_TEXT(PYRNN_ISA), make_ops<float>(),
                                                          make_ops<double>()};

}  // namespace pyrnn
