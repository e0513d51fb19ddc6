// A stream: a network, the state of B running sequences, and all memory that a step needs. Only the constructor
// allocates. A stream belongs to one thread at a time; its weights may be shared.
#pragma once

#include "engine/stack.h"

namespace pyrnn {

template <class T> class Stream {
 public:
  // At most `chunk` steps run at once. A bidirectional network cannot continue from a state, so its chunk must be the
  // whole sequence. With start = false the constructor writes no state, as MeasuredMemory requires.
  Stream(const Weights<T>& weights, int batch, int chunk, Memory& memory = kept_memory(), bool start = true);
  Stream(const Weights<T>& weights, int batch) : Stream(weights, batch, block_of(rows_at_once, batch)) {}

  // Runs `steps` steps of x [steps,B,I] to y [steps,B,D*P]; rows whose flag in `active` is 0 keep their state. The
  // arguments are references because GCC 12 copies a struct in vectors that span values just stored, which took 20 ns
  // of a step's 65.
  void run(const Rows<const T>& x, int steps, const Rows<T>& y, const Flags& active, bool hold);
  void reset(const unsigned char* rows);  // sets the state to zero where rows [B] is not 0, or of all rows (null)
  State<T> state() const noexcept { return {h_[now_].at(0), c_.at(0)}; }  // [L*D,B,P], [L*D,B,H]
  int batch() const noexcept { return batch_; }

 private:
  void prepare_steps(Memory& memory);
  void step(const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride) noexcept;

  const Weights<T>& weights_;
  int batch_, chunk_;
  Workspace<T> workspace_;
  StepBuffer<T> h_[2], c_;  // [L*D,B,*]; a single step reads one h and writes the other
  int now_ = 0;             // the index in h_ of the current state
  // For single steps: the layers' calls from h_[0] to h_[1], then those back. Empty if a single step uses `infer`.
  std::pmr::vector<StepForward<T>> steps_;
  void (*forward_)(const StepForward<T>&) noexcept;
};

}  // namespace pyrnn
