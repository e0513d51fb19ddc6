// _core.Tape: backward, and views of what the tape holds.
#include <pybind11/stl.h>

#include "bindings/network.h"
#include "bindings/openmp.h"
#include "bindings/register.h"

namespace pyrnn {
namespace {

template <class T>
py::tuple run_backward(const Recorded<T>& recorded, const Array& dy, const std::vector<Array>& dstate,
                       const Array& dc_all, bool all_states, bool want_input, bool want_parameters) {
  const Weights<T>& weights = recorded.network->weights;
  const Spec& spec = weights.spec();
  const Layout& layout = recorded.layout;
  const auto sequence = [&](const Array& a, int width, const char* what, const char* like) {
    return a ? Array(shaped<T>(*a, layout.sequence(width), spec.name(), what, like)) : a;
  };
  const auto rows = [&](const Array& a) { return a ? layout.rows<T>(*a) : Rows<const T>{}; };
  Gradients<T> gradients{};
  const Array dy_kept = sequence(dy, spec.output_size(), "grad_output", "output");
  const Array dc_kept = sequence(dc_all, spec.directions() * spec.hidden_size, "grad_states", "cell states");
  gradients.dy = rows(dy_kept);
  gradients.dc_all = rows(dc_kept);
  const Tensor& model = recorded.network->arrays[0];
  std::vector<Array> final(spec.has_cell_state() ? 2 : 1), initial = new_state<T>(spec, layout, model), reset;
  require(dstate.size() <= final.size(), "grad_state should hold ", final.size(), " arrays, got ", dstate.size());
  for (std::size_t i = 0; i < dstate.size(); ++i)
    if (dstate[i]) final[i] = shaped<T>(*dstate[i], initial[i]->shape(), spec.name(), "grad_state", "state");
  gradients.dfinal = pointers<T>(final);
  gradients.dinitial = outputs<T>(initial);
  if (recorded.reset) {
    reset = new_state<T>(spec, layout, model);
    for (Array& a : reset) std::fill_n(writable<T>(*a), a->size(), T(0));
    gradients.dreset = outputs<T>(reset);
  }
  std::vector<std::vector<Array>> states;  // in scan order
  for (int i = 0; all_states && i < spec.num_layers * spec.directions(); ++i) {
    states.push_back({Tensor::empty<T>({layout.steps, layout.batch, spec.recurrent_size()}, model)});
    if (spec.has_cell_state())
      states.back().emplace_back(Tensor::empty<T>({layout.steps, layout.batch, spec.hidden_size}, model));
    gradients.states.push_back(outputs<T>(states.back()));
  }
  Array dx;
  if (want_input) {
    dx = Tensor::empty<T>(layout.sequence(spec.input_size), model);
    gradients.dx = layout.rows(*dx, writable<T>(*dx));
  }
  std::vector<Tensor> parameters;
  for (const Parameter& p : want_parameters ? spec.parameters() : std::vector<Parameter>()) {
    parameters.push_back(Tensor::empty<T>(Shape(p.shape.begin(), p.shape.end()), model));
    gradients.parameters.push_back(writable<T>(parameters.back()));
  }
  {
    const CallThreads threads(model);
    const py::gil_scoped_release release;
    backward(weights, recorded.tape, gradients);
  }
  return py::make_tuple(dx, initial, parameters, reset, states);
}

// Returns the slots [T,B,S,H] of one layer and direction in scan order, as a read-only view.
template <class T> py::array slots_of(const Recorded<T>& recorded, int index, const py::object& owner) {
  const Spec& spec = recorded.network->weights.spec();
  const StepBuffer<T>& gates = recorded.tape.direction.at(index).gates;
  const std::ptrdiff_t H = spec.hidden_size, S = spec.slots();
  py::array view = py::array_t<T>(Shape{gates.steps, gates.batch, S, H}, gates.data.data(), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

// Returns the input of a layer, [T,B,I], which is the output of the layer below.
template <class T> py::array input_of(const Recorded<T>& recorded, int layer, const py::object& owner) {
  const StepBuffer<T>& input = recorded.tape.input.at(layer);
  py::array view = py::array_t<T>(Shape{input.steps, input.batch, input.width}, input.data.data(), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

}  // namespace

void register_tape(py::module_& m) {
  using namespace py::literals;
  py::class_<PyTape>(m, "Tape", "What backward needs of one forward call; may be used more than once.")
      .def(
          "backward",
          [](const PyTape& self, const Array& dy, const std::vector<Array>& dstate, const Array& dc_all, bool all,
             bool want_input, bool want_parameters) {
            return std::visit(
                [&](const auto& r) { return run_backward(*r, dy, dstate, dc_all, all, want_input, want_parameters); },
                self.recorded);
          },
          "grad_output"_a, "grad_state"_a, "grad_states"_a = py::none(), "all_states"_a = false, "want_input"_a = true,
          "want_parameters"_a = true,
          "(grad_input or None, grad_state, grad_parameters or [], grad_reset_state, [(dh, dc) of all steps in scan "
          "order])")
      .def(
          "slots",
          [](const py::object& self, int index) {
            return std::visit([&](const auto& r) { return slots_of(*r, index, self); },
                              self.cast<const PyTape&>().recorded);
          },
          "index"_a, "Gates of direction `index` of all layers, [T,B,S,H] in scan order; a view.")
      .def(
          "input",
          [](const py::object& self, int layer) {
            return std::visit([&](const auto& r) { return input_of(*r, layer, self); },
                              self.cast<const PyTape&>().recorded);
          },
          "layer"_a, "Input of a layer, [T,B,I]; a view.");
}

}  // namespace pyrnn
