// Model: the layers of a file that pyrnn.nn.Sequential.save wrote, packed for the ISA in use; immutable.
#pragma once

#include <memory>
#include <span>
#include <variant>

#include "runtime/linear.h"
#include "runtime/weights.h"

namespace pyrnn {

struct ModelLayer {
  using Recurrent = std::unique_ptr<const Weights<float>>;
  using Plain = std::unique_ptr<const Linear<float>>;
  std::variant<Recurrent, Plain, Activation> kind;
  int input_size = 0, output_size = 0;
};

struct Model {
  const Ops<float>& ops;
  std::vector<ModelLayer> layers = {};  // one at least

  int input_size() const noexcept { return layers.front().input_size; }
  int output_size() const noexcept { return layers.back().output_size; }
  int state_size() const noexcept;  // numbers a sequence: h and c of each layer in turn
};

// The bytes are needed no more afterwards. Throws InvalidFile and Unsupported (json.h).
Model read_model(std::span<const unsigned char> file, const Ops<float>& ops);

}  // namespace pyrnn
