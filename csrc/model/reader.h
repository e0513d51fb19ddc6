// Reader: turns a .safetensors file that a layer or network of pyrnn wrote with `save` into a Model. The file is
// untrusted.
//
// reader.cpp reads the list of layers, or the only layer, and their arrays; reader_layers.cpp has a function for each
// kind of layer.
#pragma once

#include <set>

#include "model/arguments.h"
#include "model/model.h"
#include "model/safetensors.h"

namespace pyrnn {

// Reads a model from the bytes of a file and does not keep them. Throws InvalidFile and Unsupported (memory/budget.h).
// It spends from the budget, before it allocates, what the model takes and what a stream of one sequence will take.
Model read_model(std::span<const unsigned char> file, const Ops<float>& ops, Budget& budget);

class Reader {
 public:
  Reader(const Safetensors& file, const Ops<float>& ops, Budget& budget)
      : file_(file), ops_(ops), budget_(budget), model_{ops} {}

  void architecture(const Json& json);  // a list of layers, which is a Sequential, or one layer without a name
  Model finish();

 private:
  struct LayerReader {
    const char* name;
    void (Reader::*read)(Arguments& arguments, const std::string& name);
  };
  static std::span<const LayerReader> readers();

  void sequential(const Json& descriptions, const std::string& prefix);
  void layer(const std::string& name, const std::string& kind, const Json& config);
  void rnn(Arguments& arguments, const std::string& name);
  void lstm(Arguments& arguments, const std::string& name);
  void gru(Arguments& arguments, const std::string& name);
  void linear(Arguments& arguments, const std::string& name);
  void embedding(Arguments& arguments, const std::string& name);
  void channels_last(Arguments& arguments, const std::string& name);
  void conv1d(Arguments& arguments, const std::string& name);
  void activation(Arguments& arguments, const std::string& name);
  void softmax(Arguments& arguments, const std::string& name);
  void last_step(Arguments& arguments, const std::string& name);
  void nested(Arguments& arguments, const std::string& name);
  void nothing(Arguments& arguments, const std::string& name);
  template <Activation function> void named_activation(Arguments&, const std::string&) {
    add_inner(Elementwise{function, 0});
  }

  void recurrent(Spec spec, Arguments& arguments, const std::string& name);
  // spend_weights spends the memory of a layer's packed weights, spend_running that of its state and outputs.
  void spend_weights(std::size_t bytes) { budget_.spend(bytes, where_); }
  void spend_running(const ModelLayer& layer);
  void add(ModelLayer layer);
  void add_inner(decltype(ModelLayer::kind) kind);  // adds a layer with the width of the one before
  // `named` is how sentences call a layer, `inside` the name of its array or of a layer in it.
  static std::string named(const std::string& name);
  static std::string inside(const std::string& name, std::string_view part);
  std::vector<float> values(const std::string& name, const std::vector<int>& shape);

  const Safetensors& file_;
  const Ops<float>& ops_;
  Budget& budget_;
  std::string where_;  // describes the layer that is being read
  std::set<std::string> taken_;  // names of the arrays that layers have read
  int widest_ = 0;  // the largest number of outputs of a layer so far
  bool ended_ = false;  // whether a LastStep came: after it there is no time axis
  std::size_t held_ = 0;  // the number of layers before the last LastStep
  Model model_;
};

}  // namespace pyrnn
