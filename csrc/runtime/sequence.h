// One direction of one layer over all time steps: cell -> layer.
//
//   forward   (x, h0, c0) -> (y, hT, cT)                  a scan; W_ih x for a block of steps is one product
//   backward  (dy, dhT, dcT) -> (da, dh0, dc0)            the scan in reverse; da are the gradients of the sums
//   gradients (da, x, tape) -> dweights, dbiases          products over all steps at once, after the scan
//
// Rows of the batch are independent: a call works on rows [first, first + count), so threads may share a batch.
#pragma once

#include "runtime/tape.h"
#include "runtime/weights.h"

namespace pyrnn {

template <class T> Rows<T> in_scan_order(Rows<T> rows, int steps, bool reverse) noexcept {
  return reverse ? Rows<T>{rows.data + (steps - 1) * rows.step_stride, -rows.step_stride, rows.row_stride, rows.batch}
                 : rows;
}

template <class T> Rows<const T> as_const(Rows<T> r) noexcept {
  return {r.data, r.step_stride, r.row_stride, r.batch};
}

// Rows first .. first + count of the batch, from `step` on.
template <class T> Rows<T> part(Rows<T> rows, int step, int first, int count) noexcept {
  return {rows.data + step * rows.step_stride + first * rows.row_stride, rows.step_stride, rows.row_stride, count};
}

template <class T> Rows<T> columns(Rows<T> rows, std::ptrdiff_t first) noexcept {
  rows.data += first;
  return rows;
}

template <class T>
Gemm<T> product(int M, Rows<const T> a, const PackedMatrix<T>& b, int b_first, int K, Rows<T> c, const T* bias,
                bool accumulate) noexcept {
  return {M, b.columns, K, a, b.data.data(), b.rows, b_first, bias, accumulate, c};
}

template <class T> struct SequenceForward {
  const Weights<T>& weights;
  int layer, direction;
  int steps;
  Rows<const T> x;             // [T,B,I] in scan order
  Rows<T> y;                   // [T,B,P] in scan order
  const T *h0, *c0;            // [B,P], [B,H] or null: zero
  T *hT, *cT;                  // out; cT null but for the LSTM
  LayerTape<T>& tape;
  bool keep;                   // the tape holds every step
  int block;                   // steps whose W_ih x is computed at once

  void run(int first, int count) const noexcept;

 private:
  void project_inputs(int step, int first, int count) const noexcept;
  void step(int t, int first, int count) const noexcept;
};

template <class T> struct SequenceBackward {
  const Weights<T>& weights;
  int layer, direction;
  int steps;
  Rows<const T> dy;            // [T,B,P] in scan order; data null: zero
  const T *dhT, *dcT;          // [B,P], [B,H] or null: zero
  T *dh0, *dc0;                // out
  const LayerTape<T>& tape;
  const StepBuffer<T>& da;     // out: [T,B,S*H]
  const StepBuffer<T>& dproj;  // out with proj_size: gradient of the projected h, [T,B,P]
  const StepBuffer<T>& dh;     // scratch [1,B,P]: da W_hh, carried from step to step
  const StepBuffer<T>& direct; // scratch [1,B,H]: what flows past W_hh, GRU only
  const StepBuffer<T>& dc;     // scratch [1,B,H]: that of the cell state; of r h for the GRU with the reset before
  const StepBuffer<T>& dm;     // scratch [1,B,H], with proj_size

  void run(int first, int count) const noexcept;

 private:
  void step(int t, int first, int count) const noexcept;
  void recurrent_product(int t, int first, int count) const noexcept;
};

}  // namespace pyrnn
