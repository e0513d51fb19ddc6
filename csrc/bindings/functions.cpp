// The elementwise functions of simd/math.h, for tests and for plain layers.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "runtime/ieee.h"

namespace pyrnn {
namespace {

template <class T> py::array map(const py::array& x, void (*function)(const T*, T*, std::ptrdiff_t) noexcept) {
  const py::array_t<T, py::array::c_style | py::array::forcecast> in(x);
  py::array_t<T> out(Shape(in.shape(), in.shape() + in.ndim()));
  const IeeeMode mode;
  function(in.data(), out.mutable_data(), in.size());
  return out;
}

template <class Pick> auto function_of(Pick pick) {
  return [pick](const py::array& x, const std::optional<std::string>& name) {
    const Isa& chosen = name ? isa_named(*name) : isa();
    return x.dtype().itemsize() == sizeof(double) ? map(x, pick(chosen.f64)) : map(x, pick(chosen.f32));
  };
}

}  // namespace

void register_functions(py::module_& m) {
  using namespace py::literals;
  m.def("tanh", function_of([](const auto& ops) { return ops.tanh; }), "x"_a, "isa"_a = py::none());
  m.def("sigmoid", function_of([](const auto& ops) { return ops.sigmoid; }), "x"_a, "isa"_a = py::none());
}

}  // namespace pyrnn
