#include "runtime/stream.h"

namespace pyrnn {

template <class T>
Stream<T>::Stream(const Weights<T>& weights, int batch)
    : weights_(weights),
      batch_(batch),
      chunk_(block_of(rows_at_once, batch)),
      room_(weights.spec(), chunk_, batch),
      h_(weights.spec().num_layers, batch, weights.spec().recurrent_size()),
      c_(weights.spec().num_layers, batch, weights.spec().has_cell_state() ? weights.spec().hidden_size : 0) {
  reset(nullptr);
}

template <class T> void Stream<T>::run(Rows<const T> x, int steps, Rows<T> y, Flags active, bool hold) {
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
