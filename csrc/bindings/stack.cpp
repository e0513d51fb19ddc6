// _core.Spec, _core.Weights (forward, record) and _core.Tape (backward).
#include "runtime/stack.h"

#include <pybind11/stl.h>

#include <variant>

#include "bindings/arrays.h"
#include "bindings/register.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

template <class T> const Ops<T>& ops_of(const Isa& isa) {
  if constexpr (sizeof(T) == sizeof(float)) return isa.f32;
  else return isa.f64;
}

// Weights and the arrays they were packed from.
template <class T> struct Network {
  std::vector<py::array> arrays;
  Weights<T> weights;
  Network(const Spec& spec, std::vector<py::array> kept, const Isa& isa)
      : arrays(std::move(kept)), weights(spec, pointers(), ops_of<T>(isa)) {}
  std::vector<const T*> pointers() const {
    std::vector<const T*> all;
    for (const py::array& a : arrays) all.push_back(static_cast<const T*>(a.data()));
    return all;
  }
};

template <class T> using Shared = std::shared_ptr<const Network<T>>;

struct PyWeights {
  std::variant<Shared<float>, Shared<double>> network;
};

template <class T> struct Recorded {
  Shared<T> network;
  Layout layout;
  Tape<T> tape;
};

struct PyTape {
  std::variant<std::shared_ptr<const Recorded<float>>, std::shared_ptr<const Recorded<double>>> recorded;
};

template <class T>
PyWeights pack_weights(const Spec& spec, const std::vector<py::array>& parameters, const Isa& isa) {
  const std::vector<Parameter> expected = spec.parameters();
  require(parameters.size() == expected.size(), "expected ", expected.size(), " parameters, got ", parameters.size());
  std::vector<py::array> kept;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Shape shape(expected[i].shape.begin(), expected[i].shape.end());
    require(shape_of(parameters[i]) == shape, expected[i].name, " should have shape ", text(shape, "()"), ", got ",
            text(shape_of(parameters[i]), "()"));
    kept.push_back(contiguous<T>(parameters[i], spec.name(), "parameter"));
  }
  return {std::make_shared<const Network<T>>(spec, std::move(kept), isa)};
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

template <class T>
py::tuple run(const Shared<T>& network, const py::array& given, const std::vector<Array>& state, bool batch_first,
              const std::vector<py::array>& masks, bool record) {
  const Spec& spec = network->weights.spec();
  check_input(spec, shape_of(given));
  const py::array x = readable<T>(given, spec.name(), "input");
  const Layout layout(shape_of(x), batch_first);
  std::vector<Array> initial(spec.has_cell_state() ? 2 : 1);
  if (!state.empty()) {
    std::vector<Shape> shapes;
    for (const Array& a : state) shapes.push_back(shape_of(*a));
    check_state(spec, shapes, layout.batched, layout.batch);
    for (std::size_t i = 0; i < state.size(); ++i) initial[i] = contiguous<T>(*state[i], spec.name(), "hx");
  }
  std::vector<py::array> kept_masks;
  Call<T> call{layout.steps, layout.batch, layout.rows(x, static_cast<const T*>(x.data())), pointers<T>(initial)};
  for (const py::array& mask : masks) {
    kept_masks.push_back(shaped<T>(mask, {layout.steps, layout.batch, spec.output_size()}, spec.name(), "dropout mask",
                                   "layer's output"));
    call.mask.push_back(static_cast<const T*>(kept_masks.back().data()));
  }
  py::array y = py::array_t<T>(layout.sequence(spec.output_size()));
  std::vector<Array> final = new_state<T>(spec, layout);
  call.y = layout.rows(y, writable<T>(y));
  call.final = outputs<T>(final);
  const auto recorded = record ? std::make_shared<Recorded<T>>(network, layout) : nullptr;
  {
    const py::gil_scoped_release release;
    forward(network->weights, call, record ? &recorded->tape : nullptr);
  }
  if (!record) return py::make_tuple(y, final);
  return py::make_tuple(y, final, PyTape{std::shared_ptr<const Recorded<T>>(recorded)});
}

template <class T>
py::tuple run_backward(const Recorded<T>& recorded, const Array& dy, const std::vector<Array>& dstate) {
  const Weights<T>& weights = recorded.network->weights;
  const Spec& spec = weights.spec();
  const Layout& layout = recorded.layout;
  Gradients<T> gradients{};
  Array dy_kept;
  if (dy) {
    dy_kept = shaped<T>(*dy, layout.sequence(spec.output_size()), spec.name(), "grad_output", "output");
    gradients.dy = layout.rows(*dy_kept, data_of<T>(dy_kept));
  }
  std::vector<Array> final(spec.has_cell_state() ? 2 : 1), initial = new_state<T>(spec, layout);
  require(dstate.size() <= final.size(), "grad_state should hold ", final.size(), " arrays, got ", dstate.size());
  for (std::size_t i = 0; i < dstate.size(); ++i)
    if (dstate[i]) final[i] = shaped<T>(*dstate[i], shape_of(*initial[i]), spec.name(), "grad_state", "state");
  gradients.dfinal = pointers<T>(final);
  gradients.dinitial = outputs<T>(initial);
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
  return py::make_tuple(dx, initial, parameters);
}

std::vector<std::pair<std::string, py::tuple>> parameters_of(const Spec& spec) {
  std::vector<std::pair<std::string, py::tuple>> all;
  for (const Parameter& p : spec.parameters()) all.emplace_back(p.name, py::tuple(py::cast(p.shape)));
  return all;
}

Spec make_spec(const std::string& cell, int input_size, int hidden_size, int num_layers, bool bidirectional, bool bias,
               int proj_size) {
  const Spec spec{cell_named(cell), input_size, hidden_size, num_layers, bidirectional, bias, proj_size};
  spec.check();
  return spec;
}

}  // namespace

void register_stack(py::module_& m) {
  using namespace py::literals;
  py::class_<Spec>(m, "Spec", "What a recurrent network is made of; checks its sizes.")
      .def(py::init(&make_spec), "cell"_a, "input_size"_a, "hidden_size"_a, "num_layers"_a = 1,
           "bidirectional"_a = false, "bias"_a = true, "proj_size"_a = 0)
      .def_property_readonly("parameters", parameters_of, "Names and shapes, in torch's order.")
      .def_property_readonly("gates", &Spec::gate_names, "The order of the gate blocks in a weight's rows.");

  py::class_<PyWeights>(m, "Weights", "The parameters of a network, packed for one ISA; immutable.")
      .def(py::init(&make_weights), "spec"_a, "parameters"_a, "isa"_a = py::none())
      .def(
          "run",
          [](const PyWeights& self, const py::array& x, const std::vector<Array>& state, bool batch_first,
             const std::vector<py::array>& masks, bool record) {
            return std::visit([&](const auto& n) { return run(n, x, state, batch_first, masks, record); }, self.network);
          },
          "x"_a, "state"_a, "batch_first"_a, "masks"_a, "record"_a,
          "(output, state) or, with record, (output, state, tape). state: [], [h] or [h, c].");

  py::class_<PyTape>(m, "Tape", "What backward needs of one forward call; may be used more than once.")
      .def(
          "backward",
          [](const PyTape& self, const Array& dy, const std::vector<Array>& dstate) {
            return std::visit([&](const auto& r) { return run_backward(*r, dy, dstate); }, self.recorded);
          },
          "grad_output"_a, "grad_state"_a, "(grad_input, grad_state, grad_parameters)");
}

}  // namespace pyrnn
