// Spec: the description of a recurrent network. This file has the names and shapes of its parameters and every check
// of sizes, so that Python and C give the same messages.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dispatch/kernels.h"

namespace pyrnn {

struct Parameter {
  std::string name;
  std::vector<int> shape;
};

struct Spec {
  const CellFacts* cell;
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
  int gates() const noexcept { return cell->gates.count(); }  // blocks of H rows in a weight
  int slots() const noexcept { return cell->slots.count(); }  // numbers that a step keeps per unit
  int slot(const char* name) const noexcept { return cell->slots.index_of(name); }
  bool is_standard() const noexcept;  // whether it uses the standard functions: tanh, sigmoid, no peepholes
  std::span<const HiddenSlots> hidden_slots() const noexcept {
    return {cell->hidden, static_cast<std::size_t>(cell->products)};
  }
  // Returns whether W_ih x is part of the same sums. The GRU candidate keeps W_hn h + b_hn in a sum without it.
  bool has_input(const HiddenSlots& range) const noexcept { return range.slot + range.gates <= gates(); }
  bool has_cell_state() const noexcept { return cell->states.count() == 2; }
  const char* name() const noexcept { return cell->layer; }  // torch's name of the class: RNN, LSTM, GRU

  // The parameters with torch's names in torch's order: layer by layer, forward before reverse.
  std::vector<Parameter> parameters() const;
};

const CellFacts* cell_named(std::string_view name);  // "rnn_tanh", ...; throws std::invalid_argument
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
