#include "runtime/safetensors.h"

#include <algorithm>
#include <cstdint>

#include "runtime/require.h"

namespace pyrnn {
namespace {

constexpr std::size_t most_header = std::size_t{1} << 24;  // 100 bytes an array: room for 100,000

struct Dtype {
  std::string_view name;
  std::size_t bytes;
};
constexpr Dtype dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
                            {"I8", 1},  {"U64", 8}, {"U32", 4}, {"U16", 2},  {"U8", 1},  {"BOOL", 1}};

std::size_t count_of(const Json& json, const std::string& name) {
  if (json.kind != Json::Kind::number || !json.is_integer || json.number < 0)
    fail<InvalidFile>("array ", name, " should have sizes and offsets of whole numbers, zero or more");
  return static_cast<std::size_t>(json.number);
}

const std::vector<Json>& list_in(const Json& json, std::string_view key, const std::string& name) {
  const auto found = json.object.find(key);
  if (found == json.object.end() || found->second.kind != Json::Kind::array)
    fail<InvalidFile>("array ", name, " should have a list \"", key, "\"");
  return found->second.array;
}

std::size_t bytes_of_one(const Json& json, const std::string& name) {
  const auto found = json.object.find("dtype");
  for (const Dtype& each : dtypes)
    if (found != json.object.end() && found->second.string == each.name) return each.bytes;
  fail<InvalidFile>("array ", name, " is of an unknown dtype");
}

// Whose `bytes` are those of the offsets in `data`.
FileTensor tensor_of(const Json& json, const std::string& name, std::span<const unsigned char> data) {
  if (json.kind != Json::Kind::object || json.object.size() != 3)
    fail<InvalidFile>("array ", name, " should be described by dtype, shape and data_offsets");
  std::size_t size = bytes_of_one(json, name);
  FileTensor tensor{json.object.find("dtype")->second.string, {}, {}};
  for (const Json& each : list_in(json, "shape", name)) {
    tensor.shape.push_back(count_of(each, name));
    if (__builtin_mul_overflow(size, tensor.shape.back(), &size)) fail<InvalidFile>("array ", name, " is too large");
  }
  const std::vector<Json>& offsets = list_in(json, "data_offsets", name);
  if (offsets.size() != 2) fail<InvalidFile>("array ", name, " should have two data_offsets, got ", offsets.size());
  const std::size_t begin = count_of(offsets[0], name), end = count_of(offsets[1], name);
  if (begin > end || end > data.size())
    fail<InvalidFile>("array ", name, " should lie in the ", data.size(), " bytes after the header, got offsets ",
                      begin, " to ", end);
  if (end - begin != size)
    fail<InvalidFile>("array ", name, " should have ", size, " bytes by its shape, got ", end - begin);
  tensor.bytes = data.subspan(begin, size);
  return tensor;
}

void read_metadata(const Json& json, Safetensors& to) {
  require<InvalidFile>(json.kind == Json::Kind::object, "its metadata should be an object");
  for (const auto& [key, value] : json.object) {
    if (value.kind != Json::Kind::string) fail<InvalidFile>("the metadata should be strings, got another ", key);
    to.metadata.emplace(key, value.string);
  }
}

// The format allows no gap, in which anything could hide, and no overlap.
void check_no_gap(const Safetensors& found, std::span<const unsigned char> data) {
  std::vector<std::span<const unsigned char>> parts;
  for (const auto& [name, tensor] : found.tensors) parts.push_back(tensor.bytes);
  std::ranges::sort(parts, {}, [](const auto& part) { return std::pair(part.data(), part.size()); });
  const unsigned char* next = data.data();
  for (const auto& part : parts) {
    if (part.data() != next) fail<InvalidFile>("its arrays overlap or leave gaps");
    next += part.size();
  }
  if (next != data.data() + data.size()) fail<InvalidFile>("bytes follow its last array");
}

}  // namespace

Safetensors read_safetensors(std::span<const unsigned char> file) {
  require<InvalidFile>(file.size() >= 8, "it should begin with 8 bytes, the length of its header; it has ",
                       file.size());
  std::uint64_t length = 0;
  for (int i = 8; i-- > 0;) length = length << 8 | file[i];
  if (length > file.size() - 8 || length > most_header)
    fail<InvalidFile>("its header should have ", length, " bytes; the file has ", file.size() - 8,
                      " after the first 8, and a header at most ", most_header);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  require<InvalidFile>(text.starts_with('{'), "its header should begin with {");
  const Json header = parse_json(text, "its header");
  const std::span<const unsigned char> data = file.subspan(8 + length);
  Safetensors found;
  for (const auto& [name, json] : header.object) {
    if (name == "__metadata__") read_metadata(json, found);
    else found.tensors.emplace(name, tensor_of(json, name, data));
  }
  check_no_gap(found, data);
  return found;
}

}  // namespace pyrnn
