#include "runtime/sequence.h"

#include "runtime/ieee.h"

namespace pyrnn {
namespace {

// Zero where there is no source.
template <class T> void copy_rows(const T* from, T* to, std::size_t elements) {
  from ? std::copy_n(from, elements, to) : std::fill_n(to, elements, T(0));
}

}  // namespace

template <class T> void SequenceForward<T>::run(int first, int count) const noexcept {
  if (count == 0) return;
  const IeeeMode mode;
  const Spec& spec = weights.spec();
  const std::size_t P = spec.recurrent_size(), H = spec.hidden_size;
  copy_rows(h0 ? h0 + first * P : nullptr, tape.h.at(0, first), count * P);
  if (cT) copy_rows(c0 ? c0 + first * H : nullptr, tape.c.at(0, first), count * H);
  for (int t = 0; t < steps; ++t) {
    if (t % block == 0) project_inputs(t, first, count);
    step(t, first, count);
  }
  copy_rows<T>(tape.h.at(steps, first), hT + first * P, count * P);
  if (cT) copy_rows<T>(tape.c.at(steps, first), cT + first * H, count * H);
}

// gates[t .. t+block) = bias + W_ih x
template <class T> void SequenceForward<T>::project_inputs(int t, int first, int count) const noexcept {
  const auto& packed = weights.forward(layer, direction);
  const int blocked = std::min(block, steps - t);
  weights.ops().gemm(product<T>(blocked * count, part(x, t, first, count), packed.ih, 0, packed.ih.rows,
                                tape.gates.rows(t, first, count), packed.bias.data(), false));
}

template <class T> void SequenceForward<T>::step(int t, int first, int count) const noexcept {
  const Spec& spec = weights.spec();
  const auto& packed = weights.forward(layer, direction);
  const int H = spec.hidden_size, P = spec.recurrent_size();
  const Rows<T> out = part(y, t, first, count);
  const bool projected = spec.proj_size > 0;
  weights.cell().forward({.B = count,
                          .H = H,
                          .P = P,
                          .weight_hh = packed.hh.data(),
                          .bias_hh = packed.bias_hh.data(),
                          .gates = tape.gates.at(t, first),
                          .gates_stride = tape.gates.width,
                          .keep = keep,
                          .h_prev = tape.h.at(t, first),
                          .c_prev = cT ? tape.c.at(t, first) : nullptr,
                          .h = projected ? tape.m.at(t, first) : tape.h.at(t + 1, first),
                          .c = cT ? tape.c.at(t + 1, first) : nullptr,
                          .y = projected ? nullptr : out.data,
                          .h_prev_stride = P,
                          .h_stride = projected ? H : P,
                          .y_stride = out.row_stride});
  if (!projected) return;
  const Rows<T> h = tape.h.rows(t + 1, first, count);
  weights.ops().gemm(product<T>(count, as_const(tape.m.rows(t, first, count)), packed.hr, 0, H, h, nullptr, false));
  for (int row = 0; row < count; ++row) std::copy_n(h.data + row * h.row_stride, P, out.data + row * out.row_stride);
}

template <class T> void SequenceBackward<T>::run(int first, int count) const noexcept {
  if (count == 0) return;
  const IeeeMode mode;
  const Spec& spec = weights.spec();
  const std::size_t P = spec.recurrent_size(), H = spec.hidden_size;
  copy_rows(dhT ? dhT + first * P : nullptr, dh.at(0, first), count * P);
  if (direct.width) copy_rows<T>(nullptr, direct.at(0, first), count * H);
  if (dc.width) copy_rows(dcT ? dcT + first * H : nullptr, dc.at(0, first), count * H);
  for (int t = steps - 1; t >= 0; --t) step(t, first, count);
  const T *const product = dh.at(0, first), *const past = direct.width ? direct.at(0, first) : nullptr;
  for (std::size_t i = 0; i < count * P; ++i) dh0[first * P + i] = past ? past[i] + product[i] : product[i];
  if (dc0) copy_rows<T>(dc.at(0, first), dc0 + first * H, count * H);
}

template <class T> void SequenceBackward<T>::step(int t, int first, int count) const noexcept {
  const Spec& spec = weights.spec();
  const int H = spec.hidden_size, P = spec.recurrent_size();
  Rows<const T> out = dy.data ? part(dy, t, first, count) : Rows<const T>{};
  if (spec.proj_size) {  // through W_hr first: the cell sees the gradient of o tanh(c)
    const Rows<T> total = dproj.rows(t, first, count);
    for (int row = 0; row < count; ++row)
      for (int p = 0; p < P; ++p)
        total.data[row * P + p] = dh.at(0, first + row)[p] + (out.data ? out.data[row * out.row_stride + p] : T(0));
    weights.ops().gemm(product<T>(count, as_const(total), weights.backward(layer, direction).hr, 0, P,
                                  dm.rows(0, first, count), nullptr, false));
    out = {};
  }
  StepBackward<T> s = {.B = count,
                       .H = H,
                       .gates = tape.gates.at(t, first),
                       .da = da.at(t, first),
                       .gates_stride = tape.gates.width,
                       .da_stride = da.width,
                       .h_prev = tape.h.at(t, first),
                       .c_prev = spec.has_cell_state() ? tape.c.at(t, first) : nullptr,
                       .c = spec.has_cell_state() ? tape.c.at(t + 1, first) : nullptr,
                       .h_prev_stride = P,
                       .product = (spec.proj_size ? dm : dh).at(0, first),
                       .dy = out.data,
                       .direct = direct.width ? direct.at(0, first) : nullptr,
                       .dc = dc.width ? dc.at(0, first) : nullptr,
                       .dy_stride = out.row_stride};
  weights.cell().backward(s);
  if (weights.cell().backward_reset) {
    const Rows<const T> dn = {s.da + 2 * H, 0, da.width, count};
    weights.ops().gemm(product<T>(count, dn, weights.backward(layer, direction).hh, 2 * H, H, dc.rows(0, first, count),
                                  nullptr, false));
    s.product = s.dy = nullptr;
    weights.cell().backward_reset(s);
  }
  recurrent_product(t, first, count);
}

// dh = da W_hh, over the gates that saw h, in the order of W_hh's rows.
template <class T> void SequenceBackward<T>::recurrent_product(int t, int first, int count) const noexcept {
  const Spec& spec = weights.spec();
  const auto& hh = weights.backward(layer, direction).hh;
  int done = 0;
  for (const HiddenSlots& range : spec.hidden_slots()) {
    if (range.of_rh) continue;  // went through r in the step
    const int rows = range.gates * spec.hidden_size;
    const Rows<const T> a = {da.at(t, first) + range.slot * spec.hidden_size, 0, da.width, count};
    weights.ops().gemm(product<T>(count, a, hh, done, rows, dh.rows(0, first, count), nullptr, done > 0));
    done += rows;
  }
}

template struct SequenceForward<float>;
template struct SequenceForward<double>;
template struct SequenceBackward<float>;
template struct SequenceBackward<double>;

}  // namespace pyrnn
