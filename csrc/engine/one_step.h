// One step of one sequence on the parameters as the caller has them, packed or changed since or not.
//
// A caller whose weights may change between calls must read all of them before a packed copy may be used. For one step of
// one sequence that takes as long as the step, so this step reads them once, and has the bits of the packed one.
#pragma once

#include "engine/stack.h"

namespace pyrnn {

// One call after the other may use this memory, but no two calls at once.
template <class T> struct OneStepRoom {
  Buffer<T> gates;  // [S,H]
  Buffer<T> own_sums;  // [H]: the GRU candidate's own
  Buffer<T> zeros;  // [H]: the initial state where none is given
  Buffer<T> between[2];  // outputs of layers 0 .. L-2, in turn: [D*H]

  explicit OneStepRoom(const Spec& spec);
};

// Whether there is such a step: not with projections, peepholes or a small format, nor for the GRU with the reset before.
template <class T> bool has_one_step(const Weights<T>& weights) noexcept;

// `infer` for a call of one step and one row without options.
template <class T> void infer_one_step(const Weights<T>& weights, const Call<T>& call, const OneStepRoom<T>& room);

}  // namespace pyrnn
