// Layers without weights, applied to arrays: a function of each element, softmax over the last axis.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "threads/ieee.h"
#include "checks/require.h"
#include "engine/spec.h"

namespace pyrnn {
namespace {

// Returns an array of x's shape that f(ops, x, y) has filled.
template <class T, class F> py::array filled(const py::array& x, const Ops<T>& ops, F f) {
  const readable_array<T> in(x);
  py::array_t<T> out(Shape(in.shape(), in.shape() + in.ndim()));
  const IeeeMode mode;
  f(ops, in.data(), out.mutable_data());
  return out;
}

template <class F> py::array filled(const py::array& x, const std::optional<std::string>& isa_name, F f) {
  const Isa& chosen = isa_name ? isa_named(*isa_name) : isa();
  return x.dtype().itemsize() == sizeof(double) ? filled(x, chosen.f64, f) : filled(x, chosen.f32, f);
}

py::array activate(const std::string& name, const py::array& x, double alpha,
                   const std::optional<std::string>& isa_name) {
  const Activation function = activation_named(name);
  return filled(x, isa_name, [&](const auto& ops, const auto* from, auto* to) {
    using T = std::remove_pointer_t<decltype(to)>;
    ops.activate(function, static_cast<T>(alpha), from, to, x.size());
  });
}

py::array softmax(const py::array& x, const std::optional<std::string>& isa_name) {
  require(x.ndim() > 0, "softmax: expected an axis, got a single number");
  const std::ptrdiff_t N = x.shape(x.ndim() - 1), M = N ? x.size() / N : 0;
  return filled(x, isa_name, [&](const auto& ops, const auto* from, auto* to) { ops.softmax(from, to, M, N); });
}

}  // namespace

void register_functions(py::module_& m) {
  using namespace py::literals;
  m.def("activate", &activate, "name"_a, "x"_a, "alpha"_a = 0.0, "isa"_a = py::none());
  m.def("softmax", &softmax, "x"_a, "isa"_a = py::none());
}

}  // namespace pyrnn
