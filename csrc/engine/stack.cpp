#include "engine/stack.h"

#include "engine/layer.h"

namespace pyrnn {
namespace {

template <class T> StepBuffer<T> copy_of(Rows<const T> rows, int steps, int batch, int width) {
  StepBuffer<T> copy(steps, batch, width);
  for (int t = 0; t < steps; ++t)
    for (int b = 0; b < batch; ++b)
      std::copy_n(rows.data + t * rows.step_stride + b * rows.row_stride, width, copy.at(t, b));
  return copy;
}

// The memory of a layer's scan: its working buffers and its checkpoints.
template <class T> struct Scan {
  const LayerTape<T>* tapes;                      // one per direction
  bool keep;                                      // whether the tapes hold every step
  int segment;                                    // steps per run: all, or those between two checkpoints
  const StepBuffer<T>*h = nullptr, *c = nullptr;  // checkpoints, one buffer per direction
};

// Computes some rows of one layer and direction, on one thread or as a member of a team.
template <class T>
void direction_forward(const Weights<T>& weights, const Call<T>& call, int layer, int d, Rows<const T> x, Rows<T> y,
                       const Scan<T>& scan, int first, int count, const Team& team) {
  const Spec& spec = weights.spec();
  const int steps = call.steps, B = call.batch, index = layer * spec.directions() + d;
  const bool last = layer + 1 == spec.num_layers;
  State<const T> before = layer_part(call.initial, spec, index, B);
  for (int from = 0, j = 1; from < steps; from += scan.segment, ++j) {
    const auto here = [&](auto rows) { return part(in_scan_order(rows, steps, d == 1), from, 0, rows.batch); };
    const int length = std::min(scan.segment, steps - from);
    const bool ends = from + length == steps;
    const State<T> after = ends ? layer_part(call.final, spec, index, B) : State<T>{scan.h[d].at(j), scan.c[d].at(j)};
    SequenceForward<T>{
        .sequence = {.weights = weights,
                     .layer = layer,
                     .direction = d,
                     .steps = length,
                     .options = in_layer(call.options, spec, layer, d, steps, B, from),
                     .tape = scan.tapes[d]},
        .x = here(x),
        .y = here(columns(y, static_cast<std::ptrdiff_t>(d) * spec.recurrent_size())),
        .c_all = last ? here(columns(call.c_all, static_cast<std::ptrdiff_t>(d) * spec.hidden_size)) : Rows<T>{},
        .initial = before,
        .final = after,
        .keep = scan.keep}
        .run(first, count, team);
    team.synchronize();  // the next segment starts from the state that this one leaves
    before = {after.h, after.c};
  }
}

// Computes one layer in all its directions.
template <class T>
void layer_forward(const Weights<T>& weights, const Call<T>& call, int layer, Rows<const T> x, Rows<T> y,
                   const Scan<T>& scan) {
  const Spec& spec = weights.spec();
  over_rows(spec, layer, 0, spec.directions(), call.steps, call.batch,
            can_share(weights, call.options, call.c_all.data, call.batch),
            [&](int d, int first, int count, const Team& team) {
              direction_forward(weights, call, layer, d, x, y, scan, first, count, team);
            });
}

// Computes a layer with buffers for one segment, which are reused, and stores the state before every segment. The
// state before the first segment is the initial state.
template <class T>
void layer_with_checkpoints(const Weights<T>& weights, const Call<T>& call, int layer, Rows<const T> x, Rows<T> y,
                            Tape<T>& tape) {
  const Spec& spec = weights.spec();
  const int D = spec.directions(), B = call.batch, segments = (call.steps + tape.every - 1) / tape.every;
  std::vector<LayerTape<T>> rolling;
  for (int d = 0; d < D; ++d) {
    rolling.emplace_back(spec, tape.every, B, false);
    tape.h.emplace_back(segments, B, spec.recurrent_size());
    tape.c.emplace_back(segments, B, spec.has_cell_state() ? spec.hidden_size : 0);
    const State<const T> initial = layer_part(call.initial, spec, layer * D + d, B);
    copy_or_zero(initial.h, tape.h.back().at(0), static_cast<std::size_t>(B) * spec.recurrent_size());
    if (tape.c.back()) copy_or_zero(initial.c, tape.c.back().at(0), static_cast<std::size_t>(B) * spec.hidden_size);
  }
  layer_forward(weights, call, layer, x, y,
                {rolling.data(), false, tape.every, &tape.h[layer * D], &tape.c[layer * D]});
}

}  // namespace

template <class T>
Workspace<T>::Workspace(const Weights<T>& weights, int steps, int B, Memory& memory) : direction(&memory) {
  const Spec& spec = weights.spec();
  const auto scratch = weights.cell().row_scratch;
  direction.reserve(spec.num_layers * spec.directions());
  for (int i = 0; i < spec.num_layers * spec.directions(); ++i) {
    LayerTape<T>& tape = direction.emplace_back(spec, steps, B, false, memory);
    // Scratch memory for the inputs of a block of steps, and for the states of one step.
    tape.row_scratch = tape.block * scratch(spec.layer_input_size(i / spec.directions())) +
                       scratch(std::max(spec.recurrent_size(), spec.hidden_size));
    tape.scratch = Buffer<char>(elements(B, tape.row_scratch), memory);
  }
  for (int i = 0; i < std::min(2, spec.num_layers - 1); ++i)
    between[i] = StepBuffer<T>(steps, B, spec.output_size(), memory);
}

namespace {

template <class T> Rows<T> output_of(const Call<T>& call, const Workspace<T>& workspace, int layer, int layers) {
  return layer + 1 == layers ? call.y : workspace.between[layer % 2].rows(0);
}

// Computes the layers on several threads, each layer a block of steps behind the one below (a wavefront). Returns
// false, having done nothing, if threads had better share rows or the units of one layer. Two buffers suffice for the
// outputs of all inner layers: a layer overwrites a step of the layer two below only after the layer between has read
// it.
template <class T> bool infer_in_wavefront(const Weights<T>& weights, const Call<T>& call, Workspace<T>& workspace) {
  constexpr int most_layers = 16, blocks = 8;
  const Spec& spec = weights.spec();
  const int L = spec.num_layers, B = call.batch, steps = call.steps;
  if (L == 1 || L > most_layers || spec.bidirectional || !call.mask.empty()) return false;
  const int threads = std::min(threads_for(L * work_of(spec, 1, 1, steps, B)), L);
  if (threads == 1 || L % threads || B == 0 || B >= 2 * least_rows || steps < 2 * blocks) return false;
  Progress progress[most_layers];
  together(threads, [&](int member, Barrier&, int members) {
    for (int layer = member; layer < L; layer += members) {
      const Rows<const T> x = layer ? as_const(output_of(call, workspace, layer - 1, L)) : call.x;
      direction_forward(weights, call, layer, 0, x, output_of(call, workspace, layer, L),
                        {&workspace.direction[layer], false, steps}, 0, B,
                        Team{.below = layer ? &progress[layer - 1] : nullptr,
                             .own = &progress[layer],
                             .block = std::max(steps / blocks / 2, 1)});
    }
  });
  return true;
}

}  // namespace

template <class T> void infer(const Weights<T>& weights, const Call<T>& call, Workspace<T>& workspace) {
  if (infer_in_wavefront(weights, call, workspace)) return;
  const Spec& spec = weights.spec();
  Rows<const T> x = call.x;
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    const bool last = layer + 1 == spec.num_layers;
    const Rows<T> y = output_of(call, workspace, layer, spec.num_layers);
    layer_forward(weights, call, layer, x, y, {&workspace.direction[layer * spec.directions()], false, call.steps});
    if (!last && !call.mask.empty()) multiply(workspace.between[layer % 2], call.mask[layer]);
    x = as_const(y);
  }
}

template <class T> void record(const Weights<T>& weights, const Call<T>& call, int every, Tape<T>& tape) {
  const Spec& spec = weights.spec();
  const int D = spec.directions(), steps = call.steps, B = call.batch;
  tape.T_ = steps;
  tape.B = B;
  tape.every = std::min(every, steps);
  tape.options = call.options;
  tape.input.push_back(every ? StepBuffer<T>() : copy_of(call.x, steps, B, spec.input_size));
  tape.x = every ? call.x : as_const(tape.input[0].rows(0));
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    const bool last = layer + 1 == spec.num_layers;
    StepBuffer<T> output = last ? StepBuffer<T>() : StepBuffer<T>(steps, B, spec.output_size());
    const Rows<const T> x = layer ? as_const(tape.input.back().rows(0)) : tape.x;
    const Rows<T> y = last ? call.y : output.rows(0);
    if (every) {
      layer_with_checkpoints(weights, call, layer, x, y, tape);
    } else {
      for (int d = 0; d < D; ++d) tape.direction.emplace_back(spec, steps, B, true);
      layer_forward(weights, call, layer, x, y, {&tape.direction[layer * D], true, steps});
    }
    if (last) break;
    if (!call.mask.empty()) {
      const std::ptrdiff_t row = spec.output_size();
      tape.mask.push_back(copy_of(Rows<const T>{call.mask[layer], row * B, row, B}, steps, B, spec.output_size()));
      multiply(output, tape.mask.back().at(0));
    }
    tape.input.push_back(std::move(output));
  }
}

#define PYRNN_INSTANTIATE(T)                                             \
  template struct Workspace<T>;                                          \
  template void infer(const Weights<T>&, const Call<T>&, Workspace<T>&); \
  template void record(const Weights<T>&, const Call<T>&, int, Tape<T>&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)

}  // namespace pyrnn
