// Chain: B running sequences through all layers of a model. Only the constructor allocates. A call stays in its
// thread, if set_num_threads(1) was called.
#pragma once

#include "model/model.h"
#include "engine/stream.h"

namespace pyrnn {

class Chain {
 public:
  // At most `block` steps run at once. A model that looks ahead cannot continue from a state, so its block must be the
  // whole sequence. With start = false the constructor writes no state and nothing may run: MeasuredMemory measures a
  // chain so.
  Chain(std::shared_ptr<const Model> model, int batch, int block, Memory& memory, bool start = true);
  Chain(const Chain&) = delete;

  const std::shared_ptr<const Model>& model() const noexcept { return model_; }
  int batch() const noexcept { return batch_; }
  void run(const float* x, std::size_t steps, float* y) noexcept;  // x [T,B,I], y [T,B,O]; they must not overlap
  void reset(const unsigned char* rows) noexcept;                  // [B] flags, or null for all rows
  // state [B,S]: a row holds one sequence, layer by layer: h [L*D,P] of a recurrent layer and c [L*D,H] of an LSTM, or
  // the last inputs [before,C] of a convolution.
  void get_state(float* state) const noexcept;
  void set_state(const float* state) noexcept;

 private:
  struct Pass;  // the data of one block of steps between the layers

  void block(const float* x, int steps, float* y) noexcept;
  void run(const ModelLayer::Recurrent&, Pass& pass) noexcept;
  void run(const ModelLayer::Plain& linear, Pass& pass) noexcept;
  void run(const ModelLayer::Windows&, Pass& pass) noexcept;
  void run(const Embedding& embedding, Pass& pass) noexcept;
  void run(const Elementwise& function, Pass& pass) noexcept;
  void run(const Softmax&, Pass& pass) noexcept;
  template <class F> void over_state(F f) const noexcept;

  std::shared_ptr<const Model> model_;
  int batch_, block_;
  std::pmr::vector<Stream<float>> streams_;  // one per recurrent layer
  std::pmr::vector<History> histories_;  // one per convolution
  Buffer<float> between_[2];  // [block,B,*]: outputs of all layers but the last, alternately
  Buffer<unsigned char> active_;  // [block,B]: the mask that an Embedding makes
};

}  // namespace pyrnn
