#include "runtime/reader.h"

#include <bit>
#include <cstring>

#include "runtime/require.h"

namespace pyrnn {

static_assert(std::endian::native == std::endian::little, "the file's numbers are taken as they lie");

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
                       "it has no layer that tells its input size: RNN, LSTM, GRU, Linear, Conv1d or Embedding");
  return std::move(model_);
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
