// Tensor: a view of the caller's array, NumPy's or that of a library with DLPack's C exchange API. The results of the
// kernels are arrays of the library that the weights came from.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <string>

#include "memory/buffer.h"
#include "engine/spec.h"

namespace pyrnn {

namespace py = pybind11;

// A C-contiguous array of T at an address that is a multiple of T's size, as the kernels read it: the array itself or
// a copy. pybind11's own flags do not require alignment.
template <class T>
using readable_array =
    py::array_t<T, py::array::c_style | py::array::forcecast | py::detail::npy_api::NPY_ARRAY_ALIGNED_>;

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(py::array array);
  static std::optional<Tensor> exchanged(py::handle object);  // nullopt: its type has no DLPack API

  // Returns a new tensor, C-contiguous, uninitialized, of dtype T.
  template <class T> static Tensor empty(const Shape& shape, const Tensor& like) {
    if (like.is_numpy_) return Tensor(new_array<T>(shape));
    return *exchanged(like.new_empty(shape));
  }
  // Returns this tensor, or a copy if it is not C-contiguous and aligned.
  template <class T> Tensor contiguous() const {
    if (is_numpy_) return Tensor(readable_array<T>(object_));
    return *exchanged((is_aligned(sizeof(T)) ? object_ : py::object(object_.attr("clone")())).attr("contiguous")());
  }
  Tensor copy() const { return is_numpy_ ? Tensor(object_.attr("copy")()) : *exchanged(object_.attr("clone")()); }
  // Returns a tensor with the same memory but another owner: whoever holds a tensor of torch may give it other memory
  // (`tensor.data = ...`).
  Tensor alias() const { return is_numpy_ ? *this : *exchanged(object_.attr("detach")()); }

  const py::object& object() const noexcept { return object_; }
  void* data() const noexcept { return data_; }
  int ndim() const noexcept { return ndim_; }
  std::ptrdiff_t shape(int axis) const noexcept { return shape_[axis]; }
  std::ptrdiff_t stride(int axis) const noexcept { return strides_[axis] * stride_unit_; }  // in bytes
  Shape shape() const { return Shape(shape_, shape_ + ndim_); }
  std::ptrdiff_t size() const noexcept {
    std::ptrdiff_t product = 1;
    for (int axis = 0; axis < ndim_; ++axis) product *= shape_[axis];
    return product;
  }
  bool is_aligned(std::size_t bytes) const noexcept { return reinterpret_cast<std::uintptr_t>(data_) % bytes == 0; }
  bool is_contiguous() const noexcept {
    std::ptrdiff_t expected = itemsize_;
    for (int axis = ndim_ - 1; axis >= 0; expected *= shape_[axis--])
      if (shape_[axis] != 1 && stride(axis) != expected) return size() == 0;
    return true;
  }
  // Returns whether shape, dtype and strides are the same.
  bool is_like(const Tensor& other) const noexcept {
    bool same = ndim_ == other.ndim_ && kind_ == other.kind_ && itemsize_ == other.itemsize_;
    for (int axis = 0; same && axis < ndim_; ++axis)
      same = shape_[axis] == other.shape_[axis] && stride(axis) == other.stride(axis);
    return same;
  }
  // Returns the address of the first byte of the memory that holds the elements, and that behind the last; [0, 0) if
  // there are none.
  std::pair<std::uintptr_t, std::uintptr_t> span() const noexcept;
  char kind() const noexcept { return kind_; }  // NumPy's letter: 'f', 'b', ...
  int itemsize() const noexcept { return itemsize_; }
  bool is_numpy() const noexcept { return is_numpy_; }
  bool is_native() const noexcept { return is_native_; }
  bool is_writable() const { return !is_numpy_ || py::array(object_).writeable(); }
  std::string dtype() const;

 private:
  // A large array uses memory that is kept for the next call when it is freed (memory/buffer.h).
  template <class T> static py::array new_array(const Shape& shape) {
    std::size_t size = 1;
    for (const std::ptrdiff_t extent : shape) size *= extent;
    if (size < kept_bytes / sizeof(T)) return py::array_t<T>(shape);
    auto memory = std::make_unique<Buffer<T>>(size);
    const py::capsule owner(memory.get(), [](void* held) { delete static_cast<Buffer<T>*>(held); });
    return py::array_t<T>(shape, memory.release()->data(), owner);
  }
  py::object new_empty(const Shape& shape) const;  // only for a tensor that is not NumPy's

  py::object object_;
  void* data_ = nullptr;
  int ndim_ = 0;
  const std::ptrdiff_t *shape_ = nullptr, *strides_ = nullptr;  // arrays of the object itself
  std::ptrdiff_t stride_unit_ = 1;                              // bytes per unit of strides_
  int itemsize_ = 0;
  char kind_ = 'f';
  bool is_numpy_ = true, is_native_ = true;
};

// Returns whether the memory of two tensors may overlap.
inline bool overlap(const Tensor& a, const Tensor& b) noexcept {
  const auto [a_begin, a_end] = a.span();
  const auto [b_begin, b_end] = b.span();
  return a_begin < b_end && b_begin < a_end;
}

}  // namespace pyrnn

namespace pybind11::detail {

template <> struct type_caster<pyrnn::Tensor> {
  PYBIND11_TYPE_CASTER(pyrnn::Tensor, const_name("numpy.ndarray | torch.Tensor"));

  bool load(handle source, bool) {
    if (isinstance<array>(source)) {
      value = pyrnn::Tensor(reinterpret_borrow<array>(source));
      return true;
    }
    std::optional<pyrnn::Tensor> found = pyrnn::Tensor::exchanged(source);
    if (found) value = std::move(*found);
    return found.has_value();
  }

  static handle cast(const pyrnn::Tensor& tensor, return_value_policy, handle) { return tensor.object().inc_ref(); }
};

}  // namespace pybind11::detail
