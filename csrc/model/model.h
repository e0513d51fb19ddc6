// Model: the layers of a file that `save` wrote in Python, packed for the ISA in use; immutable.
#pragma once

#include <memory>
#include <variant>

#include "model/convolution.h"
#include "engine/linear.h"

namespace pyrnn {

struct Embedding {
  Buffer<float> table;  // [rows, output_size]
  int rows;
  bool mask_zero;  // at index 0 the recurrent layers after it keep their state
};

struct Elementwise {
  Activation function;
  float alpha;
};

struct Softmax {};

struct ModelLayer {
  using Recurrent = std::unique_ptr<const Weights<float>>;
  using Plain = std::unique_ptr<const Linear<float>>;
  using Windows = std::unique_ptr<const Convolution>;
  std::variant<Recurrent, Plain, Windows, Embedding, Elementwise, Softmax> kind;
  int input_size = 0, output_size = 0;
  bool hold = false;  // the output of a recurrent layer at a masked step: its state, or else zero

  template <class Kind> const Kind* as() const noexcept { return std::get_if<Kind>(&kind); }
};

struct Model {
  const Ops<float>& ops;
  std::vector<ModelLayer> layers = {};  // at least one

  int input_size() const noexcept { return layers.front().input_size; }
  int output_size() const noexcept { return layers.back().output_size; }
  std::ptrdiff_t state_size() const noexcept;      // floats per sequence
  const char* what_looks_ahead() const noexcept;   // names a layer that a stream cannot run; null: none
  // Returns the first of `count` inputs that is not an index of the Embedding that the model begins with; null if all
  // are.
  const float* no_index(const float* x, std::size_t count) const noexcept;
};

}  // namespace pyrnn
