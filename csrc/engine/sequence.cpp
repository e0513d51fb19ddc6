#include "engine/sequence.h"

#include "threads/ieee.h"
#include "threads/parallel.h"

namespace pyrnn {
namespace {

template <class T> const T* row_of(const T* data, std::size_t row, int width) {
  return data ? data + row * width : nullptr;
}

// Returns the rows of the single step that `rows` starts with.
template <class T> Rows<T> one_step(Rows<T> rows, const RowAt* list) noexcept {
  rows.step_stride = 0;
  rows.list = list;
  return rows;
}

// Returns the hidden units of one member of a team.
Units units_of(const Team& team, int H, int granule) noexcept {
  const int granules = (H + granule - 1) / granule;
  return {cut(granules, team.member, team.members) * granule,
          std::min(cut(granules, team.member + 1, team.members) * granule, H)};
}

}  // namespace

template <class T> void SequenceForward<T>::run(int first, int count, const Team& team) const {
  if (count == 0) return;
  const IeeeMode mode;
  const Spec& spec = sequence.weights.spec();
  const LayerTape<T>& tape = sequence.tape;
  const std::size_t P = spec.recurrent_size(), H = spec.hidden_size;
  const int block = team.block ? std::min(team.block, tape.block) : tape.block;
  const bool fused = is_fused(count);
  StepForward<T> s = sequence.weights.step(sequence.layer, sequence.direction);
  s.gates_stride = tape.gates.width;
  s.keep = keep;
  s.scratch = scratch(first);
  s.units = units_of(team, spec.hidden_size, sequence.weights.ops().lanes);
  ActiveRows rows(sequence.options.active, first, count,
                  tape.listed.data() + static_cast<std::ptrdiff_t>(first) * tape.block);
  if (team.member == 0) {
    copy_or_zero(row_of(initial.h, first, P), tape.h.at(0, first), count * P);
    if (tape.c) copy_or_zero(row_of(initial.c, first, H), tape.c.at(0, first), count * H);
  }
  team.synchronize();
  for (int t = 0; t < sequence.steps; ++t) {
    if (t % block == 0) {
      const int end = std::min(t + block, sequence.steps);
      rows.fill(t, end);
      team.await(end);
      if (!fused) project_inputs(t, end, first, count, rows, s.units);
    }
    if (sequence.options.reset.data) reset(t, first, count);
    if (rows.count(t, t + 1)) step(s, t, t % block, first, count, rows, fused);
    finish_rows(t, first, count);
    team.synchronize();
    team.done(t + 1);
  }
  if (team.member > 0) return;
  std::copy_n(tape.h.at(sequence.steps, first), count * P, final.h + first * P);
  if (tape.c) std::copy_n(tape.c.at(sequence.steps, first), count * H, final.c + first * H);
}

// Returns whether a step computes the inputs' part of its sums itself (is fused). One product for several steps reads
// W_ih less often; a fused step keeps the sums in registers. With 8 rows the fused step is 4 % faster if all weights
// fit into a 1 MB L2 (LSTM, H = 128), and up to 10 % slower if they do not (GRU, H = 512); from 16 rows on it is never
// slower.
template <class T> bool SequenceForward<T>::is_fused(int count) const noexcept {
  const Spec& spec = sequence.weights.spec();
  const double bytes = sizeof(T) * static_cast<double>(spec.gates()) * spec.hidden_size *
                       (spec.layer_input_size(sequence.layer) + spec.recurrent_size());
  return std::min(sequence.tape.block, sequence.steps) == 1 || count >= (bytes < 1e6 ? 8 : 16);
}

// Writes gates[t .. end) = bias + W_ih x.
template <class T>
void SequenceForward<T>::project_inputs(int t, int end, int first, int count, const ActiveRows& rows,
                                        Units units) const noexcept {
  const auto& packed = sequence.weights.forward(sequence.layer, sequence.direction);
  const Spec& spec = sequence.weights.spec();
  sequence.weights.cell().project({.M = rows.count(t, end),
                                   .I = spec.layer_input_size(sequence.layer),
                                   .H = spec.hidden_size,
                                   .units = units,
                                   .x = only(part(x, t, first, count), rows.from(t)),
                                   .weight_ih = packed.ih.data(),
                                   .bias = packed.bias.data(),
                                   .gates = only(sequence.tape.gates.rows(keep ? t : 0, first, count), rows.from(t)),
                                   .scratch = scratch(first)});
}

template <class T> void SequenceForward<T>::reset(int t, int first, int count) const noexcept {
  const LayerTape<T>& tape = sequence.tape;
  const auto& [active, hold, flags, to] = sequence.options;
  for (int row = first; row < first + count; ++row) {
    if (!flag(flags, t, row)) continue;
    copy_or_zero(row_of(to.h, row, tape.h.width), tape.h.at(t, row), tape.h.width);
    if (tape.c) copy_or_zero(row_of(to.c, row, tape.c.width), tape.c.at(t, row), tape.c.width);
  }
}

template <class T>
void SequenceForward<T>::step(StepForward<T>& s, int t, int in_block, int first, int count, const ActiveRows& rows,
                              bool fused) const noexcept {
  const LayerTape<T>& tape = sequence.tape;
  const int active = rows.count(t, t + 1);
  const RowAt* const list = rows.from(t);
  const Rows<T> out = part(y, t, first, count);
  const bool projected = tape.m.width > 0;
  s.B = active;
  s.rows = list;
  s.x = fused ? part(x, t, first, count).data : nullptr;
  s.x_stride = x.row_stride;
  s.gates = tape.gates.at(keep ? t : in_block, first);
  s.h_prev = tape.h.at(t, first);
  s.c_prev = tape.c.at(t, first);
  s.h = projected ? tape.m.at(t, first) : tape.h.at(t + 1, first);
  s.c = tape.c.at(t + 1, first);
  s.y = projected ? nullptr : out.data;
  s.y_stride = out.row_stride;
  sequence.weights.cell().forward(s);
  if (!projected) return;
  const Rows<T> h = tape.h.rows(t + 1, first, count);
  const auto& hr = sequence.weights.forward(sequence.layer, sequence.direction).hr;
  sequence.weights.ops().gemm(product<T>(active, as_const(one_step(tape.m.rows(t, first, count), list)), hr, 0, s.H,
                                         one_step(h, list), nullptr, false));
  for (int i = 0; i < active; ++i) {
    const int row = list ? list[i].row : i;
    std::copy_n(h.data + row * h.row_stride, s.P, out.data + row * out.row_stride);
  }
}

// Copies the state of inactive rows to the next step, and copies the cell states to the caller if c_all is given.
template <class T> void SequenceForward<T>::finish_rows(int t, int first, int count) const noexcept {
  const LayerTape<T>& tape = sequence.tape;
  const Flags& active = sequence.options.active;
  if (!active.data && !c_all.data) return;
  for (int row = first; row < first + count; ++row) {
    const bool sat_out = active.data && !flag(active, t, row), shown = !sat_out || sequence.options.hold;
    if (sat_out) {
      std::copy_n(tape.h.at(t, row), tape.h.width, tape.h.at(t + 1, row));
      if (tape.c && tape.c.steps > 1) std::copy_n(tape.c.at(t, row), tape.c.width, tape.c.at(t + 1, row));
      copy_or_zero(shown ? tape.h.at(t, row) : nullptr, part(y, t, row, 1).data, tape.h.width);
    }
    if (c_all.data) copy_or_zero(shown ? tape.c.at(t + 1, row) : nullptr, part(c_all, t, row, 1).data, tape.c.width);
  }
}

template <class T> void SequenceBackward<T>::run(int first, int count, const Team& team) const {
  if (count == 0) return;
  const IeeeMode mode;
  const Units units = units_of(team, sequence.weights.spec().hidden_size, sequence.weights.ops().panel_columns);
  const Buffer<RowAt> list = sequence.options.active.data ? Buffer<RowAt>(count) : Buffer<RowAt>();
  ActiveRows rows(sequence.options.active, first, count, list.data());
  for (int t = sequence.steps - 1; t >= 0; --t) {
    rows.fill(t, t + 1);
    before_step(t, first, count);
    if (rows.count(t, t + 1)) step(t, first, count, rows, team, units);
    if (sequence.options.reset.data) cut_at_resets(t, first, count);
  }
}

// Adds the gradients that reach the state from outside of the step: that of a held output, and that of the cell states
// given to the caller.
template <class T> void SequenceBackward<T>::before_step(int t, int first, int count) const noexcept {
  const auto& [active, hold, reset, reset_to] = sequence.options;
  const auto add = [](const T* from, T* to_, int n) {
    for (int i = 0; i < n; ++i) to_[i] += from[i];
  };
  for (int row = first; row < first + count && (active.data || dc_all.data); ++row) {
    const bool sat_out = active.data && !flag(active, t, row);
    if (sat_out && !hold) continue;
    if (sat_out && dy.data) add(part(dy, t, row, 1).data, to.dh.at(0, row), to.dh.width);
    if (dc_all.data) add(part(dc_all, t, row, 1).data, to.dc.at(0, row), to.dc.width);
  }
}

template <class T>
void SequenceBackward<T>::step(int t, int first, int count, const ActiveRows& rows, const Team& team,
                               Units units) const noexcept {
  const Spec& spec = sequence.weights.spec();
  const LayerTape<T>& tape = sequence.tape;
  const int H = spec.hidden_size, P = spec.recurrent_size(), active = rows.count(t, t + 1);
  const auto& hh = sequence.weights.backward(sequence.layer, sequence.direction).hh;
  if (spec.proj_size) project_back(t, first, count, rows);
  const Rows<const T> out = spec.proj_size || !dy.data ? Rows<const T>{} : part(dy, t, first, count);
  StepBackward<T> s = {.B = active,
                       .H = H,
                       .units = units,
                       .rows = rows.from(t),
                       .options = sequence.weights.options(sequence.layer, sequence.direction),
                       .gates = tape.gates.at(kept_from + t, first),
                       .da = to.da.at(t, first),
                       .gates_stride = tape.gates.width,
                       .da_stride = to.da.width,
                       .h_prev = tape.h.at(kept_from + t, first),
                       .c_prev = tape.c.at(kept_from + t, first),
                       .h_prev_stride = P,
                       .product = (spec.proj_size ? to.dm : to.dh).at(0, first),
                       .dy = out.data,
                       .direct = to.direct.at(0, first),
                       .dc = to.dc.at(0, first),
                       .dy_stride = out.row_stride,
                       .dh_total = to.dh_total.at(t, first),
                       .dc_total = to.dc_total.at(t, first)};
  sequence.weights.cell().backward(s);
  if (sequence.weights.cell().backward_first) {
    const HiddenSlots &first_stage = spec.hidden_slots()[0], &second = spec.hidden_slots()[1];
    const Rows<T> dn = {s.da + second.slot * H, 0, to.da.width, count};
    sequence.weights.ops().gemm(product<T>(active, as_const(one_step(dn, s.rows)), hh, first_stage.gates * H,
                                           second.gates * H, one_step(to.dc.rows(0, first, count), s.rows), nullptr,
                                           false));
    s.product = s.dy = nullptr;
    s.dh_total = nullptr;
    sequence.weights.cell().backward_first(s);
  }
  // Now da is complete. A member reads only the dh that it wrote itself, so one synchronization per step suffices.
  team.synchronize();
  recurrent_product(t, first, count, rows, units);
}

// Propagates the gradient of the projected h through W_hr, to the gradient of o tanh(c).
template <class T>
void SequenceBackward<T>::project_back(int t, int first, int count, const ActiveRows& rows) const noexcept {
  const int P = sequence.weights.spec().recurrent_size(), active = rows.count(t, t + 1);
  const RowAt* const list = rows.from(t);
  for (int i = 0; i < active; ++i) {
    const int row = first + (list ? list[i].row : i);
    T* const total = to.dproj.at(t, row);
    const T* const out = dy.data ? part(dy, t, row, 1).data : nullptr;
    for (int p = 0; p < P; ++p) total[p] = to.dh.at(0, row)[p] + (out ? out[p] : T(0));
  }
  sequence.weights.ops().gemm(product<T>(active, as_const(one_step(to.dproj.rows(t, first, count), list)),
                                         sequence.weights.backward(sequence.layer, sequence.direction).hr, 0, P,
                                         one_step(to.dm.rows(0, first, count), list), nullptr, false));
}

// Computes dh = da W_hh, summed over the gates that have h as their input, in the order of W_hh's rows.
template <class T>
void SequenceBackward<T>::recurrent_product(int t, int first, int count, const ActiveRows& rows,
                                            Units units) const noexcept {
  const Spec& spec = sequence.weights.spec();
  const auto& hh = sequence.weights.backward(sequence.layer, sequence.direction).hh;
  const RowAt* const list = rows.from(t);
  int done = 0;
  for (const HiddenSlots& range : spec.hidden_slots()) {
    if (range.input >= 0) continue;  // `step` has handled r h
    const int K = range.gates * spec.hidden_size;
    const Rows<T> a = {to.da.at(t, first) + range.slot * spec.hidden_size, 0, to.da.width, count};
    Gemm<T> dh = product<T>(rows.count(t, t + 1), as_const(one_step(a, list)), hh, done, K,
                            one_step(to.dh.rows(0, first, count), list), nullptr, done > 0);
    if (!spec.proj_size) {
      dh.b += static_cast<std::ptrdiff_t>(units.first) * hh.rows;
      dh.c.data += units.first;
      dh.N = units.end - units.first;
    }
    sequence.weights.ops().gemm(dh);
    done += K;
  }
}

// Moves the gradient of the state before a reset to the gradient of the reset state.
template <class T> void SequenceBackward<T>::cut_at_resets(int t, int first, int count) const noexcept {
  for (int row = first; row < first + count; ++row) {
    if (!flag(sequence.options.reset, t, row)) continue;
    const auto move = [row](const StepBuffer<T>& from, T* to_) {
      for (int i = 0; i < from.width; ++i) {
        if (to_) to_[static_cast<std::size_t>(row) * from.width + i] += from.at(0, row)[i];
        from.at(0, row)[i] = T(0);
      }
    };
    move(to.direct, dreset.h);
    move(to.dh, dreset.h);
    if (sequence.tape.c) move(to.dc, dreset.c);
  }
}

template struct SequenceForward<float>;
template struct SequenceForward<double>;
template struct SequenceBackward<float>;
template struct SequenceBackward<double>;

}  // namespace pyrnn
