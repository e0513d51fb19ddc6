// pyrnn._core: the table of contents.
#include <pybind11/pybind11.h>

#include "bindings/register.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  m.doc() = "The compiled kernels of pyrnn. Private: the public names are those of the package.";
  pyrnn::register_config(m);
  pyrnn::register_stack(m);
  pyrnn::register_tape(m);
  pyrnn::register_stream(m);
  pyrnn::register_linear(m);
  pyrnn::register_functions(m);
  pyrnn::register_probe(m);
}
