#include "runtime/model.h"

#include <bit>
#include <climits>
#include <cstring>
#include <set>

#include "runtime/arguments.h"
#include "runtime/require.h"
#include "runtime/safetensors.h"

namespace pyrnn {
namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are taken as they lie");

class Reader {
 public:
  Reader(const Safetensors& file, const Ops<float>& ops) : file_(file), ops_(ops), model_{ops} {}

  void sequential(const Json& descriptions, const std::string& prefix);
  Model finish();

 private:
  struct Kind {
    const char* name;
    void (Reader::*read)(Arguments& arguments, const std::string& name);
  };
  static const std::vector<Kind>& kinds();

  void layer(const std::string& name, const std::string& kind, const Json& config);
  void rnn(Arguments& arguments, const std::string& name);
  void lstm(Arguments& arguments, const std::string& name);
  void gru(Arguments& arguments, const std::string& name);
  void recurrent(Spec spec, Arguments& arguments, const std::string& name);
  void linear(Arguments& arguments, const std::string& name);
  void activation(Arguments& arguments, const std::string& name);
  void nested(Arguments& arguments, const std::string& name);
  void nothing(Arguments& arguments, const std::string& name);
  template <Activation function> void named_activation(Arguments&, const std::string&) { add(function); }

  void add(Activation function);
  void add(ModelLayer layer);
  std::vector<float> values(const std::string& name, const std::vector<int>& shape);

  const Safetensors& file_;
  const Ops<float>& ops_;
  std::set<std::string> taken_;  // names of arrays
  Model model_;
};

const std::vector<Reader::Kind>& Reader::kinds() {
  static const std::vector<Kind> all = {{"RNN", &Reader::rnn},
                                        {"LSTM", &Reader::lstm},
                                        {"GRU", &Reader::gru},
                                        {"Linear", &Reader::linear},
                                        {"ReLU", &Reader::named_activation<Activation::relu>},
                                        {"Tanh", &Reader::named_activation<Activation::tanh>},
                                        {"Sigmoid", &Reader::named_activation<Activation::sigmoid>},
                                        {"Activation", &Reader::activation},
                                        {"Dropout", &Reader::nothing},
                                        {"Sequential", &Reader::nested}};
  return all;
}

void Reader::sequential(const Json& descriptions, const std::string& prefix) {
  require<InvalidFile>(descriptions.kind == Json::Kind::array, "its layers should be a list");
  std::set<std::string> names;
  for (const Json& each : descriptions.array) {
    Arguments parts(each, "a layer's description");
    const std::string name = parts.text("name"), kind = parts.text("type");
    const Json& config = parts.object("config");
    parts.end();
    if (!names.insert(name).second) fail<InvalidFile>("two layers are named \"", prefix, name, "\"");
    layer(prefix + name, kind, config);
  }
}

void Reader::layer(const std::string& name, const std::string& kind, const Json& config) {
  const std::string where = "layer \"" + name + "\" (" + kind + ")";
  std::string supported;
  for (const Kind& each : kinds()) {
    supported += (supported.empty() ? "" : ", ") + std::string(each.name);
    if (kind != each.name) continue;
    Arguments arguments(config, where);
    try {
      (this->*each.read)(arguments, name);
    } catch (const std::invalid_argument& error) {  // of Spec::check and its kin
      fail<InvalidFile>(where, ": ", error.what());
    }
    return arguments.end();
  }
  fail<Unsupported>(where, " is not supported; the C library has ", supported);
}

void Reader::rnn(Arguments& arguments, const std::string& name) {
  const std::string nonlinearity = arguments.text("nonlinearity", "tanh");
  require(nonlinearity == "tanh" || nonlinearity == "relu", "nonlinearity should be tanh or relu");
  Spec spec{nonlinearity == "relu" ? Cell::rnn_relu : Cell::rnn_tanh, 1, 1};
  if (arguments.has("activation")) {  // takes the nonlinearity's place
    spec.cell = Cell::rnn_tanh;
    spec.activation = cell_activation_named(arguments.text("activation"), "activation");
  }
  recurrent(spec, arguments, name);
}

void Reader::lstm(Arguments& arguments, const std::string& name) {
  Spec spec{Cell::lstm, 1, 1};
  spec.proj_size = arguments.integer("proj_size", 0);
  spec.peephole = arguments.boolean("peephole", false);
  spec.activation = cell_activation_named(arguments.text("activation", "tanh"), "activation");
  spec.recurrent_activation =
      cell_activation_named(arguments.text("recurrent_activation", "sigmoid"), "recurrent_activation");
  recurrent(spec, arguments, name);
}

void Reader::gru(Arguments& arguments, const std::string& name) {
  Spec spec{arguments.boolean("reset_after", true) ? Cell::gru : Cell::gru_reset_before, 1, 1};
  spec.activation = cell_activation_named(arguments.text("activation", "tanh"), "activation");
  spec.recurrent_activation =
      cell_activation_named(arguments.text("recurrent_activation", "sigmoid"), "recurrent_activation");
  recurrent(spec, arguments, name);
}

void Reader::recurrent(Spec spec, Arguments& arguments, const std::string& name) {
  spec.input_size = arguments.integer("input_size");
  spec.hidden_size = arguments.integer("hidden_size");
  spec.num_layers = arguments.integer("num_layers", 1);
  spec.bias = arguments.boolean("bias", true);
  spec.bidirectional = arguments.boolean("bidirectional", false);
  // Of training, of Python's arrays, and of masks: they say nothing about a stream.
  for (const char* unused : {"dropout", "batch_first", "masked_output"}) arguments.pass_over(unused);
  spec.check();
  if (spec.bidirectional)
    fail<Unsupported>("layer \"", name, "\" is bidirectional; a stream cannot know the steps to come");
  if (static_cast<std::size_t>(spec.num_layers) > file_.tensors.size())
    fail<InvalidFile>("layer \"", name, "\" should have ", spec.num_layers, " layers; the file has ",
                      file_.tensors.size(), " arrays");
  std::vector<std::vector<float>> arrays;
  std::vector<const float*> parameters;
  for (const Parameter& each : spec.parameters()) {
    arrays.push_back(values(name + "." + each.name, each.shape));
    parameters.push_back(arrays.back().data());
  }
  // Only backward would look at the arrays again.
  add({std::make_unique<const Weights<float>>(spec, parameters, ops_), spec.input_size, spec.output_size()});
}

void Reader::linear(Arguments& arguments, const std::string& name) {
  const int K = arguments.integer("in_features"), N = arguments.integer("out_features");
  const bool bias = arguments.boolean("bias", true);
  require(K > 0 && N > 0 && K <= INT_MAX / 64 && N <= INT_MAX / 64,
          "in_features and out_features should be from 1 to ", INT_MAX / 64, ", got ", K, " and ", N);
  const std::vector<float> weight = values(name + ".weight", {N, K}),
                           bias_values = bias ? values(name + ".bias", {N}) : std::vector<float>();
  add({std::make_unique<const Linear<float>>(weight.data(), bias ? bias_values.data() : nullptr, N, K, ops_), K, N});
}

void Reader::activation(Arguments& arguments, const std::string& name) {
  const std::string function = arguments.text("name");
  arguments.pass_over("alpha");  // of functions that are not here
  if (function == "linear" || function == "identity") return;
  if (function != "relu" && function != "tanh" && function != "sigmoid")
    fail<Unsupported>("layer \"", name, "\" is the activation ", function,
                      ", which is not supported; the C library has linear, identity, relu, tanh, sigmoid");
  add(activation_named(function));
}

void Reader::nested(Arguments& arguments, const std::string& name) {
  sequential(arguments.list("layers"), name + ".");
}

// Dropout: a stream evaluates.
void Reader::nothing(Arguments& arguments, const std::string&) { arguments.pass_over("p"); }

void Reader::add(Activation function) {
  const int width = model_.layers.empty() ? 0 : model_.layers.back().output_size;
  add({function, width, width});
}

void Reader::add(ModelLayer layer) {
  const int before = model_.layers.empty() ? 0 : model_.layers.back().output_size;
  if (before && layer.input_size != before)
    fail("it takes ", layer.input_size, " inputs, and the layer before has ", before, " outputs");
  for (ModelLayer& each : model_.layers)  // activations at the start learn their width from what follows
    if (!each.input_size) each.input_size = each.output_size = layer.input_size;
  model_.layers.push_back(std::move(layer));
}

std::vector<float> Reader::values(const std::string& name, const std::vector<int>& shape) {
  const auto found = file_.tensors.find(name);
  if (found == file_.tensors.end()) fail<InvalidFile>("array ", name, " is missing");
  const FileTensor& tensor = found->second;
  const Shape expected(shape.begin(), shape.end()), got(tensor.shape.begin(), tensor.shape.end());
  if (expected != got)
    fail<InvalidFile>("array ", name, " should have shape ", text(expected, "()"), ", got ", text(got, "()"));
  if (tensor.dtype != "F32")
    fail<Unsupported>("array ", name, " is of dtype ", tensor.dtype, "; the C library takes float32 (F32) alone");
  // "a.b" may be a layer, or b in a Sequential a: else a small file could ask for its arrays many times over.
  if (!taken_.insert(name).second) fail<InvalidFile>("array ", name, " belongs to two layers");
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());  // it may lie at any address
  return values;
}

Model Reader::finish() {
  for (const auto& [name, tensor] : file_.tensors)
    if (!taken_.contains(name)) fail<InvalidFile>("array ", name, " belongs to no layer");
  require<Unsupported>(!model_.layers.empty() && model_.layers.front().input_size,
                       "it has no layer that tells its input size: RNN, LSTM, GRU or Linear");
  return std::move(model_);
}

}  // namespace

int Model::state_size() const noexcept {
  int size = 0;
  for (const ModelLayer& layer : layers)
    if (const auto* recurrent = std::get_if<ModelLayer::Recurrent>(&layer.kind)) {
      const Spec& spec = (*recurrent)->spec();
      size += spec.num_layers * (spec.recurrent_size() + (spec.has_cell_state() ? spec.hidden_size : 0));
    }
  return size;
}

Model read_model(std::span<const unsigned char> bytes, const Ops<float>& ops) {
  const Safetensors file = read_safetensors(bytes);
  const auto found = file.metadata.find("pyrnn");
  require<Unsupported>(found != file.metadata.end(),
                       "it holds weights alone, and no architecture; save it with pyrnn.nn.Sequential(layer).save");
  Reader reader(file, ops);
  reader.sequential(parse_json(found->second, "its architecture"), "");
  return reader.finish();
}

}  // namespace pyrnn
