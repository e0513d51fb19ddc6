// Used by forward and backward of a layer: views of rows, and the distribution of a batch over threads.
#pragma once

#include "threads/ieee.h"
#include "threads/parallel.h"
#include "engine/sequence.h"

namespace pyrnn {

// A thread gets at least this many rows: fewer leave the product's tile half empty.
constexpr int least_rows = 4;

// Returns one direction's part of an array that holds all layers and directions.
template <class T> T* layer_part(T* all, int index, int batch, int width) noexcept {
  return all ? all + static_cast<std::ptrdiff_t>(index) * batch * width : nullptr;
}
template <class T> State<T> layer_part(const State<T>& all, const Spec& spec, int index, int batch) noexcept {
  return {layer_part(all.h, index, batch, spec.recurrent_size()), layer_part(all.c, index, batch, spec.hidden_size)};
}

// Returns the options of a call for one direction of one layer, from step `from` of its scan on. `hold` applies to the
// outputs of the last layer only, and only a unidirectional network can have resets.
template <class T>
StepOptions<T> in_layer(StepOptions<T> options, const Spec& spec, int layer, int direction, int steps, int batch,
                        int from) {
  options.active = part(in_scan_order(options.active, steps, direction == 1), from, 0, batch);
  options.reset = part(options.reset, from, 0, batch);
  options.hold = options.hold && layer + 1 == spec.num_layers;
  options.reset_to = layer_part(options.reset_to, spec, layer * spec.directions() + direction, batch);
  return options;
}

// Returns the multiply-adds of the products W x and W h in some directions of a layer over `steps` steps.
inline double work_of(const Spec& spec, int layer, int directions, int steps, int batch) noexcept {
  return static_cast<double>(steps) * batch * directions * spec.gates() * spec.hidden_size *
         (spec.layer_input_size(layer) + spec.recurrent_size());
}

// Returns whether several threads may share the rows of a scan by hidden units. There are two conditions. A step must
// need nothing but h of another thread's units: no W_hr, no r h, no inactive rows, no scratch of a format. And W h
// must take much longer than a synchronization, 0.1 to 0.2 us; its time is estimated from its multiply-adds and from
// the bytes of weights that it reads from L2.
template <class T>
bool can_share(const Weights<T>& weights, const StepOptions<T>& options, bool cell_states, int batch) noexcept {
  const Spec& spec = weights.spec();
  const double bytes = sizeof(T) * static_cast<double>(spec.gates()) * spec.hidden_size * spec.recurrent_size();
  const double seconds = std::max(bytes / 200e9, batch * bytes / 480e9);
  return seconds > 0.9e-6 && !spec.proj_size && !spec.cell->has_second_product() && weights.format() != Format::int8 &&
         !options.active.data && !options.reset.data && !cell_states;
}

// Runs f(direction, first row, rows, team) over directions [from, to) and the whole batch. The threads share the rows,
// or, if there are too few rows and `shared` allows it, the hidden units.
template <class F>
void over_rows(const Spec& spec, int layer, int from, int to, int steps, int batch, bool shared, F f) {
  const int D = to - from;
  const int threads = threads_for(work_of(spec, layer, D, steps, batch));
  if (threads == 1) {
    for (int d = from; d < to; ++d) f(d, 0, batch, Team());
    return;
  }
  const int pieces = std::clamp(std::min(threads / D, batch / least_rows), 1, std::max(batch, 1));
  if (shared && D == 1 && pieces == 1 && steps > 1) {
    together(threads, [&](int member, Barrier& barrier, int members) {
      f(from, 0, batch, Team{.member = member, .members = members, .barrier = &barrier});
    });
    return;
  }
  for_each(D * pieces, threads, [&](int task) {
    const int piece = task / D, first = cut(batch, piece, pieces);
    f(from + task % D, first, cut(batch, piece + 1, pieces) - first, Team());
  });
}

template <class T>
void multiply(const StepBuffer<T>& values, const T* factors) noexcept {
  const IeeeMode mode;
  for (std::size_t i = 0; i < values.size(); ++i) values.data.data()[i] *= factors[i];
}

}  // namespace pyrnn
