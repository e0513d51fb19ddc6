// NumPy arrays to views and back: the only place that knows both.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>

#include "runtime/require.h"
#include "runtime/sequence.h"
#include "runtime/spec.h"

namespace pyrnn {

namespace py = pybind11;
using Array = std::optional<py::array>;

inline Shape shape_of(const py::array& a) { return Shape(a.shape(), a.shape() + a.ndim()); }
inline std::string dtype_name(const py::dtype& d) { return py::str(d); }

// An array of T whose rows the kernels can read in place: native byte order, aligned, adjacent elements in the last
// axis, other strides whole elements. Anything else is copied into that form; another dtype is refused.
template <class T> py::array readable(const py::array& a, const char* layer, const char* what) {
  const py::dtype wanted = py::dtype::of<T>();
  if (a.dtype().kind() != 'f' || a.itemsize() != static_cast<py::ssize_t>(sizeof(T)))
    fail(layer, " ", what, " dtype (", dtype_name(a.dtype()), ") does not match weight dtype (", dtype_name(wanted),
         "). Convert ", what, ": ", what, ".astype(\"", dtype_name(wanted), "\"), or make the layer with dtype=\"",
         dtype_name(a.dtype()), "\"");
  bool in_place = py::isinstance<py::array_t<T>>(a) && (a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_);
  const py::ssize_t size = sizeof(T);
  for (py::ssize_t axis = 0; axis < a.ndim(); ++axis) {
    const bool inner = axis + 1 == a.ndim();
    in_place &= inner ? a.strides(axis) == size || a.shape(axis) <= 1 : a.strides(axis) % size == 0;
  }
  if (in_place) return a;
  return py::array_t<T, py::array::c_style | py::array::forcecast>(a);
}

// The same, C-contiguous.
template <class T> py::array contiguous(const py::array& a, const char* layer, const char* what) {
  return py::array_t<T, py::array::c_style>(readable<T>(a, layer, what));
}

template <class T> const T* data_of(const Array& a) { return a ? static_cast<const T*>(a->data()) : nullptr; }
template <class T> T* writable(py::array& a) { return static_cast<T*>(a.mutable_data()); }

// [T,B,*] in the caller's axes: time first, batch first, or a single sequence [T,*].
struct Layout {
  bool batched, batch_first;
  int steps, batch;

  Layout(const Shape& shape, bool batch_first_) : batched(shape.size() == 3), batch_first(batched && batch_first_) {
    const std::ptrdiff_t T_ = batch_first ? shape[1] : shape[0], B = !batched ? 1 : batch_first ? shape[0] : shape[1];
    check_extent(T_, B);
    steps = static_cast<int>(T_);
    batch = static_cast<int>(B);
  }

  Shape sequence(int width) const {
    return !batched ? Shape{steps, width} : batch_first ? Shape{batch, steps, width} : Shape{steps, batch, width};
  }
  Shape state(const Spec& spec, int width) const {
    const std::ptrdiff_t n = static_cast<std::ptrdiff_t>(spec.num_layers) * spec.directions();
    return batched ? Shape{n, batch, width} : Shape{n, width};
  }
  template <class T> Rows<T> rows(const py::array& a, T* data) const {
    const std::ptrdiff_t size = sizeof(T);
    const std::ptrdiff_t time = a.strides(batch_first ? 1 : 0) / size;
    const std::ptrdiff_t row = batched ? a.strides(batch_first ? 0 : 1) / size : 0;
    return {data, time, row, std::max(batch, 1)};
  }
};

// [T,B] flags laid out as the input is, read in place: [T,B], [B,T] or [T].
inline Flags flags_of(const Array& a, const Layout& layout, const char* what) {
  if (!a) return {};
  if (a->dtype().kind() != 'b')
    fail(what, " should be an array of bool, got dtype ", dtype_name(a->dtype()), ": compare it with something (",
         what, " != 0)");
  Shape expected = layout.sequence(0);
  expected.pop_back();
  if (shape_of(*a) != expected)
    fail(what, " should have the shape ", text(expected, "()"), " of the input without its last axis, got ",
         text(shape_of(*a), "()"));
  return layout.rows(*a, static_cast<const unsigned char*>(a->data()));
}

// C-contiguous, and shaped as what it belongs to.
template <class T>
py::array shaped(const py::array& a, const Shape& expected, const char* layer, const char* what, const char* like) {
  if (shape_of(a) != expected)
    fail(what, " should have the shape of the ", like, ", ", text(expected, "()"), ", got ", text(shape_of(a), "()"));
  return contiguous<T>(a, layer, what);
}

}  // namespace pyrnn
