// This file tells what was built, what was chosen, how many threads there are, and that memory ran out.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "threads/cpus.h"
#include "threads/parallel.h"

namespace pyrnn {
namespace {

// pybind11 would show the bare "std::bad_alloc".
void tell_lack_of_memory(std::exception_ptr failed) {
  try {
    if (failed) std::rethrow_exception(failed);
  } catch (const OutOfMemory& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "not enough memory for this call");
  }
}

}  // namespace

void register_config(py::module_& m) {
  using namespace py::literals;
  py::register_local_exception_translator(&tell_lack_of_memory);
  isa();  // a wrong PYRNN_ISA or PYRNN_THREADS is told at import, not in the middle of the work
  num_threads();
  m.def("isa", [] { return isa().name; }, "The ISA in use.");
  m.def(
      "available_isas",
      [] {
        std::vector<std::string> names;
        for (const Isa* each : available_isas()) names.emplace_back(each->name);
        return names;
      },
      "Those this CPU and this build have, slowest first.");
  m.def("num_threads", &num_threads);
  m.def("usable_cpus", &usable_cpus, "root"_a = "", "Those that num_threads begins with.");
  m.def(
      "set_num_threads",
      [](const py::object& n) {
        if (!PyIndex_Check(n.ptr())) throw py::type_error("set_num_threads: n should be an int");
        const Py_ssize_t number = PyNumber_AsSsize_t(n.ptr(), nullptr);  // too large a number becomes the largest
        if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
        set_num_threads(number);
      },
      "n"_a);
  m.attr("compiler") = PYRNN_COMPILER;
  m.attr("__version__") = PYRNN_VERSION;
}

}  // namespace pyrnn
