// Chain: B running sequences through all layers of a model. Construction is the only allocation; a call works in the
// thread that makes it, if set_num_threads(1) says so.
#pragma once

#include "model/model.h"
#include "engine/stream.h"

namespace pyrnn {

class Chain {
 public:
  // At most `block` steps are run at once; of a model that looks ahead, which cannot go on from a state, all steps. With
  // start false there is no state and nothing runs: MeasuredMemory learns how much a chain takes.
  Chain(std::shared_ptr<const Model> model, int batch, int block, Memory& memory, bool start = true);
  Chain(const Chain&) = delete;

  const std::shared_ptr<const Model>& model() const noexcept { return model_; }
  int batch() const noexcept { return batch_; }
  void run(const float* x, std::size_t steps, float* y) noexcept;  // x [T,B,I], y [T,B,O]; apart in memory
  void reset(const unsigned char* rows) noexcept;                  // [B] flags, or null for all
  // state [B,S]: a row is one sequence, layer by layer: h [L*D,P] and, of an LSTM, c [L*D,H]; of a convolution the last
  // inputs [before,C].
  void get_state(float* state) const noexcept;
  void set_state(const float* state) noexcept;

 private:
  struct Pass;  // a block of steps on its way through the layers

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
  std::pmr::vector<Stream<float>> streams_;  // of the recurrent layers
  std::pmr::vector<History> histories_;  // of the convolutions
  Buffer<float> between_[2];  // [block,B,*]: outputs of all layers but the last, in turn
  Buffer<unsigned char> active_;  // [block,B]: what an Embedding masks
};

}  // namespace pyrnn
