#include "engine/stream.h"

#include "engine/layer.h"

namespace pyrnn {

template <class T>
Stream<T>::Stream(const Weights<T>& weights, int batch, int chunk, Memory& memory, bool start)
    : weights_(weights),
      batch_(batch),
      chunk_(chunk),
      workspace_(weights, chunk, batch, memory),
      steps_(&memory),
      forward_(weights.cell().forward) {
  const Spec& spec = weights.spec();
  const int scans = spec.num_layers * spec.directions();
  h_[0] = StepBuffer<T>(scans, batch, spec.recurrent_size(), memory);
  if (spec.has_cell_state()) c_ = StepBuffer<T>(scans, batch, spec.hidden_size, memory);
  if (start) reset(nullptr);
  prepare_steps(memory);
}

// Prepares single steps for a network too small for threads: its step calls the kernels directly, which saves 60 ns
// per layer.
template <class T> void Stream<T>::prepare_steps(Memory& memory) {
  const Spec& spec = weights_.spec();
  for (int layer = 0; layer < spec.num_layers; ++layer)
    if (spec.bidirectional || spec.proj_size || work_of(spec, layer, 1, 1, batch_) > one_thread_work) return;
  h_[1] = StepBuffer<T>(spec.num_layers, batch_, spec.recurrent_size(), memory);
  steps_.reserve(2 * spec.num_layers);
  for (int from = 0; from < 2; ++from)
    for (int layer = 0; layer < spec.num_layers; ++layer) {
      StepForward<T> s = weights_.step(layer, 0);
      s.B = batch_;
      s.gates = workspace_.direction[layer].gates.at(0);
      s.gates_stride = workspace_.direction[layer].gates.width;
      s.scratch = workspace_.direction[layer].scratch.data();
      s.x = layer ? h_[!from].at(layer - 1) : nullptr;  // a layer's new h is the input of the layer above
      s.x_stride = h_[!from].width;
      s.h_prev = h_[from].at(layer);
      s.h = h_[!from].at(layer);
      s.c_prev = s.c = c_.at(layer);
      steps_.push_back(s);
    }
}

template <class T>
void Stream<T>::step(const T* x, std::ptrdiff_t x_stride, T* y, std::ptrdiff_t y_stride) noexcept {
  const IeeeMode mode;
  const std::size_t layers = steps_.size() / 2;
  StepForward<T>*const first = steps_.data() + now_ * layers, *const end = first + layers;
  first->x = x;
  first->x_stride = x_stride;
  end[-1].y = y;
  end[-1].y_stride = y_stride;
  for (const StepForward<T>* s = first; s != end; ++s) forward_(*s);
  now_ = !now_;
}

template <class T>
void Stream<T>::run(const Rows<const T>& x, int steps, const Rows<T>& y, const Flags& active, bool hold) {
  if (steps == 1 && !active.data && batch_ > 0 && !steps_.empty())
    return step(x.data, x.row_stride, y.data, y.row_stride);
  for (int from = 0; from < steps; from += chunk_) {
    Call<T> call{std::min(chunk_, steps - from), batch_, part(x, from, 0, batch_), {state().h, state().c}};
    call.options.active = part(active, from, 0, batch_);
    call.options.hold = hold;
    call.y = part(y, from, 0, batch_);
    call.final = state();
    infer(weights_, call, workspace_);
  }
}

template <class T> void Stream<T>::reset(const unsigned char* rows) {
  for (const StepBuffer<T>* each : {&h_[now_], &c_})
    for (int layer = 0; layer < each->steps && each->width; ++layer)
      for (int row = 0; row < batch_; ++row)
        if (!rows || rows[row]) std::fill_n(each->at(layer, row), each->width, T(0));
}

template class Stream<float>;
template class Stream<double>;

}  // namespace pyrnn
