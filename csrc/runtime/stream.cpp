#include "runtime/stream.h"

#include "runtime/layer.h"

namespace pyrnn {

template <class T>
Stream<T>::Stream(const Weights<T>& weights, int batch)
    : weights_(weights),
      batch_(batch),
      chunk_(block_of(rows_at_once, batch)),
      room_(weights, chunk_, batch),
      h_(weights.spec().num_layers, batch, weights.spec().recurrent_size()),
      c_(weights.spec().num_layers, batch, weights.spec().has_cell_state() ? weights.spec().hidden_size : 0) {
  reset(nullptr);
  const Spec& spec = weights.spec();
  // A network too small for threads takes a step without the machinery around it, which costs 60 ns a layer.
  for (int layer = 0; layer < spec.num_layers; ++layer)
    if (spec.proj_size || work_of(spec, layer, 1, 1, batch) > one_thread_work) return;
  next_h_ = StepBuffer<T>(spec.num_layers, batch, spec.recurrent_size());
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    StepForward<T> s = weights.step(layer, 0);
    s.B = batch;
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
