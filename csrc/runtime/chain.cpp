#include "runtime/chain.h"

#include <algorithm>

#include "runtime/ieee.h"

namespace pyrnn {
namespace {

void activate(Activation function, const Ops<float>& ops, const float* x, float* y, std::ptrdiff_t n) noexcept {
  const IeeeMode mode;
  ops.activate(function, 0, x, y, n);
}

}  // namespace

Chain::Chain(std::shared_ptr<const Model> model, int batch)
    : model_(std::move(model)), batch_(batch), block_(block_of(rows_at_once, batch)) {
  const auto& layers = model_->layers;
  int widest = 0;
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) widest = std::max(widest, layers[i].output_size);
  for (std::size_t i = 0; i < std::min<std::size_t>(2, layers.size() - 1); ++i)
    between_[i] = Buffer<float>(static_cast<std::size_t>(block_) * batch * widest);
  streams_.reserve(layers.size());
  for (const ModelLayer& layer : layers)
    if (const auto* recurrent = std::get_if<ModelLayer::Recurrent>(&layer.kind))
      streams_.emplace_back(**recurrent, batch);
}

Chain Chain::clone() const {
  Chain other(model_, batch_);
  std::vector<float> state(static_cast<std::size_t>(batch_) * model_->state_size());
  get_state(state.data());
  other.set_state(state.data());
  return other;
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

void Chain::block(const float* x, int steps, float* y) noexcept {
  const auto& layers = model_->layers;
  auto stream = streams_.begin();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const ModelLayer& layer = layers[i];
    float* const to = i + 1 == layers.size() ? y : between_[i % 2].data();
    const std::ptrdiff_t I = layer.input_size, O = layer.output_size,
                         rows = static_cast<std::ptrdiff_t>(steps) * batch_;
    if (layer.kind.index() == 0) {
      (stream++)->run({x, I * batch_, I, batch_}, steps, {to, O * batch_, O, batch_}, {}, false);
    } else if (const auto* plain = std::get_if<ModelLayer::Plain>(&layer.kind)) {
      (*plain)->forward(x, static_cast<int>(rows), to);
    } else {
      activate(std::get<Activation>(layer.kind), model_->ops, x, to, rows * O);
    }
    x = to;
  }
}

void Chain::reset(const unsigned char* rows) noexcept {
  for (Stream<float>& stream : streams_) stream.reset(rows);
}

// f(where a layer keeps the numbers of one sequence, their place in the state, how many) for all there are.
template <class F> void Chain::over_state(F f) const noexcept {
  const std::ptrdiff_t S = model_->state_size();
  std::ptrdiff_t place = 0;
  auto stream = streams_.begin();
  for (const ModelLayer& layer : model_->layers) {
    const auto* recurrent = std::get_if<ModelLayer::Recurrent>(&layer.kind);
    if (!recurrent) continue;
    const Spec& spec = (*recurrent)->spec();
    const State<float> now = (stream++)->state();
    const auto part = [&](float* of_all, int width) {
      for (int l = 0; of_all && l < spec.num_layers; ++l, place += width)
        for (int row = 0; row < batch_; ++row)
          f(of_all + (static_cast<std::ptrdiff_t>(l) * batch_ + row) * width, row * S + place, width);
    };
    part(now.h, spec.recurrent_size());
    part(now.c, spec.hidden_size);
  }
}

void Chain::get_state(float* state) const noexcept {
  over_state([&](const float* from, std::ptrdiff_t place, int width) { std::copy_n(from, width, state + place); });
}

void Chain::set_state(const float* state) noexcept {
  over_state([&](float* to, std::ptrdiff_t place, int width) { std::copy_n(state + place, width, to); });
}

}  // namespace pyrnn
