#include "runtime/ieee.h"
#include "runtime/layer.h"
#include "runtime/stack.h"

namespace pyrnn {
namespace {

// What one direction of one layer makes on its way back.
template <class T> struct DirectionBackward {
  StepBuffer<T> da, dproj, dh, direct, dc, dm;  // sequence.h says what each holds

  DirectionBackward(const Spec& spec, int steps, int B)
      : da(steps, B, spec.slots() * spec.hidden_size), dh(1, B, spec.recurrent_size()) {
    if (spec.proj_size) {
      dproj = StepBuffer<T>(steps, B, spec.proj_size);
      dm = StepBuffer<T>(1, B, spec.hidden_size);
    }
    if (spec.cell == Cell::gru || spec.cell == Cell::gru_reset_before) direct = StepBuffer<T>(1, B, spec.hidden_size);
    if (spec.has_cell_state() || spec.cell == Cell::gru_reset_before) dc = StepBuffer<T>(1, B, spec.hidden_size);
  }
};

// One layer on its way back: the scans, then dx, then the parameters.
template <class T> struct LayerBackward {
  const Weights<T>& weights;
  const Tape<T>& tape;
  const Gradients<T>& out;
  int layer;
  std::vector<DirectionBackward<T>> back = {};

  const Spec& spec() const { return weights.spec(); }
  const LayerTape<T>& kept(int d) const { return tape.direction[layer * spec().directions() + d]; }

  void scan(Rows<const T> dy);
  void inputs(Rows<T> dx) const;
  void parameters(T* const* gradient) const;

 private:
  using Tasks = std::vector<std::function<void()>>;
  Rows<const T> last_to_first(Rows<T> rows) const { return as_const(in_scan_order(rows, tape.T_, true)); }
  void matrix(Tasks& tasks, Rows<const T> a, int M, Rows<const T> b, int N, T* c) const;
  void biases(Rows<const T> da, T* dbias_ih, T* dbias_hh) const;
};

template <class T> void LayerBackward<T>::scan(Rows<const T> dy) {
  const int D = spec().directions(), P = spec().recurrent_size(), H = spec().hidden_size, B = tape.B;
  for (int d = 0; d < D; ++d) back.emplace_back(spec(), tape.T_, B);
  over_rows(spec(), layer, tape.T_, B, [&](int d, int first, int count) {
    const int index = layer * D + d;
    const auto& [da, dproj, dh, direct, dc, dm] = back[d];
    Rows<const T> mine = dy.data ? in_scan_order(columns(dy, static_cast<std::ptrdiff_t>(d) * P), tape.T_, d == 1) : dy;
    SequenceBackward<T>{weights, layer, d, tape.T_, mine, layer_part(out.dfinal.h, index, B, P),
                        layer_part(out.dfinal.c, index, B, H), layer_part(out.dinitial.h, index, B, P),
                        layer_part(out.dinitial.c, index, B, H), kept(d), da, dproj, dh, direct, dc, dm}
        .run(first, count);
  });
}

// dx = da W_ih, the forward direction first; rows are independent, so time is cut among the threads.
template <class T> void LayerBackward<T>::inputs(Rows<T> dx) const {
  const int I = spec().layer_input_size(layer), K = spec().gates() * spec().hidden_size;
  const double work = static_cast<double>(tape.T_) * tape.B * spec().directions() * K * I;
  const int pieces = std::min(threads_for(work), tape.T_);
  for_each(pieces, [&](int piece) {
    const IeeeMode mode;
    const int first = static_cast<int>(static_cast<std::ptrdiff_t>(tape.T_) * piece / pieces);
    const int steps = static_cast<int>(static_cast<std::ptrdiff_t>(tape.T_) * (piece + 1) / pieces) - first;
    for (int d = 0; d < spec().directions(); ++d) {
      const Rows<const T> da = as_const(in_scan_order(back[d].da.rows(0), tape.T_, d == 1));
      weights.ops().gemm(product<T>(steps * tape.B, part(da, first, 0, da.batch), weights.backward(layer, d).ih, 0, K,
                                    part(dx, first, 0, dx.batch), nullptr, d > 0));
    }
  });
}

// The sums run over all steps from the last to the first: the order in which a scan in reverse meets them, so that
// one that recomputes its steps piece by piece can make the same bits.
template <class T> void LayerBackward<T>::parameters(T* const* gradient) const {
  const int H = spec().hidden_size, G = spec().gates(), P = spec().recurrent_size(), I = spec().layer_input_size(layer);
  Tasks tasks;
  for (int d = 0; d < spec().directions(); ++d) {
    const auto& da = back[d].da;
    const Rows<const T> all = last_to_first(da.rows(0));
    const Rows<const T> x = as_const(in_scan_order(tape.input[layer].rows(0), tape.T_, d == 0));
    matrix(tasks, all, G * H, x, I, *gradient++);
    T* const dweight_hh = *gradient++;
    int done = 0;
    for (const HiddenSlots& range : spec().hidden_slots()) {
      const Rows<const T> input = last_to_first(range.of_rh ? columns(kept(d).gates.rows(0), 3 * H) : kept(d).h.rows(0));
      matrix(tasks, columns(all, static_cast<std::ptrdiff_t>(range.slot) * H), range.gates * H, input, P,
             dweight_hh + static_cast<std::ptrdiff_t>(done) * H * P);
      done += range.gates;
    }
    if (spec().bias) gradient += 2, tasks.push_back([=, this] { biases(all, gradient[-2], gradient[-1]); });
    if (spec().proj_size)
      matrix(tasks, last_to_first(back[d].dproj.rows(0)), P, last_to_first(kept(d).m.rows(0)), H, *gradient++);
  }
  for_each(static_cast<int>(tasks.size()), [&](int i) {
    const IeeeMode mode;
    tasks[i]();
  });
}

// c [M,N] = sum over all rows of a^T b, cut among the threads by rows of c.
template <class T>
void LayerBackward<T>::matrix(Tasks& tasks, Rows<const T> a, int M, Rows<const T> b, int N, T* c) const {
  const int K = tape.T_ * tape.B;
  const int pieces = std::min(threads_for(static_cast<double>(K) * M * N), M);
  for (int piece = 0; piece < pieces; ++piece) {
    const int first = static_cast<int>(static_cast<std::ptrdiff_t>(M) * piece / pieces);
    const int rows = static_cast<int>(static_cast<std::ptrdiff_t>(M) * (piece + 1) / pieces) - first;
    Outer<T> o = {rows, N, K, columns(a, first), b, c + static_cast<std::ptrdiff_t>(first) * N, N, 1, false, nullptr};
    if (2 * N < weights.ops().lanes && N < rows) {  // few columns would leave most lanes idle: transpose
      std::swap(o.M, o.N);
      std::swap(o.a, o.b);
      std::swap(o.c_row, o.c_column);
    }
    // Allocated here: a task has nobody to throw to.
    auto scratch = std::make_shared<Buffer<T>>(weights.ops().outer_scratch(o.N));
    o.scratch = scratch->data();
    tasks.push_back([o, scratch, &ops = weights.ops()] { ops.outer(o); });
  }
}

// db_ih sums the first G slots; db_hh the hidden ones: the same numbers but for the GRU candidate's own sum.
template <class T> void LayerBackward<T>::biases(Rows<const T> da, T* dbias_ih, T* dbias_hh) const {
  const int H = spec().hidden_size, G = spec().gates(), M = tape.T_ * tape.B;
  weights.ops().column_sums(da, M, G * H, dbias_ih);
  for (const auto& [slot, gates, of_rh] : spec().hidden_slots()) {
    if (slot + gates <= G) std::copy_n(dbias_ih + slot * H, gates * H, dbias_hh);
    else weights.ops().column_sums(columns(da, static_cast<std::ptrdiff_t>(slot) * H), M, gates * H, dbias_hh);
    dbias_hh += gates * H;
  }
}

}  // namespace

template <class T> void backward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& gradients) {
  const Spec& spec = weights.spec();
  const std::size_t per_layer = gradients.parameters.size() / spec.num_layers;
  Rows<const T> dy = gradients.dy;
  StepBuffer<T> between;  // gradient of a layer's input, the output of the one below
  for (int layer = spec.num_layers - 1; layer >= 0; --layer) {
    LayerBackward<T> back{weights, tape, gradients, layer};
    back.scan(dy);
    if (layer) between = StepBuffer<T>(tape.T_, tape.B, spec.output_size());
    back.inputs(layer ? between.rows(0) : gradients.dx);
    if (layer && !tape.mask.empty()) multiply(between, tape.mask[layer - 1]);
    back.parameters(gradients.parameters.data() + layer * per_layer);
    dy = as_const(between.rows(0));
  }
}

template void backward(const Weights<float>&, const Tape<float>&, const Gradients<float>&);
template void backward(const Weights<double>&, const Tape<double>&, const Gradients<double>&);

}  // namespace pyrnn
