// A stream: a network, the state of B running sequences, and all the memory a step needs. Construction is the only
// allocation. A stream belongs to one thread at a time; its weights may be shared.
#pragma once

#include "engine/stack.h"

namespace pyrnn {

template <class T> class Stream {
 public:
  // `chunk` steps at most are run at once; of a bidirectional network, which cannot go on from a state, all steps. With
  // start false no state is written, as MeasuredMemory asks for.
  Stream(const Weights<T>& weights, int batch, int chunk, Memory& memory = kept_memory(), bool start = true);
  Stream(const Weights<T>& weights, int batch) : Stream(weights, batch, block_of(rows_at_once, batch)) {}

  // `steps` steps of x [steps,B,I] into y [steps,B,D*P]; rows whose flag in active is 0 sit the step out.
  // By reference: GCC 12 copies a struct by vectors that span what was just stored, which took 20 ns of a step's 65.
  void run(const Rows<const T>& x, int steps, const Rows<T>& y, const Flags& active, bool hold);
  void reset(const unsigned char* rows);  // [B] flags, or null for all: their state becomes zero
  State<T> state() const noexcept { return {h_[now_].at(0), c_.at(0)}; }  // [L*D,B,P], [L*D,B,H]
  int batch() const noexcept { return batch_; }

 private:
  void prepare_steps(Memory& memory);
  void step(const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride) noexcept;

  const Weights<T>& weights_;
  int batch_, chunk_;
  Workspace<T> room_;
  StepBuffer<T> h_[2], c_;  // layers and directions in place of steps; a single step goes from one h to the other
  int now_ = 0;             // which h is the state's
  // For single steps: the layers from h_[0] to h_[1], then back. Empty where a call of the stack serves better.
  std::pmr::vector<StepForward<T>> steps_;
  void (*forward_)(const StepForward<T>&) noexcept;
};

}  // namespace pyrnn
