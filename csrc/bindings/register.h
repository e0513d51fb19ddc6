// One function per topic; module.cpp calls them in turn.
//
// Static functions such as Weights.pack create objects, not constructors: pybind11 3 registers what a constructor
// created outside of its try block, where a failed allocation ends the process.
#pragma once

#include <pybind11/pybind11.h>

namespace pyrnn {

void register_config(pybind11::module_& m);
void register_cells(pybind11::module_& m);
void register_openmp(pybind11::module_& m);
void register_stack(pybind11::module_& m);
void register_quick(pybind11::module_& m);
void register_tape(pybind11::module_& m);
void register_stream(pybind11::module_& m);
void register_linear(pybind11::module_& m);
void register_functions(pybind11::module_& m);
void register_probe(pybind11::module_& m);

}  // namespace pyrnn
