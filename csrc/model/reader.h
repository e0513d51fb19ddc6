// Reader: a .safetensors file of pyrnn.nn.Sequential.save, which may come from a stranger, to a Model.
//
// reader.cpp reads the chain of layers and their arrays, reader_layers.cpp one kind of layer after the other.
#pragma once

#include <set>

#include "model/arguments.h"
#include "model/model.h"
#include "model/safetensors.h"

namespace pyrnn {

// The bytes are needed no more afterwards. Throws InvalidFile and Unsupported (memory/budget.h). What the model takes, and what
// a stream of one sequence will take, is spent from the budget before it is taken.
Model read_model(std::span<const unsigned char> file, const Ops<float>& ops, Budget& budget);

class Reader {
 public:
  Reader(const Safetensors& file, const Ops<float>& ops, Budget& budget)
      : file_(file), ops_(ops), budget_(budget), model_{ops} {}

  void sequential(const Json& descriptions, const std::string& prefix);
  Model finish();

 private:
  struct Kind {
    const char* name;
    void (Reader::*read)(Arguments& arguments, const std::string& name);
  };
  static std::span<const Kind> kinds();

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
  // The first spends what a layer's packed weights take, the second what it takes beside them.
  void spend_weights(std::size_t bytes) { budget_.spend(bytes, where_); }
  void spend_running(const ModelLayer& layer);
  void add(ModelLayer layer);
  void add_inner(decltype(ModelLayer::kind) kind);  // a layer as wide as the one before
  std::vector<float> values(const std::string& name, const std::vector<int>& shape);

  const Safetensors& file_;
  const Ops<float>& ops_;
  Budget& budget_;
  std::string where_;            // the layer that is being read, in words
  std::set<std::string> taken_;  // names of arrays
  int widest_ = 0;               // most outputs of a layer so far
  bool ended_ = false;           // by a LastStep: there are no steps any more
  std::size_t held_ = 0;         // layers before the last LastStep
  Model model_;
};

}  // namespace pyrnn
