// Converts tensors into the views that the kernels take; no other file knows both.
#pragma once

#include "bindings/tensor.h"
#include "checks/require.h"
#include "engine/sequence.h"

namespace pyrnn {

using Array = std::optional<Tensor>;

// Returns a tensor of T whose rows the kernels can read in place: native byte order, aligned, adjacent elements in the
// last axis, and other strides that are whole elements. Any other tensor of this dtype is copied; another dtype is
// refused.
template <class T> Tensor readable(const Tensor& a, const char* layer, const char* what) {
  constexpr int size = sizeof(T);
  if (a.kind() != 'f' || a.itemsize() != size) {
    const std::string wanted = py::str(py::dtype::of<T>());
    fail(layer, " ", what, " dtype (", a.dtype(), ") does not match weight dtype (", wanted, "). Convert ", what, ": ",
         what, a.is_numpy() ? ".astype(\"" + wanted + "\")" : ".to(torch." + wanted + ")",
         a.is_numpy() && a.kind() == 'f' && (a.itemsize() == 4 || a.itemsize() == 8)
             ? ", or make the layer with dtype=\"" + a.dtype() + "\""
             : "");
  }
  bool in_place = a.is_native() && a.is_aligned(size);
  for (int axis = 0; axis < a.ndim(); ++axis) {
    const bool inner = axis + 1 == a.ndim();
    in_place &= inner ? a.stride(axis) == size || a.shape(axis) <= 1 : a.stride(axis) % size == 0;
  }
  return in_place ? a : a.contiguous<T>();
}

// Does what `readable` does, and returns a C-contiguous tensor.
template <class T> Tensor contiguous(const Tensor& a, const char* layer, const char* what) {
  Tensor found = readable<T>(a, layer, what);
  return found.is_contiguous() ? found : found.contiguous<T>();
}

template <class T> const T* data_of(const Tensor& a) { return static_cast<const T*>(a.data()); }
template <class T> const T* data_of(const Array& a) { return a ? data_of<T>(*a) : nullptr; }
template <class T> T* writable(const Tensor& a) { return static_cast<T*>(a.data()); }

// The caller's order of the axes [T,B,*]: time first, batch first, a single sequence [T,*], or one step of a batch
// [B,*], whose states are [B,*] too (a cell).
struct Layout {
  bool batched, batch_first, is_step;
  int steps, batch;

  Layout(const Shape& shape, bool batch_first_, bool is_step_)
      : batched(shape.size() == 3 || is_step_), batch_first(batched && batch_first_), is_step(is_step_) {
    const std::ptrdiff_t first = shape[0], second = is_step ? 1 : shape[1];
    const std::ptrdiff_t T_ = is_step ? 1 : batch_first ? second : first;
    const std::ptrdiff_t B = is_step ? first : !batched ? 1 : batch_first ? first : second;
    check_extent(T_, B);
    steps = static_cast<int>(T_);
    batch = static_cast<int>(B);
  }

  Shape sequence(int width) const {
    if (is_step) return {batch, width};
    return !batched ? Shape{steps, width} : batch_first ? Shape{batch, steps, width} : Shape{steps, batch, width};
  }
  Shape state(const Spec& spec, int width) const {
    if (is_step) return {batch, width};
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(spec.num_layers) * spec.directions();
    return batched ? Shape{n, batch, width} : Shape{n, width};
  }
  template <class T> Rows<T> rows(const Tensor& a, T* data) const {
    const std::ptrdiff_t size = a.itemsize();
    const std::ptrdiff_t time = is_step ? 0 : a.stride(batch_first ? 1 : 0) / size;
    const std::ptrdiff_t row = batched ? a.stride(batch_first || is_step ? 0 : 1) / size : 0;
    return {data, time, row, std::max(batch, 1)};
  }
  template <class T> Rows<const T> rows(const Tensor& a) const { return rows(a, data_of<T>(a)); }
};

// Returns a view of [T,B] flags that have the layout of the input: [T,B], [B,T] or [T].
inline Flags flags_of(const Array& a, const Layout& layout, const char* what) {
  if (!a) return {};
  if (a->kind() != 'b')
    fail(what, " should be an array of bool, got dtype ", a->dtype(), ": compare it with something (", what, " != 0)");
  Shape expected = layout.sequence(0);
  expected.pop_back();
  if (a->shape() != expected)
    fail(what, " should have the shape ", text(expected, "()"), " of the input without its last axis, got ",
         text(a->shape(), "()"));
  return layout.rows<unsigned char>(*a);
}

// Returns `a` as a C-contiguous tensor; throws unless its shape is `expected`.
template <class T>
Tensor shaped(const Tensor& a, const Shape& expected, const char* layer, const char* what, const char* like) {
  if (a.shape() != expected)
    fail(what, " should have the shape of the ", like, ", ", text(expected, "()"), ", got ", text(a.shape(), "()"));
  return contiguous<T>(a, layer, what);
}

}  // namespace pyrnn
