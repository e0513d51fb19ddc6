// The list of cells, and the entries of the kernel table for each: its facts and its functions.
#pragma once

#include "cells/gru.h"
#include "cells/lstm.h"
#include "cells/rnn.h"
#include "cells/step.h"

namespace pyrnn {
namespace {

// The functions of a cell, made of its stages. Fn: the functions in its equations. F: the format of its weights.
template <class T, class Fn, class F, class Stages> struct StepsOf;

template <class T, class Fn, class F, class Stage> struct StepsOf<T, Fn, F, StageList<Stage>> {
  using Input = typename Stage::Input;
  static ptrdiff_t packed_hidden(int H, int P) noexcept { return F::packed_bytes(Stage::Hidden::count, H, P); }
  static void pack_hidden(const T* weight, int H, int P, void* packed) noexcept {
    F::pack(weight, Stage::Hidden::count, H, P, packed);
  }
  static void forward(const StepForward<T>& s) noexcept {
    if constexpr (F::fuses)
      if (s.x) return run_stage<T, Stage, true, F>(s, s.weight_hh, s.h_prev, s.h_prev_stride, finish<T, Stage, Fn>);
    if (s.x) project_step<T, Input, F>(s);
    run_stage<T, Stage, false, F>(s, s.weight_hh, s.h_prev, s.h_prev_stride, finish<T, Stage, Fn>);
  }
  static constexpr auto backward = backward_stage<T, Stage, Fn>;
  static constexpr void (*backward_first)(const StepBackward<T>&) noexcept = nullptr;
};

// A cell of two stages has two products, each with some rows of W_hh. Its step is never fused, because the second product
// needs the result of the first stage.
template <class T, class Fn, class F, class First, class Second>
struct StepsOf<T, Fn, F, StageList<First, Second>> {
  using Input = typename First::Input;
  static constexpr int first_gates = First::Hidden::count, second_gates = Second::Hidden::count;
  static ptrdiff_t first_weights(int H, int P) noexcept { return (F::packed_bytes(first_gates, H, P) + 63) / 64 * 64; }
  static ptrdiff_t packed_hidden(int H, int P) noexcept {
    return first_weights(H, P) + F::packed_bytes(second_gates, H, P);
  }
  static void pack_hidden(const T* weight, int H, int P, void* packed) noexcept {
    F::pack(weight, first_gates, H, P, packed);
    F::pack(weight + static_cast<ptrdiff_t>(first_gates) * H * P, second_gates, H, P,
            static_cast<char*>(packed) + first_weights(H, P));
  }
  static void forward(const StepForward<T>& s) noexcept {
    if (s.x) project_step<T, Input, F>(s);
    run_stage<T, First, false, F>(s, s.weight_hh, s.h_prev, s.h_prev_stride, finish<T, First, Fn>);
    const T* const input = s.gates + static_cast<ptrdiff_t>(First::next_input) * s.H;
    run_stage<T, Second, false, F>(s, static_cast<const char*>(s.weight_hh) + first_weights(s.H, s.P), input,
                                   s.gates_stride, finish<T, Second, Fn>);
  }
  static constexpr auto backward = backward_stage<T, Second, Fn>;
  static constexpr auto backward_first = backward_stage<T, First, Fn>;
};

// With `training` the entry has the functions of backward.
template <class T, class Fn, class F, class Stages, bool training> constexpr CellOps<T> cell_ops() noexcept {
  using Steps = StepsOf<T, Fn, F, Stages>;
  using Input = typename Steps::Input;
  CellOps<T> ops = {
      .packed_input = [](int H, int I) noexcept { return F::packed_bytes(Input::count, H, I); },
      .packed_hidden = Steps::packed_hidden,
      .row_scratch = F::row_scratch,
      .pack_input = [](const T* weight, int H, int I,
                       void* packed) noexcept { F::pack(weight, Input::count, H, I, packed); },
      .pack_hidden = Steps::pack_hidden,
      .project = project<T, Input, F>,
      .forward = Steps::forward,
      .backward = nullptr,
      .backward_first = nullptr,
  };
  if constexpr (training) {
    ops.backward = Steps::backward;
    ops.backward_first = Steps::backward_first;
  }
  return ops;
}

// Derives from a stage which slots its product is added to, and for which sums backward computes gradients.
template <class Stage> constexpr void add_stage(CellFacts& facts, int input) noexcept {
  using Hidden = typename Stage::Hidden;
  for (int i = 0; i < Hidden::count; ++i) {
    HiddenSlots* const last = facts.products ? &facts.hidden[facts.products - 1] : nullptr;
    if (last && last->input == input && last->slot + last->gates == Hidden::at[i]) ++last->gates;
    else facts.hidden[facts.products++] = {Hidden::at[i], 1, input};
  }
  for (int slot : Stage::Gradient::at)
    if (slot >= facts.sums) facts.sums = slot + 1;
}
template <class Stage> constexpr void add_stages(CellFacts& facts, StageList<Stage>, int input = -1) noexcept {
  static_assert(Stage::ends_step);
  add_stage<Stage>(facts, input);
}
template <class Stage, class Next> constexpr void add_stages(CellFacts& facts, StageList<Stage, Next>) noexcept {
  static_assert(!Stage::ends_step);
  add_stage<Stage>(facts, -1);
  add_stages(facts, StageList<Next>(), Stage::next_input);
}

template <class... Cells> struct CellList {
  static constexpr int count = sizeof...(Cells);

  template <class Cell> static constexpr CellFacts facts_of() noexcept {
    CellFacts facts = Cell::facts;
    int place = 0;
    ((std::is_same_v<Cell, Cells> ? (facts.index = place) : 0, ++place), ...);
    add_stages(facts, typename Cell::template Stages<float>());
    return facts;
  }
  static constexpr CellFacts facts[] = {facts_of<Cells>()...};

  template <class T, class F, bool training>
  static constexpr CellOps<T> own[] = {cell_ops<T, typename Cells::template Functions<Vec<T>>, F,
                                                typename Cells::template Stages<Vec<T>>, training>()...};
  template <class T, class F, bool training>
  static constexpr CellOps<T> chosen[] = {
      cell_ops<T, Chosen<Vec<T>>, F, typename Cells::template Stages<Vec<T>>, training>()...};
};

using AllCells = CellList<RnnTanhCell, RnnReluCell, LstmCell, GruCell, GruResetBeforeCell>;

// Returns the entries of all cells in one format, with the standard functions and with the chosen ones.
template <class T, class F, bool training> constexpr FormatOps<T> format_ops() noexcept {
  return {.cell = AllCells::own<T, F, training>, .chosen = AllCells::chosen<T, F, training>};
}

}  // namespace
}  // namespace pyrnn
