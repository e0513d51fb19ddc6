// _core.Spec, and _core.Weights with forward, with or without a tape.
#include <pybind11/stl.h>

#include "bindings/network.h"
#include "bindings/openmp.h"
#include "bindings/register.h"
#include "isa/select.h"
#include "checks/quoting.h"

namespace pyrnn {
namespace {

template <class T> const Ops<T>& ops_of(const Isa& isa) {
  if constexpr (sizeof(T) == sizeof(float)) return isa.f32;
  else return isa.f64;
}

// The options of a call besides input and state; pyrnn/core/recurrent.py explains them.
struct Asked {
  Array active;
  bool hold = false;
  Array reset;
  std::vector<Array> reset_state;
  bool all_cell_states = false;
  int every = 0;
  bool is_step = false;
};

Format format_named(const std::string& name, bool wide) {
  if (name == "float32") return Format::native;
  require(name == "bf16" || name == "int8", "format should be \"float32\", \"bf16\" or \"int8\", got ", quoted(name));
  require(!wide, "format \"", name, "\" is for float32 parameters, got float64");
  return name == "bf16" ? Format::bf16 : Format::int8;
}

template <class T>
PyWeights pack_weights(const Spec& spec, const std::vector<Tensor>& parameters, const Isa& isa, Format format) {
  const std::vector<Parameter> expected = spec.parameters();
  require(parameters.size() == expected.size(), "expected ", expected.size(), " parameters, got ", parameters.size());
  std::vector<Tensor> kept;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Shape shape(expected[i].shape.begin(), expected[i].shape.end());
    require(parameters[i].shape() == shape, expected[i].name, " should have shape ", text(shape, "()"), ", got ",
            text(parameters[i].shape(), "()"));
    kept.push_back(contiguous<T>(parameters[i], spec.name(), "parameter").alias());
  }
  return {std::make_shared<const Network<T>>(spec, std::move(kept), ops_of<T>(isa), format)};
}

PyWeights make_weights(const Spec& spec, const std::vector<Tensor>& parameters,
                       const std::optional<std::string>& isa_name, const std::string& format_name) {
  const Isa& chosen = isa_name ? isa_named(*isa_name) : isa();
  const bool wide = !parameters.empty() && parameters[0].itemsize() == sizeof(double);
  const Format format = format_named(format_name, wide);
  return wide ? pack_weights<double>(spec, parameters, chosen, format)
              : pack_weights<float>(spec, parameters, chosen, format);
}

// Returns the arrays of a state, checked and contiguous; empty if the caller gave none.
template <class T>
std::vector<Array> checked_state(const Spec& spec, const Layout& layout, const std::vector<Array>& given,
                                 const char* what) {
  std::vector<Array> state(spec.has_cell_state() ? 2 : 1);
  if (given.empty()) return state;
  std::vector<Shape> shapes;
  require(given.size() == state.size(), what, " should hold ", state.size(), " arrays, got ", given.size());
  for (const Array& a : given) {
    require(a.has_value(), what, " should be made of arrays, got None in it");
    shapes.push_back(a->shape());
    if (layout.is_step) shapes.back().insert(shapes.back().begin(), 1);
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

Array copy_of(const Array& a) { return a ? Array(a->copy()) : a; }

template <class T>
py::tuple run(const Shared<T>& network, const Tensor& given, const std::vector<Array>& state, bool batch_first,
              const std::vector<Tensor>& masks, bool keep, Asked asked) {
  const Spec& spec = network->weights.spec();
  const Tensor& like = network->arrays[0];
  require(!keep || network->weights.format() == Format::native, "quantised weights are for inference: no tape");
  check_input(spec, given.shape());
  require(!asked.is_step || (given.ndim() == 2 && spec.num_layers * spec.directions() == 1),
          "one step is [B,I], of one layer and direction");
  const Tensor x = readable<T>(given, spec.name(), "input");
  const Layout layout(x.shape(), batch_first, asked.is_step);
  const std::vector<Array> initial = checked_state<T>(spec, layout, state, "hx");
  const auto recorded = keep ? std::make_shared<Recorded<T>>(network, layout) : nullptr;
  if (keep && asked.every) recorded->x = x.alias();
  if (keep) {  // the caller may change the arrays before backward runs
    recorded->active = asked.active = copy_of(asked.active), recorded->reset = asked.reset = copy_of(asked.reset);
    for (Array& a : asked.reset_state) a = copy_of(a);
  }
  std::vector<Array> reset_state;
  Call<T> call{layout.steps, layout.batch, layout.rows<T>(x), pointers<T>(initial)};
  call.options = options_of<T>(spec, layout, asked, reset_state);
  if (keep) recorded->reset_state = reset_state;
  require(asked.every >= 0, "checkpoints: expected one every so many steps, or 0 for none, got ", asked.every);
  const std::size_t between = spec.num_layers - 1;
  require(masks.empty() || masks.size() == between,
          "dropout masks: expected none, or one for the output of each layer "
          "but the last, ",
          between, ", got ", masks.size());
  std::vector<Tensor> kept_masks;
  for (const Tensor& mask : masks) {
    kept_masks.push_back(shaped<T>(mask, {layout.steps, layout.batch, spec.output_size()}, spec.name(), "dropout mask",
                                   "layer's output"));
    call.mask.push_back(data_of<T>(kept_masks.back()));
  }
  const Tensor y = Tensor::empty<T>(layout.sequence(spec.output_size()), like);
  const std::vector<Array> final = new_state<T>(spec, layout, like);
  Array c_all;
  call.y = layout.rows(y, writable<T>(y));
  call.final = outputs<T>(final);
  if (asked.all_cell_states) {
    c_all = Tensor::empty<T>(layout.sequence(spec.directions() * spec.hidden_size), like);
    call.c_all = layout.rows(*c_all, writable<T>(*c_all));
  }
  {
    const CallThreads threads(like);
    const py::gil_scoped_release release;
    if (keep) {
      record(network->weights, call, asked.every, recorded->tape);
    } else {
      Workspace<T> workspace(network->weights, layout.steps, layout.batch);
      infer(network->weights, call, workspace);
    }
  }
  return py::make_tuple(y, final, c_all,
                        keep ? py::cast(PyTape{std::shared_ptr<const Recorded<T>>(recorded)}) : py::none());
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
                  cell_activation_named(activation, "activation"),
                  cell_activation_named(recurrent_activation, "recurrent_activation"),
                  peephole};
  spec.check();
  return spec;
}

}  // namespace

void register_stack(py::module_& m) {
  using namespace py::literals;
  py::class_<Spec>(m, "Spec", "What a recurrent network is made of; checks its sizes.")
      .def_static("make", &make_spec, "cell"_a, "input_size"_a, "hidden_size"_a, "num_layers"_a = 1,
                  "bidirectional"_a = false, "bias"_a = true, "proj_size"_a = 0, "activation"_a = "tanh",
                  "recurrent_activation"_a = "sigmoid", "peephole"_a = false)
      .def_property_readonly("parameters", parameters_of, "Names and shapes, in torch's order.")
      .def_property_readonly("has_cell_state", &Spec::has_cell_state, "Whether the state is a pair (h, c).");

  py::class_<PyWeights>(m, "Weights", "The parameters of a network, packed for one ISA; immutable.")
      .def_static("pack", &make_weights, "spec"_a, "parameters"_a, "isa"_a = py::none(), "format"_a = "float32")
      .def_property_readonly(
          "nbytes",
          [](const PyWeights& self) {
            return std::visit([](const auto& n) { return n->weights.bytes(); }, self.network);
          },
          "Bytes that the packed weights take.")
      .def(
          "run",
          [](const PyWeights& self, const Tensor& x, const std::vector<Array>& state, bool batch_first,
             const std::vector<Tensor>& masks, bool record, const Array& active, bool hold, const Array& reset,
             const std::vector<Array>& reset_state, bool all_cell_states, int every, bool is_step) {
            Asked asked{active, hold, reset, reset_state, all_cell_states, every, is_step};
            return std::visit([&](const auto& n) { return run(n, x, state, batch_first, masks, record, asked); },
                              self.network);
          },
          "x"_a, "state"_a, "batch_first"_a, "masks"_a, "record"_a, "active"_a = py::none(), "hold"_a = false,
          "reset"_a = py::none(), "reset_state"_a = std::vector<Array>(), "all_cell_states"_a = false, "every"_a = 0,
          "is_step"_a = false, "(output, state, cell states or None, tape or None). A state is [], [h] or [h, c].")
      .def(
          "__deepcopy__", [](const py::object& self, const py::dict&) { return self; }, "memo"_a)
      .def(
          "holds",
          [](const PyWeights& self, const std::vector<Tensor>& parameters) {
            return std::visit([&](const auto& n) { return n->holds(parameters); }, self.network);
          },
          "parameters"_a, "Whether these are the tensors that were packed, with the numbers they had.");
}

}  // namespace pyrnn
