// Weights<T>: the parameters of a network, packed for one ISA. They are immutable, so any number of threads may share
// them. The constructor packs the form for forward; the first use of backward packs the form for it.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "memory/buffer.h"
#include "engine/spec.h"

namespace pyrnn {

// A packed matrix, the right operand of Ops::gemm.
template <class T> struct PackedMatrix {
  Buffer<T> data;
  int rows = 0, columns = 0;
};

// Packs weight [rows, columns] as the right operand B[k = row, n = column], or its transpose.
template <class T>
PackedMatrix<T> pack_matrix(const Ops<T>& ops, const T* weight, int rows, int columns, bool transpose) {
  const int K = transpose ? columns : rows, N = transpose ? rows : columns;
  const std::size_t panels = (static_cast<std::size_t>(N) + ops.panel_columns - 1) / ops.panel_columns;
  PackedMatrix<T> packed{Buffer<T>(panels * ops.panel_columns * K), K, N};
  ops.pack_matrix(weight, transpose ? 1 : columns, transpose ? columns : 1, K, N, packed.data.data());
  return packed;
}

template <class T> class Weights {
 public:
  // One direction of one layer.
  struct Forward {
    Buffer<char> ih;     // CellOps::pack_input
    Buffer<char> hh;     // CellOps::pack_hidden
    Buffer<T> bias;      // [G*H]: b_ih + b_hh; b_ih alone for the GRU's candidate
    Buffer<T> bias_hh;   // [H]: b_hh of the GRU's candidate
    Buffer<T> peephole;  // [3,H]
    PackedMatrix<T> hr;  // [H, P]
  };
  struct Backward {
    PackedMatrix<T> ih;  // [G*H, I]
    PackedMatrix<T> hh;  // [G*H, P]
    PackedMatrix<T> hr;  // [P, H]
  };
  struct Source {  // the parameters of one direction, laid out as in torch; null if there is none
    const T *ih, *hh, *bias_ih, *bias_hh, *peephole, *hr;
  };

  // `parameters` are contiguous and in the order of spec.parameters(). They must stay alive and unchanged; not so for
  // a small format, which is for inference only and reads them only here.
  Weights(const Spec& spec, std::vector<const T*> parameters, const Ops<T>& ops, Format format = Format::native);
  ~Weights() { delete backward_.load(std::memory_order_relaxed); }
  Weights(const Weights&) = delete;

  const Spec& spec() const noexcept { return spec_; }
  const Ops<T>& ops() const noexcept { return ops_; }
  Format format() const noexcept { return format_; }
  std::size_t bytes() const noexcept { return bytes_; }  // of the packed matrices and biases for forward
  const CellOps<T>& cell() const noexcept {
    const FormatOps<T>& in_format = ops_.format[static_cast<int>(format_)];
    return (spec_.is_standard() ? in_format.cell : in_format.chosen)[spec_.cell->index];
  }
  CellOptions<T> options(int layer, int direction) const noexcept {
    return {spec_.activation, spec_.recurrent_activation, forward(layer, direction).peephole.data()};
  }
  const Forward& forward(int layer, int direction) const { return forward_[index(layer, direction)]; }
  const Source& source(int layer, int direction) const { return source_[index(layer, direction)]; }
  const Backward& backward(int layer, int direction) const;  // the first call packs the whole list
  StepForward<T> step(int layer, int direction) const noexcept;  // what all steps of a direction share

 private:
  int index(int layer, int direction) const noexcept { return layer * spec_.directions() + direction; }
  Forward pack_forward(int layer, const Source& source);
  std::vector<Backward> pack_backward() const;

  Spec spec_;
  const Ops<T>& ops_;
  Format format_;
  std::size_t bytes_ = 0;
  std::vector<Source> source_;
  std::vector<Forward> forward_;
  mutable std::atomic<const std::vector<Backward>*> backward_{nullptr};  // null, or the complete list
};

}  // namespace pyrnn
