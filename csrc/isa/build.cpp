// Compiled once per ISA (CMakeLists.txt): everything below the door, and the one symbol it exports.
#include "cells/step.h"
#include "isa/ops.h"
#include "kernels/gemm.h"
#include "kernels/outer.h"
#include "kernels/rows.h"

namespace pyrnn {
namespace {

template <class T> constexpr Ops<T> make_ops() noexcept {
  using V = Vec<T>;
  return {lanes<T>,
          panel_columns<T>,
          pack_matrix<T>,
          gemm<T>,
          outer<T>,
          outer_scratch<T>,
          column_sums<T>,
          map<T, tanh<V>>,
          map<T, sigmoid<V>>,
          {OneStage<T, Rnn<V, Tanh>>::ops, OneStage<T, Rnn<V, Relu>>::ops, OneStage<T, Lstm<V>>::ops,
           OneStage<T, Gru<V>>::ops, TwoStages<T>::ops}};
}

}  // namespace

#define PYRNN_TEXT_OF(name) #name
#define PYRNN_TEXT(name) PYRNN_TEXT_OF(name)
#define PYRNN_JOIN_OF(a, b) a##b
#define PYRNN_JOIN(a, b) PYRNN_JOIN_OF(a, b)

extern constinit const Isa PYRNN_JOIN(isa_, PYRNN_ISA) = {PYRNN_TEXT(PYRNN_ISA), make_ops<float>(),
                                                          make_ops<double>()};

}  // namespace pyrnn
