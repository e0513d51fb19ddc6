// _core.Linear: a packed weight, with forward and backward on [M,K] rows.
#include "engine/linear.h"

#include <pybind11/stl.h>

#include <variant>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

template <class T> struct Packed {
  Tensor weight;
  Array bias;
  Linear<T> linear;
  Packed(const Tensor& w, const Array& b, const Ops<T>& ops)
      : weight(contiguous<T>(w, "Linear", "weight")),
        bias(b ? Array(contiguous<T>(*b, "Linear", "bias")) : Array()),
        linear(data_of<T>(weight), data_of<T>(bias), static_cast<int>(weight.shape(0)),
               static_cast<int>(weight.shape(1)), ops) {}

  Tensor forward(const Tensor& given) const {
    const Tensor x = checked(given);
    const int M = static_cast<int>(x.shape(0));
    const Tensor y = Tensor::empty<T>({M, linear.outputs()}, weight);
    const py::gil_scoped_release release;
    linear.forward(data_of<T>(x), M, writable<T>(y));
    return y;
  }

  py::tuple backward(const Tensor& given, const Tensor& grad) const {
    const Tensor x = checked(given);
    const int M = static_cast<int>(x.shape(0));
    const Tensor dy = shaped<T>(grad, {M, linear.outputs()}, "Linear", "grad_output", "output");
    const Tensor dx = Tensor::empty<T>(x.shape(), weight), dweight = Tensor::empty<T>(weight.shape(), weight);
    Array dbias;
    if (bias) dbias = Tensor::empty<T>(bias->shape(), weight);
    {
      T* const db = dbias ? writable<T>(*dbias) : nullptr;
      T *const to_x = writable<T>(dx), *const to_weight = writable<T>(dweight);
      const T *const from_x = data_of<T>(x), *const from_y = data_of<T>(dy);
      const py::gil_scoped_release release;
      linear.backward(from_x, from_y, M, to_x, to_weight, db);
    }
    return py::make_tuple(dx, dweight, dbias);
  }

  Tensor checked(const Tensor& x) const {
    require(x.ndim() == 2 && x.shape(1) == linear.inputs(), "Linear: expected input of shape (*, ", linear.inputs(),
            "), got ", text(x.shape(), "()"));
    check_extent(1, x.shape(0));
    return contiguous<T>(x, "Linear", "input");
  }
};

struct PyLinear {
  std::variant<std::shared_ptr<const Packed<float>>, std::shared_ptr<const Packed<double>>> packed;
};

PyLinear make_linear(const Tensor& weight, const Array& bias) {
  require(weight.ndim() == 2, "Linear: weight should be 2-D, got ", weight.ndim(), "-D");
  require(!bias || bias->shape() == Shape{weight.shape(0)}, "Linear: bias should have one value a row of the weight");
  if (weight.itemsize() == sizeof(double)) return {std::make_shared<const Packed<double>>(weight, bias, isa().f64)};
  return {std::make_shared<const Packed<float>>(weight, bias, isa().f32)};
}

}  // namespace

void register_linear(py::module_& m) {
  using namespace py::literals;
  py::class_<PyLinear>(m, "Linear", "y = W x + b on packed weights; immutable.")
      .def_static("pack", &make_linear, "weight"_a, "bias"_a)
      .def(
          "forward",
          [](const PyLinear& self, const Tensor& x) {
            return std::visit([&](const auto& p) { return p->forward(x); }, self.packed);
          },
          "x"_a)
      .def(
          "backward",
          [](const PyLinear& self, const Tensor& x, const Tensor& grad_output) {
            return std::visit([&](const auto& p) { return p->backward(x, grad_output); }, self.packed);
          },
          "x"_a, "grad_output"_a, "(grad_input, grad_weight, grad_bias)");
}

}  // namespace pyrnn
