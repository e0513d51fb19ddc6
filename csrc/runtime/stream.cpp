#include "runtime/stream.h"

#include "runtime/layer.h"

namespace pyrnn {

template <class T>
Stream<T>::Stream(const Weights<T>& weights, int batch, int chunk, Memory& memory)
    : weights_(weights),
      batch_(batch),
      chunk_(chunk),
      room_(weights, chunk, batch, memory),
      h_(weights.spec().num_layers * weights.spec().directions(), batch, weights.spec().recurrent_size(), memory),
      steps_(&memory) {
  const Spec& spec = weights.spec();
  if (spec.has_cell_state()) c_ = StepBuffer<T>(spec.num_layers * spec.directions(), batch, spec.hidden_size, memory);
  reset(nullptr);
  prepare_steps(memory);
}

// A network too small for threads takes a step without the machinery around it, which costs 60 ns a layer.
template <class T> void Stream<T>::prepare_steps(Memory& memory) {
  const Spec& spec = weights_.spec();
  for (int layer = 0; layer < spec.num_layers; ++layer)
    if (spec.bidirectional || spec.proj_size || work_of(spec, layer, 1, 1, batch_) > one_thread_work) return;
  next_h_ = StepBuffer<T>(spec.num_layers, batch_, spec.recurrent_size(), memory);
  steps_.reserve(spec.num_layers);
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    StepForward<T> s = weights_.step(layer, 0);
    s.B = batch_;
    s.gates = room_.direction[layer].gates.at(0);
    s.gates_stride = room_.direction[layer].gates.width;
    s.scratch = room_.direction[layer].scratch.data();
    steps_.push_back(s);
  }
}

// A layer's new h is the next one's input.
template <class T> void Stream<T>::step(Rows<const T> x, Rows<T> y) noexcept {
  const IeeeMode mode;
  for (int layer = 0; layer < static_cast<int>(steps_.size()); ++layer) {
    StepForward<T>& s = steps_[layer];
    s.x = layer ? next_h_.at(layer - 1) : x.data;
    s.x_stride = layer ? next_h_.width : x.row_stride;
    s.h_prev = h_.at(layer);
    s.c_prev = s.c = c_.at(layer);
    s.h = next_h_.at(layer);
    s.y = layer + 1 == static_cast<int>(steps_.size()) ? y.data : nullptr;
    s.y_stride = y.row_stride;
    weights_.cell().forward(s);
  }
  std::swap(h_, next_h_);
}

template <class T> void Stream<T>::run(Rows<const T> x, int steps, Rows<T> y, Flags active, bool hold) {
  if (steps == 1 && !active.data && batch_ > 0 && !steps_.empty()) return step(x, y);
  for (int from = 0; from < steps; from += chunk_) {
    Call<T> call{std::min(chunk_, steps - from), batch_, part(x, from, 0, batch_), {h_.at(0), c_.at(0)}};
    call.options.active = part(active, from, 0, batch_);
    call.options.hold = hold;
    call.y = part(y, from, 0, batch_);
    call.final = state();
    infer(weights_, call, room_);
  }
}

template <class T> void Stream<T>::reset(const unsigned char* rows) {
  for (const StepBuffer<T>* each : {&h_, &c_})
    for (int layer = 0; layer < each->steps && each->width; ++layer)
      for (int row = 0; row < batch_; ++row)
        if (!rows || rows[row]) std::fill_n(each->at(layer, row), each->width, T(0));
}

template class Stream<float>;
template class Stream<double>;

}  // namespace pyrnn
