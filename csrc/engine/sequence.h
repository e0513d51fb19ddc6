// One direction of one layer over all time steps.
//
//   forward   (x, h0, c0) -> (y, hT, cT)          the scan; W_ih x for a block of steps is one product
//   backward  (dy, dhT, dcT) -> (da, dh0, dc0)    the scan in reverse; da are the gradients of the sums
//
// Rows of the batch are independent: a call computes rows [first, first + count), so threads can share a batch. The
// members of a team also share the rows of one call, each computing hidden units of its own. Every Rows<> here is in
// scan order: step 0 of the reverse direction is the last time.
#pragma once

#include <vector>

#include "engine/tape.h"
#include "threads/team.h"
#include "engine/weights.h"

namespace pyrnn {

using Flags = Rows<const unsigned char>;  // [T,B], 0 or 1; data is null if not given

// Options of a call whose values may differ for each step of each row.
template <class T> struct StepOptions {
  Flags active = {};             // 0: the row is inactive, and the step leaves its state unchanged
  bool hold = false;             // the output of an inactive row: its state, or else zero
  Flags reset = {};              // 1: before the step the row's state becomes the reset state
  State<const T> reset_to = {};  // [L*D,B,P], [L*D,B,H]; null: zero
};

template <class T> Rows<T> in_scan_order(Rows<T> rows, int steps, bool reverse) noexcept {
  if (!reverse || !rows.data) return rows;
  return {rows.data + (steps - 1) * rows.step_stride, -rows.step_stride, rows.row_stride, rows.batch};
}

template <class T> Rows<const T> as_const(Rows<T> r) noexcept {
  return {r.data, r.step_stride, r.row_stride, r.batch, r.list};
}

// Returns rows first .. first + count of the batch, from `step` on.
template <class T> Rows<T> part(Rows<T> rows, int step, int first, int count) noexcept {
  if (!rows.data) return rows;
  return {rows.data + step * rows.step_stride + first * rows.row_stride, rows.step_stride, rows.row_stride, count};
}

template <class T> Rows<T> columns(Rows<T> rows, std::ptrdiff_t first) noexcept {
  if (rows.data) rows.data += first;
  return rows;
}

template <class T> Rows<T> only(Rows<T> rows, const RowAt* list) noexcept {
  rows.list = list;
  return rows;
}

template <class T>
Gemm<T> product(int M, Rows<const T> a, const PackedMatrix<T>& b, int b_first, int K, Rows<T> c, const T* bias,
                bool accumulate) noexcept {
  return {M, b.columns, K, a, b.data.data(), b.rows, b_first, bias, accumulate, c};
}

inline bool flag(const Flags& flags, int step, int row) noexcept {
  return flags.data[step * flags.step_stride + row * flags.row_stride];
}

// Lists those of the rows first .. first + count that are active at `step`, with `numbered` as their step. Returns the
// end of the list.
inline RowAt* list_active(const Flags& active, int step, int numbered, int first, int count, RowAt* to) noexcept {
  for (int row = 0; row < count; ++row)
    if (flag(active, step, first + row)) *to++ = {numbered, row};
  return to;
}

// The active rows of a block of steps. Without flags there is no list, and kernels take rows 0 .. count-1.
class ActiveRows {
 public:
  ActiveRows(const Flags& active, int first, int count, RowAt* list) noexcept  // list: memory for a block's rows
      : active_(active), first_(first), count_(count), list_(list) {}
  void fill(int from, int to) noexcept {
    from_ = from;
    begin_[0] = 0;
    for (int t = from; t < to && active_.data; ++t)
      begin_[t - from + 1] =
          static_cast<int>(list_active(active_, t, t - from, first_, count_, list_ + begin_[t - from]) - list_);
  }
  int count(int from, int to) const noexcept {
    return active_.data ? begin_[to - from_] - begin_[from - from_] : (to - from) * count_;
  }
  const RowAt* from(int step) const noexcept { return active_.data ? list_ + begin_[step - from_] : nullptr; }

 private:
  const Flags& active_;
  int first_, count_, from_ = 0;
  RowAt* list_;
  int begin_[rows_at_once + 1];
};

// The active rows of `steps` steps: how many, and a list of them if some are not active.
struct ListedRows {
  int rows;
  std::vector<RowAt> list;
};

// Lists the active ones of the first `rows` rows, from the first step on or from the last, numbered in that order.
inline ListedRows listed_rows(const Flags& active, int steps, int rows, bool last_first) {
  if (!active.data) return {steps * rows, {}};
  std::vector<RowAt> list(static_cast<std::size_t>(steps) * rows);
  RowAt* end = list.data();
  for (int i = 0; i < steps; ++i) end = list_active(active, last_first ? steps - 1 - i : i, i, 0, rows, end);
  list.resize(end - list.data());
  return {static_cast<int>(list.size()), std::move(list)};
}

// The members that the forward and the backward scan have in common.
template <class T> struct Sequence {
  const Weights<T>& weights;
  int layer, direction, steps;
  StepOptions<T> options;
  const LayerTape<T>& tape;
};

template <class T> struct SequenceForward {
  Sequence<T> sequence;
  Rows<const T> x;         // [T,B,I]
  Rows<T> y, c_all;        // [T,B,P], [T,B,H]; c_all may have null data
  State<const T> initial;  // [B,P], [B,H]; null: zero
  State<T> final;          // out; c is null except for the LSTM
  bool keep;               // whether the tape holds every step

  void run(int first, int count, const Team& team = {}) const;

 private:
  bool is_fused(int count) const noexcept;
  char* scratch(int first) const noexcept { return sequence.tape.scratch.data() + first * sequence.tape.row_scratch; }
  void project_inputs(int t, int end, int first, int count, const ActiveRows& rows, Units units) const noexcept;
  void reset(int t, int first, int count) const noexcept;
  void step(StepForward<T>& s, int t, int in_block, int first, int count, const ActiveRows& rows,
            bool fused) const noexcept;
  void finish_rows(int t, int first, int count) const noexcept;
};

// The buffers of the backward scan; stack_backward.cpp allocates them.
template <class T> struct BackwardBuffers {
  StepBuffer<T> da;                  // [T,B,sums*H]: gradients of the sums
  StepBuffer<T> dproj;               // [T,B,P] with proj_size: dLoss/dh_t
  StepBuffer<T> dh;                  // [1,B,P]: da W_hh, carried from step to step
  StepBuffer<T> direct;              // [1,B,H]: the gradient that bypasses W_hh, GRU only
  StepBuffer<T> dc;                  // [1,B,H]: LSTM d(c); gru_reset_before d(r h)
  StepBuffer<T> dm;                  // [1,B,H] with proj_size: the gradient of o tanh(c)
  StepBuffer<T> dh_total, dc_total;  // [T,B,H] if the caller wants them: dLoss/dh_t, dLoss/dc_t
};

template <class T> struct SequenceBackward {
  Sequence<T> sequence;
  Rows<const T> dy, dc_all;  // [T,B,P], [T,B,H]; data null: zero
  const BackwardBuffers<T>& to;
  int kept_from;    // the step of the tape that step 0 here corresponds to
  State<T> dreset;  // [B,P], [B,H], or null; `run` adds to it

  // On entry to.dh, to.direct and to.dc hold the gradients of the final state; on exit those of the initial state.
  void run(int first, int count, const Team& team = {}) const;

 private:
  void step(int t, int first, int count, const ActiveRows& rows, const Team& team, Units units) const noexcept;
  void before_step(int t, int first, int count) const noexcept;
  void project_back(int t, int first, int count, const ActiveRows& rows) const noexcept;
  void recurrent_product(int t, int first, int count, const ActiveRows& rows, Units units) const noexcept;
  void cut_at_resets(int t, int first, int count) const noexcept;
};

}  // namespace pyrnn
