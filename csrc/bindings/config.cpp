// What was built, what was chosen, how many threads.
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "runtime/parallel.h"

namespace pyrnn {

void register_config(py::module_& m) {
  using namespace py::literals;
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
  m.def("set_num_threads", &set_num_threads, "n"_a);
  m.attr("compiler") = PYRNN_COMPILER;
  m.attr("__version__") = PYRNN_VERSION;
}

}  // namespace pyrnn
