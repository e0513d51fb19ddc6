#include "engine/gradients.h"
#include "engine/layer.h"
#include "engine/stack.h"

namespace pyrnn {
namespace {

// Steps [from, from + length) of a scan, which backward computes at once: those between two checkpoints, or enough of
// them to fill a block of the products with rows.
struct Segment {
  int from, length;
};

// The backward pass of one layer. For each segment, the last first: the scan in reverse, then dx, then the parameters.
//
// The sums of the parameters' gradients run over all steps from the last to the first, and over rows in order. The
// scan has the same order, so a tape with checkpoints gives the same bits as a full tape.
template <class T> class LayerBackward {
 public:
  LayerBackward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& out, int layer, Rows<const T> dy,
                Rows<T> dx)
      : weights_(weights),
        tape_(tape),
        out_(out),
        layer_(layer),
        dy_(dy),
        dx_(dx),
        spec_(weights.spec()),
        every_(tape.every ? tape.every : steps_at_once()) {
    for (int d = 0; d < spec_.directions(); ++d) start(d);
    if (tape.options.active.data && dx_.data) clear(dx_);
  }
  void run();

 private:
  int index(int d) const { return layer_ * spec_.directions() + d; }
  int steps_at_once() const;
  bool in_segments() const { return every_ < tape_.T_ || tape_.every; }
  void start(int d);
  void finish(int d);
  void clear(Rows<T> rows) const;
  bool dense() const { return !tape_.options.active.data; }
  void recompute(const Segment& s, int d);
  void scan(const Segment& s, int from, int to);
  void inputs(const Segment& s, int from, int to) const;
  void parameters(const Segment& s, int from, int to);
  void direction_parameters(Tasks& tasks, const Segment& s, int d);
  const LayerTape<T>& kept(int d) const { return tape_.every ? recomputed_[d] : tape_.direction[index(d)]; }
  int kept_from(const Segment& s) const { return tape_.every ? 0 : s.from; }
  Rows<const T> input() const { return layer_ ? as_const(tape_.input[layer_].rows(0)) : tape_.x; }
  // Flags or sequences in scan order, from the segment on.
  template <class R> R here(R rows, const Segment& s, int d) const {
    return part(in_scan_order(rows, tape_.T_, d == 1), s.from, 0, rows.batch);
  }

  const Weights<T>& weights_;
  const Tape<T>& tape_;
  const Gradients<T>& out_;
  const int layer_;
  const Rows<const T> dy_;
  const Rows<T> dx_;
  const Spec& spec_;
  const int every_;  // steps of a segment
  std::vector<BackwardBuffers<T>> to_;
  std::vector<LayerTape<T>> recomputed_;  // with checkpoints: the recomputed steps of a segment
  std::vector<Buffer<T>> lost_;           // the `lost` of the bias gradients' column_sums (kernels/rows.h)
  std::vector<ListedRows> listed_;            // the active rows of a segment, the last step first
};

// The products run block by block right after the scan, so `da` is still in the cache and is never stored whole: one
// scan over all steps made backward a fifth slower at T = 100, B = 128, H = 64. If blocks would leave threads idle,
// all steps are one.
template <class T> int LayerBackward<T>::steps_at_once() const {
  constexpr int rows_a_thread = 1024;  // a block of Outer
  const int B = std::max(tape_.B, 1), threads = num_threads();
  if (!out_.states.empty() || (spec_.directions() > 1 && threads > 1 && B < least_rows * threads)) return tape_.T_;
  return std::clamp(rows_a_thread * threads / B, 1, std::max(tape_.T_, 1));
}

// Allocates the buffers, with the gradients of the final state.
template <class T> void LayerBackward<T>::start(int d) {
  const int H = spec_.hidden_size, P = spec_.recurrent_size(), B = tape_.B;
  const int steps = std::min(every_, tape_.T_);
  BackwardBuffers<T> to;
  to.da = StepBuffer<T>(steps, B, spec_.cell->sums * H);
  to.dh = StepBuffer<T>(1, B, P);
  if (spec_.cell->passes_state) to.direct = StepBuffer<T>(1, B, H);
  if (spec_.proj_size) to.dproj = StepBuffer<T>(steps, B, P), to.dm = StepBuffer<T>(1, B, H);
  if (spec_.has_cell_state() || spec_.cell->has_second_product()) to.dc = StepBuffer<T>(1, B, H);
  if (!out_.states.empty()) {
    to.dh_total = StepBuffer<T>(steps, B, H);
    if (spec_.has_cell_state()) to.dc_total = StepBuffer<T>(steps, B, H);
    for (const StepBuffer<T>* each : {&to.dh_total, &to.dc_total, &to.dproj})  // inactive rows stay zero
      copy_or_zero<T>(nullptr, each->at(0), each->size());
  }
  const State<const T> final = layer_part(out_.dfinal, spec_, index(d), B);
  copy_or_zero(final.h, to.dh.at(0), to.dh.size());
  copy_or_zero<T>(nullptr, to.direct.at(0), to.direct.size());
  copy_or_zero(spec_.has_cell_state() ? final.c : nullptr, to.dc.at(0), to.dc.size());
  if (tape_.every) recomputed_.emplace_back(spec_, steps, B, true);
  to_.push_back(std::move(to));
  lost_.emplace_back(static_cast<std::size_t>(spec_.gates() + 1) * H);
  listed_.emplace_back();
}

// Writes the gradients of the initial state, and those of all states if the caller wants them.
template <class T> void LayerBackward<T>::finish(int d) {
  const BackwardBuffers<T>& to = to_[d];
  const State<T> initial = layer_part(out_.dinitial, spec_, index(d), tape_.B);
  for (std::size_t i = 0; i < to.dh.size(); ++i)
    initial.h[i] = to.direct ? to.direct.at(0)[i] + to.dh.at(0)[i] : to.dh.at(0)[i];
  if (spec_.has_cell_state()) std::copy_n(to.dc.at(0), to.dc.size(), initial.c);
  if (out_.states.empty()) return;
  const StepBuffer<T>& dh = spec_.proj_size ? to.dproj : to.dh_total;
  std::copy_n(dh.data.data(), dh.size(), out_.states[index(d)].h);
  if (to.dc_total) std::copy_n(to.dc_total.data.data(), to.dc_total.size(), out_.states[index(d)].c);
}

template <class T> void LayerBackward<T>::clear(Rows<T> rows) const {
  for (int t = 0; t < tape_.T_; ++t)
    for (int b = 0; b < tape_.B; ++b) std::fill_n(part(rows, t, b, 1).data, spec_.layer_input_size(layer_), T(0));
}

template <class T> void LayerBackward<T>::run() {
  const int D = spec_.directions(), T_ = tape_.T_;
  // All directions run at once; in segments they run one by one, because the second adds its dx to the finished dx of
  // the first.
  const int together = in_segments() ? 1 : D;
  for (int d = 0; d < D; d += together) {
    for (int from = (T_ - 1) / every_ * every_; from >= 0; from -= every_) {
      const Segment s = {from, std::min(every_, T_ - from)};
      if (tape_.every) recompute(s, d);
      scan(s, d, d + together);
      if (dx_.data) inputs(s, d, d + together);
      if (!out_.parameters.empty()) parameters(s, d, d + together);
    }
  }
  for (int d = 0; d < D; ++d) finish(d);
}

// Runs the segment's forward steps again, from its checkpoint.
template <class T> void LayerBackward<T>::recompute(const Segment& s, int d) {
  const int B = tape_.B, j = s.from / tape_.every;
  StepBuffer<T> y(1, B, spec_.recurrent_size()), hT(1, B, spec_.recurrent_size()), cT(1, B, spec_.hidden_size);
  Rows<T> unread = y.rows(0);
  unread.step_stride = 0;
  const StepOptions<T> options = in_layer(tape_.options, spec_, layer_, d, tape_.T_, B, s.from);
  over_rows(spec_, layer_, d, d + 1, s.length, B, can_share(weights_, options, false, B),
            [&](int, int first, int count, const Team& team) {
              SequenceForward<T>{.sequence = {weights_, layer_, d, s.length, options, recomputed_[d]},
                                 .x = here(input(), s, d),
                                 .y = unread,
                                 .c_all = {},
                                 .initial = {tape_.h[index(d)].at(j), tape_.c[index(d)].at(j)},
                                 .final = {hT.at(0), cT.at(0)},
                                 .keep = true}
                  .run(first, count, team);
            });
}

template <class T> void LayerBackward<T>::scan(const Segment& s, int from, int to) {
  const int P = spec_.recurrent_size(), H = spec_.hidden_size, B = tape_.B;
  weights_.backward(layer_, from);  // packs them now: a team must not allocate
  over_rows(spec_, layer_, from, to, s.length, B, can_share(weights_, tape_.options, out_.dc_all.data, B),
            [&](int d, int first, int count, const Team& team) {
              const StepOptions<T> options = in_layer(tape_.options, spec_, layer_, d, tape_.T_, B, s.from);
              const bool last = layer_ + 1 == spec_.num_layers;
              SequenceBackward<T>{.sequence = {weights_, layer_, d, s.length, options, kept(d)},
                                  .dy = here(columns(dy_, static_cast<std::ptrdiff_t>(d) * P), s, d),
                                  .dc_all = last ? here(columns(out_.dc_all, static_cast<std::ptrdiff_t>(d) * H), s, d)
                                                 : Rows<const T>{},
                                  .to = to_[d],
                                  .kept_from = kept_from(s),
                                  .dreset = layer_part(out_.dreset, spec_, index(d), B)}
                  .run(first, count, team);
            });
}

// Computes dx = da W_ih, the forward direction first. Rows are independent: the threads share the steps, or the batch
// if that gives more pieces, as for the single step of a cell.
template <class T> void LayerBackward<T>::inputs(const Segment& s, int from, int to) const {
  const int I = spec_.layer_input_size(layer_), K = spec_.gates() * spec_.hidden_size, B = tape_.B;
  const int threads = threads_for(static_cast<double>(s.length) * B * (to - from) * K * I);
  const bool by_rows = s.length < threads && s.length < B / least_rows;
  const int n = by_rows ? B : s.length, pieces = std::min(threads, by_rows ? B / least_rows : s.length);
  for_each(pieces, pieces, [&](int piece) {
    const IeeeMode mode;
    const int first = cut(n, piece, pieces), count = cut(n, piece + 1, pieces) - first;
    const int row = by_rows ? first : 0, rows = by_rows ? count : B, steps = by_rows ? s.length : count;
    for (int d = from; d < to; ++d) {
      // With both directions at once, pieces are cut in the order of time, so that one piece computes both directions
      // of its rows.
      const bool by_time = d == 1 && to - from > 1;
      const int begin = by_rows ? 0 : by_time ? s.length - first - count : first;
      const auto here_of = [&](auto all) { return part(here(all, s, d), begin, row, rows); };
      const auto [M, list] = listed_rows(here_of(tape_.options.active), steps, rows, false);
      const RowAt* const active = dense() ? nullptr : list.data();
      weights_.ops().gemm(product<T>(M, only(as_const(to_[d].da.rows(begin, row, rows)), active),
                                     weights_.backward(layer_, d).ih, 0, K, only(here_of(dx_), active), nullptr,
                                     d > 0));
    }
  });
}

template <class T> void LayerBackward<T>::parameters(const Segment& s, int from, int to) {
  Tasks tasks;
  for (int d = from; d < to; ++d) direction_parameters(tasks, s, d);
  const double work = work_of(spec_, layer_, to - from, s.length, tape_.B);
  for_each(static_cast<int>(tasks.size()), threads_for(work), [&](int i) {
    const IeeeMode mode;
    tasks[i]();
  });
}

template <class T> void LayerBackward<T>::direction_parameters(Tasks& tasks, const Segment& s, int d) {
  const int H = spec_.hidden_size, G = spec_.gates(), P = spec_.recurrent_size(), I = spec_.layer_input_size(layer_);
  const bool resume = s.from + s.length < tape_.T_;
  const std::size_t per_direction = out_.parameters.size() / (spec_.num_layers * spec_.directions());
  T* const* gradient = out_.parameters.data() + index(d) * per_direction;
  const auto& [K, list] = listed_[d] = listed_rows(here(tape_.options.active, s, d), s.length, tape_.B, true);
  const auto last_first = [&, rows = dense() ? nullptr : list.data()](auto all) {
    return only(as_const(in_scan_order(all, s.length, true)), rows);
  };
  const Rows<const T> da = last_first(to_[d].da.rows(0)), h = last_first(kept(d).h.rows(kept_from(s)));
  const auto sums = [&](int slot) { return columns(da, static_cast<std::ptrdiff_t>(slot) * H); };
  const auto slot = [&](int n) {
    return last_first(columns(kept(d).gates.rows(kept_from(s)), static_cast<std::ptrdiff_t>(n) * H));
  };
  const auto matrices = [&](Rows<const T> a, int M, Right<T> first, Right<T> second = {}) {
    add_matrices(tasks, weights_.ops(), {M, K, a, {first, second}, resume, nullptr});
  };
  const auto dweight_ih = [&, x = last_first(here(input(), s, d)), to = *gradient](int slot_) {
    return Right<T>{I, x, to + static_cast<std::ptrdiff_t>(slot_) * H * I, I, 1};
  };
  T* dweight_hh = gradient[1];
  gradient += 2;
  int done = 0;  // slots of dweight_ih that a product with dweight_hh has computed, from the same da
  for (const HiddenSlots& range : spec_.hidden_slots()) {
    const bool shared = spec_.has_input(range);
    matrices(sums(range.slot), range.gates * H, {P, range.input < 0 ? h : slot(range.input), dweight_hh, P, 1},
             shared ? dweight_ih(range.slot) : Right<T>{});
    dweight_hh += static_cast<std::ptrdiff_t>(range.gates) * H * P;
    if (shared) done = range.slot + range.gates;
  }
  if (done < G) matrices(sums(done), (G - done) * H, dweight_ih(done));
  if (spec_.bias) {
    gradient += 2;
    tasks.push_back([=, this, M = K, lost = lost_[d].data()] {
      sum_biases(weights_.ops(), spec_, da, M, gradient[-2], gradient[-1], lost, resume);
    });
  }
  if (spec_.peephole) {
    T* const dp = *gradient++;
    const Rows<const T> before = last_first(kept(d).c.rows(kept_from(s))), after = slot(spec_.slot("c"));
    tasks.push_back(
        [=, this, M = K, di = sums(spec_.slot("i")), df = sums(spec_.slot("f")), d_o = sums(spec_.slot("o"))] {
          const auto dots = weights_.ops().column_dots;
          dots(di, before, M, H, resume, dp + static_cast<int>(Peephole::i) * H);
          dots(d_o, after, M, H, resume, dp + static_cast<int>(Peephole::o) * H);
          dots(df, before, M, H, resume, dp + static_cast<int>(Peephole::f) * H);
        });
  }
  if (spec_.proj_size)
    matrices(last_first(to_[d].dproj.rows(0)), P, {H, last_first(kept(d).m.rows(kept_from(s))), *gradient++, H, 1});
}

}  // namespace

template <class T> void backward(const Weights<T>& weights, const Tape<T>& tape, const Gradients<T>& gradients) {
  const IeeeMode mode;
  const Spec& spec = weights.spec();
  Rows<const T> dy = gradients.dy;
  StepBuffer<T> between;  // the gradient of a layer's input, which is the output of the layer below
  for (int layer = spec.num_layers - 1; layer >= 0; --layer) {
    StepBuffer<T> below = layer ? StepBuffer<T>(tape.T_, tape.B, spec.output_size()) : StepBuffer<T>();
    LayerBackward<T>(weights, tape, gradients, layer, dy, layer ? below.rows(0) : gradients.dx).run();
    if (layer && !tape.mask.empty()) multiply(below, tape.mask[layer - 1].at(0));
    between = std::move(below);
    dy = as_const(between.rows(0));
  }
}

template void backward(const Weights<float>&, const Tape<float>&, const Gradients<float>&);
template void backward(const Weights<double>&, const Tape<double>&, const Gradients<double>&);

}  // namespace pyrnn
