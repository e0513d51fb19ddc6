#include "model/safetensors.h"

#include <algorithm>
#include <cstdint>

#include "model/foreign.h"
#include "checks/quoting.h"
#include "checks/require.h"

namespace pyrnn {
namespace {

constexpr std::size_t most_header = std::size_t{1} << 24;  // enough for 100,000 arrays of 100 bytes each

struct Dtype {
  std::string_view name;
  std::size_t bytes;
};
constexpr Dtype dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2},
                            {"I8", 1},  {"U64", 8}, {"U32", 4}, {"U16", 2},  {"U8", 1},  {"BOOL", 1}};

std::size_t count_of(const Json& json, const std::string& array) {
  if (json.kind != Json::Kind::number || !json.is_integer || json.number < 0)
    fail<InvalidFile>(array, " should have sizes and offsets of whole numbers, zero or more");
  return static_cast<std::size_t>(json.number);
}

const std::vector<Json>& list_in(const Json& json, std::string_view key, const std::string& array) {
  const auto found = json.object.find(key);
  if (found == json.object.end() || found->second.kind != Json::Kind::array)
    fail<InvalidFile>(array, " should have a list \"", key, "\"");
  return found->second.array;
}

std::size_t bytes_of_one(const Json& json, const std::string& array) {
  const auto found = json.object.find("dtype");
  for (const Dtype& each : dtypes)
    if (found != json.object.end() && found->second.string == each.name) return each.bytes;
  fail<InvalidFile>(array, " is of an unknown dtype");
}

// Returns the tensor with its bytes, those between its offsets in `data`; `array` begins the sentences of errors.
FileTensor tensor_of(const Json& json, const std::string& array, std::span<const unsigned char> data) {
  if (json.kind != Json::Kind::object || json.object.size() != 3)
    fail<InvalidFile>(array, " should be described by dtype, shape and data_offsets");
  std::size_t size = bytes_of_one(json, array);
  FileTensor tensor{json.object.find("dtype")->second.string, {}, {}};
  for (const Json& each : list_in(json, "shape", array)) {
    tensor.shape.push_back(count_of(each, array));
    if (__builtin_mul_overflow(size, tensor.shape.back(), &size)) fail<InvalidFile>(array, " is too large");
  }
  const std::vector<Json>& offsets = list_in(json, "data_offsets", array);
  if (offsets.size() != 2) fail<InvalidFile>(array, " should have two data_offsets, got ", offsets.size());
  const std::size_t begin = count_of(offsets[0], array), end = count_of(offsets[1], array);
  if (begin > end) fail<InvalidFile>(array, " should have data_offsets in order, got ", begin, " and ", end);
  if (end > data.size())
    fail<InvalidFile>("it is cut short: ", array, " ends at byte ", end, " after the header, and the file has only ",
                      data.size(), " there; get the whole file");
  if (end - begin != size) fail<InvalidFile>(array, " should have ", size, " bytes by its shape, got ", end - begin);
  tensor.bytes = data.subspan(begin, size);
  return tensor;
}

void read_metadata(Json& json, Safetensors& to) {
  require<InvalidFile>(json.kind == Json::Kind::object, "its metadata should be an object");
  for (auto& [key, value] : json.object) {
    if (value.kind != Json::Kind::string)
      fail<InvalidFile>("the metadata should be strings, got another ", quoted(key));
    to.metadata.emplace(key, std::move(value.string));
  }
}

// The format allows neither overlaps nor gaps, in which data could be hidden.
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

std::uint64_t header_length(std::span<const unsigned char> file) {
  std::uint64_t length = 0;
  for (int i = 8; i-- > 0;) length = length << 8 | file[i];
  return length;
}

// Returns the bytes that an array takes beside its own: a node of a map, its name, and its shape.
std::size_t bytes_about(const std::string& name) {
  return sizeof(std::pair<const std::string, FileTensor>) + 128 + name.size();
}

}  // namespace

void check_beginning(std::span<const unsigned char> beginning, std::size_t size) {
  const std::uint64_t length = beginning.size() > 8 ? header_length(beginning) : most_header + 1;
  if (length > most_header || beginning[8] != '{') throw InvalidFile(what_it_is(beginning, size));
  if (length > size - 8)
    fail<InvalidFile>("it is cut short: it has ", size, " bytes, and its header alone should have ", length,
                      "; get the whole file");
}

Safetensors read_safetensors(std::span<const unsigned char> file, Budget& budget) {
  check_beginning(file.first(std::min(file.size(), beginning_bytes)), file.size());
  const std::uint64_t length = header_length(file);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  Json header = parse_json(text, "its header", budget);
  const std::span<const unsigned char> data = file.subspan(8 + length);
  Safetensors found;
  for (auto& [name, json] : header.object) {
    const std::string array = "array " + quoted(name);
    budget.spend(bytes_about(name), array);
    if (name == "__metadata__") read_metadata(json, found);
    else found.tensors.emplace(name, tensor_of(json, array, data));
  }
  check_no_gap(found, data);
  return found;
}

}  // namespace pyrnn
