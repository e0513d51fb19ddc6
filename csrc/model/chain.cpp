#include "model/chain.h"

#include <algorithm>

#include "threads/ieee.h"

namespace pyrnn {
namespace {

template <class Kind> std::size_t count_of(const std::vector<ModelLayer>& layers) {
  return std::ranges::count_if(layers, [](const ModelLayer& layer) { return layer.as<Kind>() != nullptr; });
}

}  // namespace

Chain::Chain(std::shared_ptr<const Model> model, int batch, int block, Memory& memory, bool start)
    : model_(std::move(model)), batch_(batch), block_(block), streams_(&memory), histories_(&memory) {
  const auto& layers = model_->layers;
  const std::size_t rows = elements(block_, batch);
  int widest = 0;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) widest = std::max(widest, layers[i].output_size);
  for (std::size_t i = 0; i < std::min<std::size_t>(2, layers.size() - 1); ++i)
    between_[i] = Buffer<float>(elements(rows, widest), memory);
  if (const auto* embedding = layers.front().as<Embedding>(); embedding && embedding->mask_zero)
    active_ = Buffer<unsigned char>(rows, memory);
  streams_.reserve(count_of<ModelLayer::Recurrent>(layers));
  histories_.reserve(count_of<ModelLayer::Windows>(layers));
  for (const ModelLayer& layer : layers) {
    if (const auto* recurrent = layer.as<ModelLayer::Recurrent>())
      streams_.emplace_back(**recurrent, batch, block_, memory, start);
    if (const auto* windows = layer.as<ModelLayer::Windows>())
      histories_.emplace_back(**windows, batch, block_, memory, start);
  }
}

void Chain::run(const float* x, std::size_t steps, float* y) noexcept {
  const std::ptrdiff_t in = static_cast<std::ptrdiff_t>(batch_) * model_->input_size(),
                       out = static_cast<std::ptrdiff_t>(batch_) * model_->output_size();
  while (steps > 0) {
    const int now = static_cast<int>(std::min<std::size_t>(steps, block_));
    block(x, now, y);
    steps -= now;
    x += now * in;
    y += now * out;
  }
}

struct Chain::Pass {
  const ModelLayer* layer;
  const float* x;
  float* y;
  int steps;
  Flags active;  // [steps,B]; if data is null, all are active
  Stream<float>* stream;
  History* history;

  std::ptrdiff_t rows(int batch) const noexcept { return static_cast<std::ptrdiff_t>(steps) * batch; }
};

void Chain::block(const float* x, int steps, float* y) noexcept {
  const auto& layers = model_->layers;
  Pass pass{nullptr, x, y, steps, {}, streams_.data(), histories_.data()};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    pass.layer = &layers[i];
    pass.y = i + 1 == layers.size() ? y : between_[i % 2].data();
    std::visit([&](const auto& kind) { run(kind, pass); }, layers[i].kind);
    pass.x = pass.y;
  }
}

void Chain::run(const ModelLayer::Recurrent&, Pass& pass) noexcept {
  const std::ptrdiff_t I = pass.layer->input_size, O = pass.layer->output_size;
  (pass.stream++)
      ->run({pass.x, I * batch_, I, batch_}, pass.steps, {pass.y, O * batch_, O, batch_}, pass.active,
            pass.active.data && pass.layer->hold);
}

void Chain::run(const ModelLayer::Plain& linear, Pass& pass) noexcept {
  linear->forward(pass.x, static_cast<int>(pass.rows(batch_)), pass.y);
}

void Chain::run(const ModelLayer::Windows&, Pass& pass) noexcept {
  (pass.history++)->run(pass.x, pass.steps, pass.y);
  pass.active = {};  // a convolution's outputs have no mask
}

void Chain::run(const Embedding& embedding, Pass& pass) noexcept {
  const std::ptrdiff_t width = pass.layer->output_size, rows = pass.rows(batch_);
  for (std::ptrdiff_t i = 0; i < rows; ++i)
    std::copy_n(embedding.table.data() + static_cast<std::ptrdiff_t>(pass.x[i]) * width, width, pass.y + i * width);
  if (!embedding.mask_zero) return;
  for (std::ptrdiff_t i = 0; i < rows; ++i) active_.data()[i] = pass.x[i] != 0;
  pass.active = {active_.data(), batch_, 1, batch_};
}

void Chain::run(const Elementwise& function, Pass& pass) noexcept {
  const IeeeMode mode;
  model_->ops.activate(function.function, function.alpha, pass.x, pass.y, pass.rows(batch_) * pass.layer->output_size);
}

void Chain::run(const Softmax&, Pass& pass) noexcept {
  const IeeeMode mode;
  model_->ops.softmax(pass.x, pass.y, pass.rows(batch_), pass.layer->output_size);
}

void Chain::reset(const unsigned char* rows) noexcept {
  for (Stream<float>& stream : streams_) stream.reset(rows);
  for (History& history : histories_)
    for (int row = 0; row < batch_; ++row)
      if (!rows || rows[row]) history.reset(row);
}

// Calls f(memory of a layer for one sequence, its position in the state, its length) for all layers and sequences.
template <class F> void Chain::over_state(F f) const noexcept {
  const std::ptrdiff_t S = model_->state_size();
  std::ptrdiff_t place = 0;
  auto stream = streams_.begin();
  auto history = histories_.begin();
  for (const ModelLayer& layer : model_->layers) {
    if (const auto* recurrent = layer.as<ModelLayer::Recurrent>()) {
      const Spec& spec = (*recurrent)->spec();
      const State<float> now = (stream++)->state();
      const auto part = [&](float* of_all, int width) {
        for (int l = 0; of_all && l < spec.num_layers * spec.directions(); ++l, place += width)
          for (int row = 0; row < batch_; ++row)
            f(of_all + (static_cast<std::ptrdiff_t>(l) * batch_ + row) * width, row * S + place, width);
      };
      part(now.h, spec.recurrent_size());
      part(now.c, spec.hidden_size);
    } else if (layer.as<ModelLayer::Windows>()) {
      for (int row = 0; row < batch_; ++row) f(history->last(row), row * S + place, history->size());
      place += (history++)->size();
    }
  }
}

void Chain::get_state(float* state) const noexcept {
  over_state([&](const float* from, std::ptrdiff_t place, int width) { std::copy_n(from, width, state + place); });
}

void Chain::set_state(const float* state) noexcept {
  over_state([&](float* to, std::ptrdiff_t place, int width) { std::copy_n(state + place, width, to); });
}

}  // namespace pyrnn
