#include "model/reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "checks/quoting.h"
#include "checks/require.h"
#include "engine/stream.h"

namespace pyrnn {

static_assert(std::endian::native == std::endian::little, "numbers are copied as the file stores them");

// Longer names are refused: the name of a nested layer contains those of all layers around it.
constexpr std::size_t longest_name = 1000;

void Reader::architecture(const Json& json) {
  if (json.kind != Json::Kind::object) return sequential(json, "");
  Arguments parts(json, "the model");
  const std::string kind = parts.text("type");
  const Json& config = parts.object("config");
  parts.end();
  layer("", kind, config);
}

std::string Reader::named(const std::string& name) { return name.empty() ? "the model" : "layer " + quoted(name); }

std::string Reader::inside(const std::string& name, std::string_view part) {
  return name.empty() ? std::string(part) : name + "." + std::string(part);
}

void Reader::sequential(const Json& descriptions, const std::string& prefix) {
  require<InvalidFile>(descriptions.kind == Json::Kind::array, "its layers should be a list");
  std::set<std::string> names;
  for (const Json& each : descriptions.array) {
    Arguments parts(each, "a layer's description");
    const std::string name = parts.text("name"), kind = parts.text("type");
    const Json& config = parts.object("config");
    parts.end();
    if (prefix.size() + name.size() > longest_name)
      fail<InvalidFile>("layer ", quoted(prefix + name), " should have a name of at most ", longest_name, " bytes");
    if (!names.insert(name).second) fail<InvalidFile>("two layers are named ", quoted(prefix + name));
    layer(prefix + name, kind, config);
  }
}

void Reader::layer(const std::string& name, const std::string& kind, const Json& config) {
  const std::string where = where_ = named(name) + " (" + printable(kind.substr(0, 40)) + ")";
  std::string supported;
  for (const LayerReader& each : readers()) {
    supported += (supported.empty() ? "" : ", ") + std::string(each.name);
    if (kind != each.name) continue;
    Arguments arguments(config, where);
    try {
      (this->*each.read)(arguments, name);
    } catch (const std::invalid_argument& error) {  // thrown by Spec::check and similar functions
      fail<InvalidFile>(where, ": ", error.what());
    }
    return arguments.end();
  }
  if (kind.starts_with("Quantized"))
    fail<Unsupported>(where, " is quantized; the C library computes in float32: save the float32 model it is of");
  fail<Unsupported>(where, " is not supported; the C library has ", supported);
}

void Reader::add_inner(decltype(ModelLayer::kind) kind) {
  const int width = model_.layers.empty() ? 0 : model_.layers.back().output_size;
  add({std::move(kind), width, width});
}

void Reader::add(ModelLayer layer) {
  const int before = model_.layers.empty() ? 0 : model_.layers.back().output_size;
  if (before && layer.input_size != before)
    fail("it takes ", layer.input_size, " inputs, and the layer before has ", before, " outputs");
  if (ended_ && (layer.as<ModelLayer::Recurrent>() || layer.as<ModelLayer::Windows>()))
    fail("it stands after a LastStep, where there are no steps any more");
  spend_running(layer);
  if (!before && layer.input_size)
    for (ModelLayer& each : model_.layers)  // activations at the start have the width of the first layer with one
      each.input_size = each.output_size = layer.input_size;
  model_.layers.push_back(std::move(layer));
}

// Spends what Chain allocates for one sequence: the layer's state and tables, and the outputs between layers, as wide
// as the widest layer.
void Reader::spend_running(const ModelLayer& layer) {
  constexpr int block = rows_at_once;
  MeasuredMemory memory;
  if (const auto* recurrent = layer.as<ModelLayer::Recurrent>()) Stream<float>(**recurrent, 1, block, memory, false);
  if (const auto* windows = layer.as<ModelLayer::Windows>()) History(**windows, 1, block, memory, false);
  const int width = model_.layers.empty() ? layer.output_size : std::max(layer.input_size, layer.output_size);
  const std::size_t wider = std::max(width - widest_, 0) * sizeof(float) * 2 * block;
  widest_ = std::max(width, widest_);
  budget_.spend(memory.bytes() + wider + 4 * sizeof(ModelLayer) + sizeof(Stream<float>), where_);
}

std::vector<float> Reader::values(const std::string& name, const std::vector<int>& shape) {
  const auto found = file_.tensors.find(name);
  if (found == file_.tensors.end()) fail<InvalidFile>("array ", quoted(name), " is missing");
  const FileTensor& tensor = found->second;
  const Shape expected(shape.begin(), shape.end()), got(tensor.shape.begin(), tensor.shape.end());
  if (expected != got)
    fail<InvalidFile>("array ", quoted(name), " should have shape ", text(expected, "()"), ", got ", text(got, "()"));
  if (tensor.dtype != "F32")
    fail<Unsupported>("array ", quoted(name), " is of dtype ", tensor.dtype,
                      "; the C library takes float32 (F32) alone");
  // The name "a.b" may be a layer, or the layer b in a Sequential a; without this check a small file could request its
  // arrays many times over.
  if (!taken_.insert(name).second) fail<InvalidFile>("array ", quoted(name), " belongs to two layers");
  budget_.spend(tensor.bytes.size(), where_);
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());  // the bytes may be at any address
  return values;
}

Model Reader::finish() {
  for (const auto& [name, tensor] : file_.tensors)
    if (!taken_.contains(name)) fail<InvalidFile>("array ", quoted(name), " belongs to no layer");
  require<Unsupported>(!model_.layers.empty() && model_.layers.front().input_size,
                       "it has no layer that tells its input size: RNN, LSTM, GRU, Linear, Conv1d or Embedding");
  for (std::size_t i = 0; i < held_; ++i) model_.layers[i].hold = true;
  return std::move(model_);
}

Model read_model(std::span<const unsigned char> bytes, const Ops<float>& ops, Budget& budget) {
  const Safetensors file = read_safetensors(bytes, budget);
  const auto found = file.metadata.find("pyrnn");
  require<Unsupported>(
      found != file.metadata.end(),
      "it holds weights alone, and no architecture; save the layer itself in Python, layer.save(path)");
  Reader reader(file, ops, budget);
  reader.architecture(parse_json(found->second, "its architecture", budget));
  return reader.finish();
}

}  // namespace pyrnn
