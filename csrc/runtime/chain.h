// Chain: B running sequences through all layers of a model. Construction is the only allocation; a call works in the
// thread that makes it, if set_num_threads(1) says so.
#pragma once

#include "runtime/model.h"
#include "runtime/stream.h"

namespace pyrnn {

class Chain {
 public:
  Chain(std::shared_ptr<const Model> model, int batch);
  Chain clone() const;

  const Model& model() const noexcept { return *model_; }
  int batch() const noexcept { return batch_; }
  void run(const float* x, std::size_t steps, float* y) noexcept;  // x [T,B,I], y [T,B,O]; apart in memory
  void reset(const unsigned char* rows) noexcept;                  // [B] flags, or null for all
  // state [B,S]: a row is one sequence, of each recurrent layer h [L,P] and, for the LSTM, c [L,H].
  void get_state(float* state) const noexcept;
  void set_state(const float* state) noexcept;

 private:
  void block(const float* x, int steps, float* y) noexcept;
  template <class F> void over_state(F f) const noexcept;

  std::shared_ptr<const Model> model_;
  int batch_, block_;
  std::vector<Stream<float>> streams_;  // of the recurrent layers
  Buffer<float> between_[2];            // [block,B,*]: outputs of all layers but the last, in turn
};

}  // namespace pyrnn
