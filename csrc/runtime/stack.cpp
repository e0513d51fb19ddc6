#include "runtime/stack.h"

#include "runtime/layer.h"

namespace pyrnn {
namespace {

// Rows whose W_ih x is computed together: enough for full tiles, few enough for the gates to stay in L2.
constexpr int rows_at_once = 48;

template <class T> StepBuffer<T> copy_of(Rows<const T> rows, int steps, int batch, int width) {
  StepBuffer<T> copy(steps, batch, width);
  for (int t = 0; t < steps; ++t)
    for (int b = 0; b < batch; ++b)
      std::copy_n(rows.data + t * rows.step_stride + b * rows.row_stride, width, copy.at(t, b));
  return copy;
}

template <class T>
void layer_forward(const Weights<T>& weights, const Call<T>& call, int layer, Rows<const T> x, Rows<T> y,
                   std::vector<LayerTape<T>>& tapes, int first_tape, bool keep, int block) {
  const Spec& spec = weights.spec();
  const int D = spec.directions(), P = spec.recurrent_size(), H = spec.hidden_size, B = call.batch;
  over_rows(spec, layer, call.steps, B, [&](int d, int first, int count) {
    const int index = layer * D + d;
    SequenceForward<T>{weights, layer, d, call.steps, in_scan_order(x, call.steps, d == 1),
                       in_scan_order(columns(y, static_cast<std::ptrdiff_t>(d) * P), call.steps, d == 1),
                       layer_part(call.initial.h, index, B, P), layer_part(call.initial.c, index, B, H),
                       layer_part(call.final.h, index, B, P), layer_part(call.final.c, index, B, H),
                       tapes[first_tape + d], keep, block}
        .run(first, count);
  });
}

}  // namespace

template <class T> void forward(const Weights<T>& weights, const Call<T>& call, Tape<T>* tape) {
  const Spec& spec = weights.spec();
  const int D = spec.directions(), B = call.batch, steps = call.steps;
  const int block = std::clamp(rows_at_once / std::max(B, 1), 1, steps);
  Tape<T> passing;  // inference: one layer's buffers at a time
  Tape<T>& kept = tape ? *tape : passing;
  kept.T_ = steps;
  kept.B = B;
  Rows<const T> x = call.x;
  if (tape) {
    kept.input.push_back(copy_of(call.x, steps, B, spec.input_size));
    x = as_const(kept.input[0].rows(0));
  }
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    const bool last = layer + 1 == spec.num_layers;
    StepBuffer<T> output = last ? StepBuffer<T>() : StepBuffer<T>(steps, B, spec.output_size());
    if (!tape) kept.direction.clear();
    for (int d = 0; d < D; ++d) kept.direction.emplace_back(spec, steps, B, tape != nullptr, block);
    layer_forward(weights, call, layer, x, last ? call.y : output.rows(0), kept.direction, tape ? layer * D : 0,
                  tape != nullptr, block);
    if (last) break;
    if (!call.mask.empty()) {
      const std::ptrdiff_t row = spec.output_size();
      kept.mask.push_back(copy_of(Rows<const T>{call.mask[layer], row * B, row, B}, steps, B, spec.output_size()));
      multiply(output, kept.mask.back());
    }
    if (!tape) kept.input.clear();
    kept.input.push_back(std::move(output));
    x = as_const(kept.input.back().rows(0));
  }
}

template void forward(const Weights<float>&, const Call<float>&, Tape<float>*);
template void forward(const Weights<double>&, const Call<double>&, Tape<double>*);

}  // namespace pyrnn
