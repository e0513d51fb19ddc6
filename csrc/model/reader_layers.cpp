#include <climits>

#include "checks/quoting.h"
#include "model/reader.h"
#include "checks/require.h"

namespace pyrnn {

constexpr int most_size = INT_MAX / 64;  // sizes and their products are ints in the kernels

std::span<const Reader::LayerReader> Reader::readers() {
  static constexpr LayerReader all[] = {{"RNN", &Reader::rnn},
                                        {"LSTM", &Reader::lstm},
                                        {"GRU", &Reader::gru},
                                        {"Linear", &Reader::linear},
                                        {"Embedding", &Reader::embedding},
                                        {"ChannelsLast", &Reader::channels_last},
                                        {"Conv1d", &Reader::conv1d},
                                        {"ReLU", &Reader::named_activation<Activation::relu>},
                                        {"Tanh", &Reader::named_activation<Activation::tanh>},
                                        {"Sigmoid", &Reader::named_activation<Activation::sigmoid>},
                                        {"Activation", &Reader::activation},
                                        {"Softmax", &Reader::softmax},
                                        {"LastStep", &Reader::last_step},
                                        {"Dropout", &Reader::nothing},
                                        {"SpatialDropout1D", &Reader::nothing},
                                        {"Sequential", &Reader::nested}};
  return all;
}

namespace {

// Bytes that Buffer adds by rounding up, and that the heap stores beside a block.
constexpr std::size_t of_a_buffer = 256;

// Returns the bytes of a packed matrix [K,N] and its bias.
std::size_t packed_bytes(int K, int N, const Ops<float>& ops) {
  const std::size_t columns =
      (static_cast<std::size_t>(N) + ops.panel_columns - 1) / ops.panel_columns * ops.panel_columns;
  return (columns * K + N) * sizeof(float) + 2 * of_a_buffer;
}

// Returns the bytes of the Weights of a network.
std::size_t packed_bytes(const Spec& spec, const Ops<float>& ops) {
  const FormatOps<float>& native = ops.format[static_cast<int>(Format::native)];
  const CellOps<float>& cell = (spec.is_standard() ? native.cell : native.chosen)[spec.cell->index];
  const int H = spec.hidden_size, P = spec.recurrent_size();
  std::size_t bytes = 0;
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    const std::size_t vectors = spec.gates() + 1 + (spec.peephole ? 3 : 0);
    const std::size_t one = cell.packed_input(H, spec.layer_input_size(layer)) + cell.packed_hidden(H, P) +
                            vectors * H * sizeof(float) + (spec.proj_size ? packed_bytes(H, P, ops) : 0);
    bytes += spec.directions() * (one + 4 * sizeof(Weights<float>::Forward) + 5 * of_a_buffer);
  }
  return bytes;
}

}  // namespace

void Reader::rnn(Arguments& arguments, const std::string& name) {
  const std::string nonlinearity = arguments.text("nonlinearity", "tanh");
  require(nonlinearity == "tanh" || nonlinearity == "relu", "nonlinearity should be tanh or relu");
  Spec spec{cell_named("rnn_" + nonlinearity), 1, 1};
  if (arguments.has("activation")) {  // takes the nonlinearity's place
    spec.cell = cell_named("rnn_tanh");
    spec.activation = cell_activation_named(arguments.text("activation"), "activation");
  }
  recurrent(spec, arguments, name);
}

void Reader::lstm(Arguments& arguments, const std::string& name) {
  Spec spec{cell_named("lstm"), 1, 1};
  spec.proj_size = arguments.integer("proj_size", 0);
  spec.peephole = arguments.boolean("peephole", false);
  spec.activation = cell_activation_named(arguments.text("activation", "tanh"), "activation");
  spec.recurrent_activation =
      cell_activation_named(arguments.text("recurrent_activation", "sigmoid"), "recurrent_activation");
  recurrent(spec, arguments, name);
}

void Reader::gru(Arguments& arguments, const std::string& name) {
  Spec spec{cell_named(arguments.boolean("reset_after", true) ? "gru" : "gru_reset_before"), 1, 1};
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
  const std::string masked_output = arguments.text("masked_output", "zero");
  require(masked_output == "zero" || masked_output == "hold", "masked_output should be zero or hold");
  // These options concern training and Python's arrays, not a step.
  for (const char* unused : {"dropout", "batch_first"}) arguments.pass_over(unused);
  spec.check();
  if (static_cast<std::size_t>(spec.num_layers) > file_.tensors.size())
    fail<InvalidFile>(named(name), " should have ", spec.num_layers, " layers; the file has ", file_.tensors.size(),
                      " arrays");
  std::vector<std::vector<float>> arrays;
  std::vector<const float*> parameters;
  for (const Parameter& each : spec.parameters()) {
    arrays.push_back(values(inside(name, each.name), each.shape));
    parameters.push_back(arrays.back().data());
  }
  spend_weights(packed_bytes(spec, ops_));
  // The arrays may go: only backward would read them again.
  add({std::make_unique<const Weights<float>>(spec, parameters, ops_), spec.input_size, spec.output_size(),
       masked_output == "hold"});
}

void Reader::linear(Arguments& arguments, const std::string& name) {
  const int K = arguments.integer("in_features"), N = arguments.integer("out_features");
  const bool bias = arguments.boolean("bias", true);
  require(K > 0 && N > 0 && K <= most_size && N <= most_size, "in_features and out_features should be from 1 to ",
          most_size, ", got ", K, " and ", N);
  const std::vector<float> weight = values(inside(name, "weight"), {N, K}),
                           bias_values = bias ? values(inside(name, "bias"), {N}) : std::vector<float>();
  spend_weights(packed_bytes(K, N, ops_));
  add({std::make_unique<const Linear<float>>(weight.data(), bias ? bias_values.data() : nullptr, N, K, ops_), K, N});
}

void Reader::embedding(Arguments& arguments, const std::string& name) {
  const int rows = arguments.integer("num_embeddings"), width = arguments.integer("embedding_dim");
  const bool mask_zero = arguments.boolean("mask_zero", false);
  arguments.pass_over("padding_idx");  // it concerns training only
  require(
      rows > 0 && width > 0 && rows <= 1 << 24 && width <= most_size,
      "num_embeddings should be from 1 to 2^24, up to where floats tell whole numbers apart, and embedding_dim to ",
      most_size, ", got ", rows, " and ", width);
  require(model_.layers.empty(), "it should be the first layer: its input are indices");
  const std::vector<float> table = values(inside(name, "weight"), {rows, width});
  spend_weights(table.size() * sizeof(float));
  Embedding made{Buffer<float>(table.size()), rows, mask_zero};
  std::copy(table.begin(), table.end(), made.table.data());
  add({std::move(made), 1, width});
}

// Arrays of the C API are [T,B,C], channels last; so a convolution's input has this order here.
void Reader::channels_last(Arguments& arguments, const std::string& name) {
  Arguments inner(arguments.object("layer"), "the layer in " + named(name));
  const std::string kind = inner.text("type");
  Arguments config(inner.object("config"), "the layer in " + named(name) + " (" + printable(kind.substr(0, 40)) + ")");
  inner.end();
  if (kind != "Conv1d") fail<Unsupported>(named(name), " is a ChannelsLast of ", quoted(kind), ", expected a Conv1d");
  ConvolutionShape shape{config.integer("in_channels"),
                         config.integer("out_channels"),
                         config.only("kernel_size"),
                         config.only("dilation", 1),
                         config.integer("groups", 1),
                         0,
                         0};
  const int stride = config.only("stride", 1);
  const bool bias = config.boolean("bias", true);
  const std::array<int, 2> pads = config.pads("padding");
  config.end();
  for (const int size : {shape.channels, shape.outputs, shape.kernel, shape.dilation, shape.groups, stride})
    require(size > 0 && size <= most_size, "its sizes should be from 1 to ", most_size, ", got ", size);
  require(shape.channels % shape.groups == 0 && shape.outputs % shape.groups == 0,
          "groups should divide in_channels and out_channels");
  // No useful convolution looks back further, and its offsets are ints.
  if (1.0 * shape.dilation * shape.kernel * shape.channels > 1 << 24)
    fail<Unsupported>(named(name), " looks back at dilation x kernel_size x in_channels = ", shape.dilation, " x ",
                      shape.kernel, " x ", shape.channels, " numbers; 2^24 are supported");
  shape.before = pads[0] < 0 ? shape.span() / 2 : pads[0];
  shape.after = pads[0] < 0 ? shape.span() - shape.before : pads[1];
  if (stride != 1 || static_cast<long long>(shape.before) + shape.after != shape.span())
    fail<Unsupported>(named(name),
                      " gives another number of steps than it takes: the stride should be 1, and "
                      "the padding dilation (kernel_size - 1) = ",
                      shape.span(), " together");
  const std::vector<float> weight =
      values(inside(name, "layer.weight"), {shape.outputs, shape.channels / shape.groups, shape.kernel});
  const std::vector<float> bias_values =
      bias ? values(inside(name, "layer.bias"), {shape.outputs}) : std::vector<float>();
  const int in_group = shape.kernel * (shape.channels / shape.groups), outputs = shape.outputs / shape.groups;
  spend_weights(weight.size() * sizeof(float) + shape.groups * packed_bytes(in_group, outputs, ops_));
  add({std::make_unique<const Convolution>(shape, weight.data(), bias ? bias_values.data() : nullptr, ops_),
       shape.channels, shape.outputs});
}

void Reader::conv1d(Arguments&, const std::string& name) {
  fail<Unsupported>(named(name), " is a Conv1d with its channels before the time; wrap it, ChannelsLast(Conv1d)");
}

void Reader::activation(Arguments& arguments, const std::string& name) {
  std::string function = arguments.text("name");
  const double otherwise = function == "elu" ? 1.0 : function == "leaky_relu" ? 0.01 : 0.0;  // the defaults of Python
  const float alpha = static_cast<float>(arguments.number("alpha", otherwise));
  if (function == "linear" || function == "identity") return;
  if (function == "swish") function = "silu";
  if (function == "softplus" || function == "gelu")
    fail<Unsupported>(named(name), " is the activation ", function,
                      ", which needs functions whose bits differ from machine to machine; gelu_tanh is supported");
  add_inner(Elementwise{activation_named(function), alpha});
}

void Reader::softmax(Arguments& arguments, const std::string& name) {
  const int dim = arguments.integer("dim", -1);
  if (dim != -1 && dim != 1 && dim != 2)  // the last axis is 2 in a sequence, 1 after a LastStep
    fail<Unsupported>(named(name), " should be a Softmax over the last axis, dim -1, got ", dim);
  if (model_.layers.empty() || dim == (ended_ ? 2 : 1))
    fail<Unsupported>(named(name), " should stand after a layer that has a size, with dim -1");
  add_inner(Softmax{});
}

// LastStep does nothing here: each step's output is what the model gives for a sequence that ends there.
void Reader::last_step(Arguments& arguments, const std::string&) {
  arguments.pass_over("batch_first");
  ended_ = true;
  held_ = model_.layers.size();  // at a masked step these layers give the output of the last active step
}

void Reader::nested(Arguments& arguments, const std::string& name) {
  sequential(arguments.list("layers"), name.empty() ? "" : name + ".");
}

// Dropout does nothing here: a model is only evaluated.
void Reader::nothing(Arguments& arguments, const std::string&) {
  for (const char* unused : {"p", "batch_first"}) arguments.pass_over(unused);
}

}  // namespace pyrnn
