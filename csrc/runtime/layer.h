// What forward and backward of a layer share: views of rows, and the cut of a batch among threads.
#pragma once

#include "runtime/parallel.h"
#include "runtime/sequence.h"

namespace pyrnn {

// Rows worth a thread of their own: fewer leave the product's tile half empty.
constexpr int least_rows = 4;

template <class T> T* layer_part(T* state, int index, int batch, int width) noexcept {
  return state ? state + static_cast<std::ptrdiff_t>(index) * batch * width : nullptr;
}

// Runs f(direction, first row, rows) over all directions and the whole batch, cut among the threads.
template <class F> void over_rows(const Spec& spec, int layer, int steps, int batch, F f) {
  const double work = static_cast<double>(steps) * batch * spec.directions() * spec.gates() * spec.hidden_size *
                      (spec.layer_input_size(layer) + spec.recurrent_size());
  const int D = spec.directions();
  const int pieces = std::clamp(std::min(threads_for(work) / D, batch / least_rows), 1, std::max(batch, 1));
  for_each(D * pieces, [&](int task) {
    const int piece = task / D;
    const int first = static_cast<int>(static_cast<std::ptrdiff_t>(batch) * piece / pieces);
    const int last = static_cast<int>(static_cast<std::ptrdiff_t>(batch) * (piece + 1) / pieces);
    f(task % D, first, last - first);
  });
}

template <class T> void multiply(StepBuffer<T>& values, const StepBuffer<T>& mask) {
  const std::size_t n = static_cast<std::size_t>(values.steps) * values.batch * values.width;
  for (std::size_t i = 0; i < n; ++i) values.data.data()[i] *= mask.data.data()[i];
}

}  // namespace pyrnn
