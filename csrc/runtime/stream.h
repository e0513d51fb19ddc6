// A stream: a network, the state of B running sequences, and all the memory a step needs. Construction is the only
// allocation. A stream belongs to one thread at a time; its weights may be shared.
#pragma once

#include "runtime/stack.h"

namespace pyrnn {

template <class T> class Stream {
 public:
  Stream(const Weights<T>& weights, int batch);

  // `steps` steps of x [steps,B,I] into y [steps,B,P]; rows whose flag in active is 0 sit the step out.
  void run(Rows<const T> x, int steps, Rows<T> y, Flags active, bool hold);
  void reset(const unsigned char* rows);  // [B] flags, or null for all: their state becomes zero
  State<T> state() const noexcept { return {h_.at(0), c_.at(0)}; }  // [L,B,P], [L,B,H]
  int batch() const noexcept { return batch_; }

 private:
  void step(Rows<const T> x, Rows<T> y) noexcept;

  const Weights<T>& weights_;
  int batch_, chunk_;
  Workspace<T> room_;
  StepBuffer<T> h_, c_, next_h_;       // layers in place of steps
  std::vector<StepForward<T>>
      steps_;  // of the layers, for single steps; empty where a call of the stack serves better
};

}  // namespace pyrnn
