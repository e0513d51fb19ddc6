// _core.cells: the facts about the cells, as csrc/cells states them.
#include <pybind11/stl.h>

#include <sstream>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

py::tuple tuple_of(const Names& names) {
  std::istringstream text(names.text);
  py::list all;
  for (std::string name; text >> name;) all.append(name);
  return py::tuple(all);
}

py::tuple options_of(const CellFacts& cell) {
  py::list all;
  all.append("activation");
  if (cell.recurrent_activation) all.append("recurrent_activation");
  if (cell.peephole) all.append("peephole");
  if (cell.projection) all.append("proj_size");
  return py::tuple(all);
}

py::dict all_cells() {
  py::dict all;
  for (const CellFacts& cell : cells()) all[cell.name] = py::cast(&cell, py::return_value_policy::reference);
  return all;
}

}  // namespace

void register_cells(py::module_& m) {
  py::class_<CellFacts>(m, "Cell", "The facts about a cell.")
      .def_property_readonly("name", [](const CellFacts& cell) { return cell.name; })
      .def_property_readonly("layer", [](const CellFacts& cell) { return cell.layer; })
      .def_property_readonly("gates", [](const CellFacts& cell) { return tuple_of(cell.gates); })
      .def_property_readonly("slots", [](const CellFacts& cell) { return tuple_of(cell.slots); })
      .def_property_readonly("states", [](const CellFacts& cell) { return tuple_of(cell.states); })
      .def_property_readonly("options", &options_of);
  m.def("cells", &all_cells, "By name, all cells.");
}

}  // namespace pyrnn
