// pyrnn._core: calls the functions that register its parts.
#include <pybind11/pybind11.h>

#include "bindings/register.h"

namespace {

constexpr const char* refusal =
    "pyrnn cannot be imported in a subinterpreter; use threads, which share the kernels, or processes";

bool is_in_subinterpreter() { return PyInterpreterState_Get() != PyInterpreterState_Main(); }

}  // namespace

// Renames pybind11's function that starts the module, so that ours can first check whether it may run.
#define PyInit__core start_core
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  // Python 3.13 calls PyInit__core in the main interpreter, and this function in the subinterpreter.
  if (is_in_subinterpreter()) throw pybind11::import_error(refusal);
  m.doc() = "The compiled kernels of pyrnn. Private: the public names are those of the package.";
  pyrnn::register_config(m);
  pyrnn::register_cells(m);
  pyrnn::register_openmp(m);
  pyrnn::register_stack(m);
  pyrnn::register_quick(m);
  pyrnn::register_tape(m);
  pyrnn::register_stream(m);
  pyrnn::register_linear(m);
  pyrnn::register_functions(m);
  pyrnn::register_probe(m);
}
#undef PyInit__core

// In a subinterpreter pybind11 would acquire the GIL by PyGILState_Ensure, which never returns there.
extern "C" PYBIND11_EXPORT PyObject* PyInit__core() {
  if (!is_in_subinterpreter()) return start_core();
  PyErr_SetString(PyExc_ImportError, refusal);
  return nullptr;
}
