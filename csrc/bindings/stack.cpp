// _core.Spec, _core.Weights (forward, record) and _core.Tape (backward).
#include "runtime/stack.h"

#include <pybind11/stl.h>

#include "bindings/network.h"
#include "bindings/register.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

template <class T> const Ops<T>& ops_of(const Isa& isa) {
  if constexpr (sizeof(T) == sizeof(float)) return isa.f32;
  else return isa.f64;
}

// What backward needs: the tape, and the arrays its options point into.
template <class T> struct Recorded {
  Shared<T> network;
  Layout layout;
  Array x, active, reset;  // x with checkpoints only: else the tape has a copy
  std::vector<Array> reset_state;
  Tape<T> tape;
};

struct PyTape {
  std::variant<std::shared_ptr<const Recorded<float>>, std::shared_ptr<const Recorded<double>>> recorded;
};

// What a call may ask for beyond input and state; pyrnn/recurrent.py says what each means.
struct Asked {
  Array active;
  bool hold;
  Array reset;
  std::vector<Array> reset_state;
  bool all_cell_states;
  int every;
};

template <class T> PyWeights pack_weights(const Spec& spec, const std::vector<py::array>& parameters, const Isa& isa) {
  const std::vector<Parameter> expected = spec.parameters();
  require(parameters.size() == expected.size(), "expected ", expected.size(), " parameters, got ", parameters.size());
  std::vector<py::array> kept;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Shape shape(expected[i].shape.begin(), expected[i].shape.end());
    require(shape_of(parameters[i]) == shape, expected[i].name, " should have shape ", text(shape, "()"), ", got ",
            text(shape_of(parameters[i]), "()"));
    kept.push_back(contiguous<T>(parameters[i], spec.name(), "parameter"));
  }
  return {std::make_shared<const Network<T>>(spec, std::move(kept), ops_of<T>(isa))};
}

PyWeights make_weights(const Spec& spec, const std::vector<py::array>& parameters,
                       const std::optional<std::string>& isa_name) {
  const Isa& chosen = isa_name ? isa_named(*isa_name) : isa();
  const bool wide = !parameters.empty() && parameters[0].dtype().itemsize() == sizeof(double);
  return wide ? pack_weights<double>(spec, parameters, chosen) : pack_weights<float>(spec, parameters, chosen);
}

template <class T> State<const T> pointers(const std::vector<Array>& arrays) {
  return {data_of<T>(arrays[0]), arrays.size() > 1 ? data_of<T>(arrays[1]) : nullptr};
}

// h, or h and c, made anew in the caller's shape.
template <class T> std::vector<Array> new_state(const Spec& spec, const Layout& layout) {
  std::vector<Array> state = {py::array_t<T>(layout.state(spec, spec.recurrent_size()))};
  if (spec.has_cell_state()) state.emplace_back(py::array_t<T>(layout.state(spec, spec.hidden_size)));
  return state;
}

template <class T> State<T> outputs(std::vector<Array>& arrays) {
  return {writable<T>(*arrays[0]), arrays.size() > 1 ? writable<T>(*arrays[1]) : nullptr};
}

// One array of a state after the other, checked and contiguous; empty if none were given.
template <class T>
std::vector<Array> checked_state(const Spec& spec, const Layout& layout, const std::vector<Array>& given,
                                 const char* what) {
  std::vector<Array> state(spec.has_cell_state() ? 2 : 1);
  if (given.empty()) return state;
  std::vector<Shape> shapes;
  require(given.size() == state.size(), what, " should hold ", state.size(), " arrays, got ", given.size());
  for (const Array& a : given) {
    require(a.has_value(), what, " should be made of NumPy arrays, got None in it");
    shapes.push_back(shape_of(*a));
  }
  check_state(spec, shapes, layout.batched, layout.batch);
  for (std::size_t i = 0; i < given.size(); ++i) state[i] = contiguous<T>(*given[i], spec.name(), what);
  return state;
}

template <class T>
StepOptions<T> options_of(const Spec& spec, const Layout& layout, const Asked& asked,
                          std::vector<Array>& reset_state) {
  StepOptions<T> options;
  options.active = flags_of(asked.active, layout, "mask");
  options.hold = asked.hold;
  options.reset = flags_of(asked.reset, layout, "reset");
  require(!asked.reset || !spec.bidirectional,
          "reset is not possible in a bidirectional layer: its reverse direction comes from the future, where it "
          "would be cut at the end of an episode, not at its start");
  reset_state = checked_state<T>(spec, layout, asked.reset_state, "reset_state");
  options.reset_to = pointers<T>(reset_state);
  return options;
}

Array copy_of(const Array& a) { return a ? Array(a->attr("copy")().cast<py::array>()) : a; }

template <class T>
py::tuple run(const Shared<T>& network, const py::array& given, const std::vector<Array>& state, bool batch_first,
              const std::vector<py::array>& masks, bool keep, Asked asked) {
  const Spec& spec = network->weights.spec();
  check_input(spec, shape_of(given));
  const py::array x = readable<T>(given, spec.name(), "input");
  const Layout layout(shape_of(x), batch_first);
  const std::vector<Array> initial = checked_state<T>(spec, layout, state, "hx");
  const auto recorded = keep ? std::make_shared<Recorded<T>>(network, layout) : nullptr;
  if (keep && asked.every) recorded->x = x;
  if (keep) {  // the caller may change his arrays before backward runs
    recorded->active = asked.active = copy_of(asked.active), recorded->reset = asked.reset = copy_of(asked.reset);
    for (Array& a : asked.reset_state) a = copy_of(a);
  }
  std::vector<Array> reset_state;
  Call<T> call{layout.steps, layout.batch, layout.rows(x, static_cast<const T*>(x.data())), pointers<T>(initial)};
  call.options = options_of<T>(spec, layout, asked, reset_state);
  if (keep) recorded->reset_state = reset_state;
  std::vector<py::array> kept_masks;
  for (const py::array& mask : masks) {
    kept_masks.push_back(shaped<T>(mask, {layout.steps, layout.batch, spec.output_size()}, spec.name(), "dropout mask",
                                   "layer's output"));
    call.mask.push_back(static_cast<const T*>(kept_masks.back().data()));
  }
  py::array y = py::array_t<T>(layout.sequence(spec.output_size()));
  std::vector<Array> final = new_state<T>(spec, layout);
  Array c_all;
  call.y = layout.rows(y, writable<T>(y));
  call.final = outputs<T>(final);
  if (asked.all_cell_states) {
    c_all = py::array_t<T>(layout.sequence(spec.directions() * spec.hidden_size));
    call.c_all = layout.rows(*c_all, writable<T>(*c_all));
  }
  {
    const py::gil_scoped_release release;
    if (keep) {
      record(network->weights, call, asked.every, recorded->tape);
    } else {
      Workspace<T> room(spec, layout.steps, layout.batch);
      infer(network->weights, call, room);
    }
  }
  return py::make_tuple(y, final, c_all,
                        keep ? py::cast(PyTape{std::shared_ptr<const Recorded<T>>(recorded)}) : py::none());
}

template <class T>
py::tuple run_backward(const Recorded<T>& recorded, const Array& dy, const std::vector<Array>& dstate,
                       const Array& dc_all, bool all_states) {
  const Weights<T>& weights = recorded.network->weights;
  const Spec& spec = weights.spec();
  const Layout& layout = recorded.layout;
  const auto sequence = [&](const Array& a, int width, const char* what, const char* like) {
    return a ? Array(shaped<T>(*a, layout.sequence(width), spec.name(), what, like)) : a;
  };
  const auto rows = [&](const Array& a) { return a ? layout.rows(*a, data_of<T>(a)) : Rows<const T>{}; };
  Gradients<T> gradients{};
  const Array dy_kept = sequence(dy, spec.output_size(), "grad_output", "output");
  const Array dc_kept = sequence(dc_all, spec.directions() * spec.hidden_size, "grad_states", "cell states");
  gradients.dy = rows(dy_kept);
  gradients.dc_all = rows(dc_kept);
  std::vector<Array> final(spec.has_cell_state() ? 2 : 1), initial = new_state<T>(spec, layout), reset;
  require(dstate.size() <= final.size(), "grad_state should hold ", final.size(), " arrays, got ", dstate.size());
  for (std::size_t i = 0; i < dstate.size(); ++i)
    if (dstate[i]) final[i] = shaped<T>(*dstate[i], shape_of(*initial[i]), spec.name(), "grad_state", "state");
  gradients.dfinal = pointers<T>(final);
  gradients.dinitial = outputs<T>(initial);
  if (recorded.reset) {
    reset = new_state<T>(spec, layout);
    for (Array& a : reset) std::fill_n(writable<T>(*a), a->size(), T(0));
    gradients.dreset = outputs<T>(reset);
  }
  std::vector<std::vector<Array>> states;  // in scan order
  for (int i = 0; all_states && i < spec.num_layers * spec.directions(); ++i) {
    states.push_back({py::array_t<T>(Shape{layout.steps, layout.batch, spec.recurrent_size()})});
    if (spec.has_cell_state())
      states.back().emplace_back(py::array_t<T>(Shape{layout.steps, layout.batch, spec.hidden_size}));
    gradients.states.push_back(outputs<T>(states.back()));
  }
  py::array dx = py::array_t<T>(layout.sequence(spec.input_size));
  gradients.dx = layout.rows(dx, writable<T>(dx));
  std::vector<py::array> parameters;
  for (const Parameter& p : spec.parameters()) {
    parameters.push_back(py::array_t<T>(Shape(p.shape.begin(), p.shape.end())));
    gradients.parameters.push_back(writable<T>(parameters.back()));
  }
  {
    const py::gil_scoped_release release;
    backward(weights, recorded.tape, gradients);
  }
  return py::make_tuple(dx, initial, parameters, reset, states);
}

// What the tape holds of one layer and direction, in scan order, as read-only views: the slots [T,B,S,H].
template <class T> py::array slots_of(const Recorded<T>& recorded, int index, const py::object& owner) {
  const Spec& spec = recorded.network->weights.spec();
  const StepBuffer<T>& gates = recorded.tape.direction.at(index).gates;
  const std::ptrdiff_t H = spec.hidden_size, S = spec.slots();
  py::array view = py::array_t<T>(Shape{gates.steps, gates.batch, S, H}, gates.data.data(), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

// The input of a layer, [T,B,I]: the output of the one below.
template <class T> py::array input_of(const Recorded<T>& recorded, int layer, const py::object& owner) {
  const StepBuffer<T>& input = recorded.tape.input.at(layer);
  py::array view = py::array_t<T>(Shape{input.steps, input.batch, input.width}, input.data.data(), owner);
  view.attr("flags").attr("writeable") = false;
  return view;
}

std::vector<std::pair<std::string, py::tuple>> parameters_of(const Spec& spec) {
  std::vector<std::pair<std::string, py::tuple>> all;
  for (const Parameter& p : spec.parameters()) all.emplace_back(p.name, py::tuple(py::cast(p.shape)));
  return all;
}

Spec make_spec(const std::string& cell, int input_size, int hidden_size, int num_layers, bool bidirectional, bool bias,
               int proj_size, const std::string& activation, const std::string& recurrent_activation, bool peephole) {
  const Spec spec{cell_named(cell),
                  input_size,
                  hidden_size,
                  num_layers,
                  bidirectional,
                  bias,
                  proj_size,
                  activation_named(activation, "activation"),
                  activation_named(recurrent_activation, "recurrent_activation"),
                  peephole};
  spec.check();
  return spec;
}

}  // namespace

void register_stack(py::module_& m) {
  using namespace py::literals;
  py::class_<Spec>(m, "Spec", "What a recurrent network is made of; checks its sizes.")
      .def(py::init(&make_spec), "cell"_a, "input_size"_a, "hidden_size"_a, "num_layers"_a = 1,
           "bidirectional"_a = false, "bias"_a = true, "proj_size"_a = 0, "activation"_a = "tanh",
           "recurrent_activation"_a = "sigmoid", "peephole"_a = false)
      .def_property_readonly("parameters", parameters_of, "Names and shapes, in torch's order.")
      .def_property_readonly("gates", &Spec::gate_names, "The order of the gate blocks in a weight's rows.");

  py::class_<PyWeights>(m, "Weights", "The parameters of a network, packed for one ISA; immutable.")
      .def(py::init(&make_weights), "spec"_a, "parameters"_a, "isa"_a = py::none())
      .def(
          "run",
          [](const PyWeights& self, const py::array& x, const std::vector<Array>& state, bool batch_first,
             const std::vector<py::array>& masks, bool record, const Array& active, bool hold, const Array& reset,
             const std::vector<Array>& reset_state, bool all_cell_states, int every) {
            Asked asked{active, hold, reset, reset_state, all_cell_states, every};
            return std::visit([&](const auto& n) { return run(n, x, state, batch_first, masks, record, asked); },
                              self.network);
          },
          "x"_a, "state"_a, "batch_first"_a, "masks"_a, "record"_a, "active"_a = py::none(), "hold"_a = false,
          "reset"_a = py::none(), "reset_state"_a = std::vector<Array>(), "all_cell_states"_a = false, "every"_a = 0,
          "(output, state, cell states or None, tape or None). A state is [], [h] or [h, c].");

  py::class_<PyTape>(m, "Tape", "What backward needs of one forward call; may be used more than once.")
      .def(
          "backward",
          [](const PyTape& self, const Array& dy, const std::vector<Array>& dstate, const Array& dc_all, bool all) {
            return std::visit([&](const auto& r) { return run_backward(*r, dy, dstate, dc_all, all); }, self.recorded);
          },
          "grad_output"_a, "grad_state"_a, "grad_states"_a = py::none(), "all_states"_a = false,
          "(grad_input, grad_state, grad_parameters, grad_reset_state, [(dh, dc) of all steps in scan order])")
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
