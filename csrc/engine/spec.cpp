#include "engine/spec.h"

#include <climits>

#include "checks/quoting.h"
#include "checks/require.h"
#include "isa/select.h"

namespace pyrnn {
namespace {

constexpr int most_units = INT_MAX / 64, most_layers = 65'535;  // pyrnn/checks/arguments.py has the same limits

}  // namespace

const CellFacts* cell_named(std::string_view name) {
  std::string known;
  for (const CellFacts& cell : cells()) {
    if (name == cell.name) return &cell;
    known += (cell.index ? ", " : "") + std::string(cell.name);
  }
  fail("cell should be one of ", known, ", got ", quoted(name));
}

namespace {

constexpr const char* activation_names[activation_count] = {
    "tanh",       "sigmoid", "relu", "identity", "hard_sigmoid_keras2", "hard_sigmoid_keras3",
    "leaky_relu", "elu",     "selu", "softsign", "exponential",         "silu",
    "gelu_tanh"};

Activation named(const std::string& name, const char* what, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    if (name == activation_names[i]) return static_cast<Activation>(i);
    all += (i ? ", " : "") + std::string(activation_names[i]);
  }
  fail(what, " should be one of ", all, ", got ", quoted(name));
}

}  // namespace

Activation cell_activation_named(const std::string& name, const char* what) {
  return named(name, what, cell_activation_count);
}

Activation activation_named(const std::string& name) { return named(name, "activation", activation_count); }

bool Spec::is_standard() const noexcept {
  return activation == Activation::tanh && recurrent_activation == Activation::sigmoid && !peephole;
}

void Spec::check() const {
  require(input_size > 0, "input_size must be greater than zero, got ", input_size);
  require(hidden_size > 0, "hidden_size must be greater than zero, got ", hidden_size);
  require(num_layers > 0, "num_layers must be greater than zero, got ", num_layers);
  require(num_layers <= most_layers, "num_layers must be at most ", most_layers, ", got ", num_layers);
  require(proj_size >= 0, "proj_size should be a positive integer or zero to disable projections, got ", proj_size);
  require(proj_size == 0 || cell->projection, "proj_size argument is only supported for LSTM, not RNN or GRU");
  require(proj_size < hidden_size, "proj_size has to be smaller than hidden_size (", hidden_size, "), got ",
          proj_size);
  require(!peephole || cell->peephole, "peephole is only supported for LSTM, not RNN or GRU");
  // In the kernels, offsets inside a row of gates and the width of a layer's input are ints.
  require(hidden_size <= most_units && input_size <= most_units, "input_size and hidden_size must be at most ",
          most_units);
}

std::vector<Parameter> Spec::parameters() const {
  std::vector<Parameter> all;
  const int rows = gates() * hidden_size;
  for (int layer = 0; layer < num_layers; ++layer)
    for (int direction = 0; direction < directions(); ++direction) {
      const std::string suffix = "_l" + std::to_string(layer) + (direction ? "_reverse" : "");
      all.push_back({"weight_ih" + suffix, {rows, layer_input_size(layer)}});
      all.push_back({"weight_hh" + suffix, {rows, recurrent_size()}});
      if (bias) all.push_back({"bias_ih" + suffix, {rows}});
      if (bias) all.push_back({"bias_hh" + suffix, {rows}});
      if (peephole) all.push_back({"weight_peephole" + suffix, {3 * hidden_size}});
      if (proj_size) all.push_back({"weight_hr" + suffix, {proj_size, hidden_size}});
    }
  return all;
}

std::string text(const Shape& shape, const char* brackets) {
  std::string out(1, brackets[0]);
  for (std::size_t i = 0; i < shape.size(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + brackets[1];
}

void check_input(const Spec& spec, const Shape& input) {
  require(input.size() == 2 || input.size() == 3, spec.name(), ": Expected input to be 2D or 3D, got ", input.size(),
          std::string_view(spec.name()) == "RNN" ? "D tensor instead" : "D instead");
  require<std::runtime_error>(input.back() == spec.input_size, "input.size(-1) must be equal to input_size. Expected ",
                              spec.input_size, ", got ", input.back());
}

void check_extent(std::ptrdiff_t steps, std::ptrdiff_t batch) {
  require<std::runtime_error>(steps > 0, "Expected sequence length to be larger than 0 in RNN");
  require(steps <= INT_MAX / 2 && (batch == 0 || steps <= INT_MAX / 2 / batch),
          "sequence length times batch must be at most ", INT_MAX / 2, ", got ", steps, " x ", batch,
          ": run the sequence in parts");
}

void check_state(const Spec& spec, const std::vector<Shape>& state, bool batched, std::ptrdiff_t batch) {
  const std::size_t rank = batched ? 3 : 2;
  const char* kind = batched ? "For batched 3-D input, " : "For unbatched 2-D input, ";
  if (spec.has_cell_state()) {
    require<std::runtime_error>(state[0].size() == rank && state[1].size() == rank, kind, "hx and cx should also be ",
                                rank, "-D but got (", state[0].size(), "-D, ", state[1].size(), "-D) tensors");
  } else {
    require<std::runtime_error>(state[0].size() == rank, kind, "hx should also be ", rank, "-D but got ",
                                state[0].size(), "-D tensor");
  }
  for (std::size_t i = 0; i < state.size(); ++i) {
    const Shape expected = {static_cast<std::ptrdiff_t>(spec.num_layers) * spec.directions(), batch,
                            i == 0 ? spec.recurrent_size() : spec.hidden_size};
    Shape got = state[i];
    if (!batched) got.insert(got.begin() + 1, 1);
    if (got != expected)
      fail<std::runtime_error>("Expected hidden", spec.has_cell_state() ? "[" + std::to_string(i) + "]" : "", " size ",
                               text(expected, "()"), ", got ", text(got, "[]"));
  }
}

}  // namespace pyrnn
