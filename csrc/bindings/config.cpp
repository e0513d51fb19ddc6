// Functions that tell Python what was built, which ISA is in use and how many threads there are; and the MemoryError.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "threads/cpus.h"
#include "threads/parallel.h"

namespace pyrnn {
namespace {

// Raises MemoryError with a sentence; pybind11's own would only say "std::bad_alloc".
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
  isa();  // a wrong PYRNN_ISA or PYRNN_THREADS fails here, at import, not later
  num_threads();
  m.def("isa", [] { return isa().name; }, "The ISA in use.");
  m.def(
      "available_isas",
      [] {
        std::vector<std::string> names;
        for (const Isa* each : available_isas()) names.emplace_back(each->name);
        return names;
      },
      "The ISAs that this build contains and this CPU can run, slowest first.");
  m.def("num_threads", &num_threads);
  m.def("usable_cpus", &usable_cpus, "root"_a = "", "How many CPUs this process may keep busy.");
  m.def(
      "set_num_threads",
      [](const py::object& n) {
        if (!PyIndex_Check(n.ptr())) throw py::type_error("set_num_threads: n should be an int");
        const Py_ssize_t number = PyNumber_AsSsize_t(n.ptr(), nullptr);  // clamps a large number
        if (number == -1 && PyErr_Occurred()) throw py::error_already_set();
        set_num_threads(number);
      },
      "n"_a);
  m.attr("compiler") = PYRNN_COMPILER;
  m.attr("__version__") = PYRNN_VERSION;
}

}  // namespace pyrnn
