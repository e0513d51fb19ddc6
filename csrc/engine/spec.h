// Spec: the description of a recurrent network. This file has the names and shapes of its parameters and every check
// of sizes, so that Python and C give the same messages.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dispatch/kernels.h"

namespace pyrnn {

struct Parameter {
  std::string name;
  std::vector<int> shape;
};

// Consecutive slots that take part in the recurrent product, in the order of W_hh's rows.
struct HiddenSlots {
  int slot, gates;  // first slot, number of gate blocks
  bool of_rh;       // its input is r h (slot 3), not h: the candidate of gru_reset_before
};

struct Spec {
  Cell cell;
  int input_size, hidden_size;
  int num_layers = 1;
  bool bidirectional = false;
  bool bias = true;
  int proj_size = 0;
  Activation activation = Activation::tanh, recurrent_activation = Activation::sigmoid;
  bool peephole = false;  // LSTM only

  void check() const;  // throws std::invalid_argument with torch's sentences

  int directions() const noexcept { return bidirectional ? 2 : 1; }
  int recurrent_size() const noexcept { return proj_size ? proj_size : hidden_size; }
  int output_size() const noexcept { return directions() * recurrent_size(); }
  int layer_input_size(int layer) const noexcept { return layer ? output_size() : input_size; }
  int gates() const noexcept;         // gate blocks in the rows of a weight
  int slots() const noexcept;         // numbers kept per unit and step: the sums, and c for the LSTM
  int sums() const noexcept;          // pre-activations per unit: the gates, and a fourth for either GRU
  bool is_standard() const noexcept;  // whether it uses the standard functions: tanh, sigmoid, no peepholes
  std::span<const HiddenSlots> hidden_slots() const noexcept;
  bool has_cell_state() const noexcept { return cell == Cell::lstm; }
  const char* name() const noexcept;        // torch's name of the class: RNN, LSTM, GRU

  // The parameters with torch's names in torch's order: layer by layer, forward before reverse.
  std::vector<Parameter> parameters() const;
};

Cell cell_named(const std::string& name);              // "rnn_tanh", ...; throws
Activation activation_named(const std::string& name);  // "hard_sigmoid_keras2", ...; throws
Activation cell_activation_named(const std::string& name, const char* what);  // the functions that a cell can use

// The shape of an input or a state: up to four sizes as the caller gave them.
using Shape = std::vector<std::ptrdiff_t>;
std::string text(const Shape& shape, const char* brackets);

// torch's checks of a call, in torch's order; `batched` distinguishes [T,B,I] from [T,I].
void check_input(const Spec& spec, const Shape& input);
void check_extent(std::ptrdiff_t steps, std::ptrdiff_t batch);
void check_state(const Spec& spec, const std::vector<Shape>& state, bool batched, std::ptrdiff_t batch);

}  // namespace pyrnn
