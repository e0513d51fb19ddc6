// One step of one sequence on the parameters as the caller stores them. They need not be packed, and may have changed
// since they were.
//
// If weights may change between calls, a packed copy may be used only after all weights were read to compare them. For
// one step of one sequence that takes as long as the step itself. So this step reads the parameters directly, once; it
// computes the same bits as the step on packed weights.
#pragma once

#include "engine/stack.h"

namespace pyrnn {

// The memory of one call. Several calls may use it one after the other, but not at the same time.
template <class T> struct OneStepWorkspace {
  Buffer<T> gates;  // [S,H]
  Buffer<T> own_sums;  // [H]: the recurrent sum of the GRU's candidate
  Buffer<T> zeros;  // [H]: the initial state if none is given
  Buffer<T> between[2];  // [D*H]: outputs of layers 0 .. L-2, alternately

  explicit OneStepWorkspace(const Spec& spec);
};

// Returns whether a network can run this step: it cannot with projections, peepholes or a small format, nor as the GRU
// whose reset gate comes before the product.
template <class T> bool has_one_step(const Weights<T>& weights) noexcept;

// Does what `infer` does, for a call of one step and one row without options.
template <class T> void infer_one_step(const Weights<T>& weights, const Call<T>& call,
                                       const OneStepWorkspace<T>& workspace);

}  // namespace pyrnn
