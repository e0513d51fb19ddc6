// _core.Linear: one weight, packed; forward and backward on [M,K] rows.
#include "runtime/linear.h"

#include <pybind11/stl.h>

#include <variant>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

template <class T> struct Packed {
  py::array weight;
  Array bias;
  Linear<T> linear;
  Packed(const py::array& w, const Array& b, const Ops<T>& ops)
      : weight(contiguous<T>(w, "Linear", "weight")),
        bias(b ? Array(contiguous<T>(*b, "Linear", "bias")) : Array()),
        linear(static_cast<const T*>(weight.data()), data_of<T>(bias), static_cast<int>(weight.shape(0)),
               static_cast<int>(weight.shape(1)), ops) {}

  py::array forward(const py::array& given) const {
    const py::array x = checked(given);
    const int M = static_cast<int>(x.shape(0));
    py::array y = py::array_t<T>(Shape{M, linear.outputs()});
    const py::gil_scoped_release release;
    linear.forward(static_cast<const T*>(x.data()), M, static_cast<T*>(y.mutable_data()));
    return y;
  }

  py::tuple backward(const py::array& given, const py::array& grad) const {
    const py::array x = checked(given);
    const int M = static_cast<int>(x.shape(0));
    const py::array dy = shaped<T>(grad, {M, linear.outputs()}, "Linear", "grad_output", "output");
    py::array dx = py::array_t<T>(shape_of(x)), dweight = py::array_t<T>(shape_of(weight));
    Array dbias;
    if (bias) dbias = py::array_t<T>(shape_of(*bias));
    {
      T* const db = dbias ? writable<T>(*dbias) : nullptr;
      T *const to_x = writable<T>(dx), *const to_weight = writable<T>(dweight);
      const T *const from_x = static_cast<const T*>(x.data()), *const from_y = static_cast<const T*>(dy.data());
      const py::gil_scoped_release release;
      linear.backward(from_x, from_y, M, to_x, to_weight, db);
    }
    return py::make_tuple(dx, dweight, dbias);
  }

  py::array checked(const py::array& x) const {
    require(x.ndim() == 2 && x.shape(1) == linear.inputs(), "Linear: expected input of shape (*, ", linear.inputs(),
            "), got ", text(shape_of(x), "()"));
    check_extent(1, x.shape(0));
    return contiguous<T>(x, "Linear", "input");
  }
};

struct PyLinear {
  std::variant<std::shared_ptr<const Packed<float>>, std::shared_ptr<const Packed<double>>> packed;
};

PyLinear make_linear(const py::array& weight, const Array& bias) {
  require(weight.ndim() == 2, "Linear: weight should be 2-D, got ", weight.ndim(), "-D");
  require(!bias || shape_of(*bias) == Shape{weight.shape(0)},
          "Linear: bias should have one value a row of the weight");
  if (weight.dtype().itemsize() == sizeof(double))
    return {std::make_shared<const Packed<double>>(weight, bias, isa().f64)};
  return {std::make_shared<const Packed<float>>(weight, bias, isa().f32)};
}

}  // namespace

void register_linear(py::module_& m) {
  using namespace py::literals;
  py::class_<PyLinear>(m, "Linear", "y = W x + b on packed weights; immutable.")
      .def(py::init(&make_linear), "weight"_a, "bias"_a)
      .def(
          "forward",
          [](const PyLinear& self, const py::array& x) {
            return std::visit([&](const auto& p) { return p->forward(x); }, self.packed);
          },
          "x"_a)
      .def(
          "backward",
          [](const PyLinear& self, const py::array& x, const py::array& grad_output) {
            return std::visit([&](const auto& p) { return p->backward(x, grad_output); }, self.packed);
          },
          "x"_a, "grad_output"_a, "(grad_input, grad_weight, grad_bias)");
}

}  // namespace pyrnn
