#include "model/model.h"

#include <algorithm>

namespace pyrnn {

std::ptrdiff_t Model::state_size() const noexcept {
  std::ptrdiff_t size = 0;
  for (const ModelLayer& layer : layers) {
    if (const auto* recurrent = layer.as<ModelLayer::Recurrent>()) {
      const Spec& spec = (*recurrent)->spec();
      const std::ptrdiff_t each = spec.recurrent_size() + (spec.has_cell_state() ? spec.hidden_size : 0);
      size += each * spec.num_layers * spec.directions();
    } else if (const auto* windows = layer.as<ModelLayer::Windows>()) {
      size += static_cast<std::ptrdiff_t>((*windows)->shape().before) * layer.input_size;
    }
  }
  return size;
}

const char* Model::what_looks_ahead() const noexcept {
  for (const ModelLayer& layer : layers) {
    const auto* recurrent = layer.as<ModelLayer::Recurrent>();
    const auto* windows = layer.as<ModelLayer::Windows>();
    if (recurrent && (*recurrent)->spec().bidirectional) return "a bidirectional layer";
    if (windows && (*windows)->shape().after) return "a Conv1d with padding after the end";
  }
  return nullptr;
}

const float* Model::no_index(const float* x, std::size_t count) const noexcept {
  const auto* embedding = layers.front().as<Embedding>();
  if (!embedding) return nullptr;
  const auto is_index = [&](float value) {
    return value >= 0 && value < static_cast<float>(embedding->rows) &&
           value == static_cast<float>(static_cast<int>(value));
  };
  const float* const found = std::find_if_not(x, x + count, is_index);
  return found == x + count ? nullptr : found;
}

}  // namespace pyrnn
