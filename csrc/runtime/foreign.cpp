#include "runtime/foreign.h"

#include <algorithm>
#include <string_view>

namespace pyrnn {
namespace {

using namespace std::string_view_literals;

constexpr const char* save_it =
    R"(; load it in Python with pyrnn.load and save it as an nn.Sequential to .safetensors)";

struct Kind {
  std::string_view begins, name;
};
constexpr Kind kinds[] = {
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras's .h5"},
    {"\x93NUMPY"sv, "a NumPy array (.npy)"},
    {"\x80\x02"sv, "a pickle, as old PyTorch files are"},
    {"\x80\x03"sv, "a pickle"},
    {"\x80\x04"sv, "a pickle"},
    {"\x80\x05"sv, "a pickle"},
    {"\x1f\x8b"sv, "a gzip archive"},
    {"GGUF"sv, "a GGUF file"},
};

struct Entry {
  std::string_view holds, name;
};
constexpr Entry archives[] = {
    {"data.pkl"sv, "a PyTorch file (.pt, .pth, .ckpt)"},
    {".format_version"sv, "a PyTorch file (.pt, .pth, .ckpt)"},
    {".npy"sv, "a NumPy archive (.npz)"},
    {"metadata.json"sv, "a Keras file (.keras)"},
    {"config.json"sv, "a Keras file (.keras)"},
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool begins_as_html(std::string_view text) {
  const auto begins = [&](std::string_view tag) {
    return std::ranges::equal(text.substr(0, tag.size()), tag, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  };
  return begins("<!doctype html") || begins("<html") || begins("<?xml") || begins("<head");
}

// A protobuf message that begins as ONNX's do: ir_version, a small number, and then another known field.
bool begins_as_onnx(std::string_view text) {
  return text.size() > 3 && text[0] == 8 && text[1] > 0 && text[1] < 32 &&
         contains("\x12\x1a\x22\x28\x32\x3a\x42"sv, text.substr(2, 1));
}

std::string_view name_of(std::string_view text) {
  for (const Kind& each : kinds)
    if (text.starts_with(each.begins)) return each.name;
  if (text.starts_with("PK\x03\x04"sv)) {
    for (const Entry& each : archives)
      if (contains(text, each.holds)) return each.name;
    return "a zip archive";
  }
  if (text.substr(std::min<std::size_t>(4, text.size()), 4) == "TFL3") return "a TensorFlow Lite file";
  return begins_as_onnx(text) ? "an ONNX file"sv : ""sv;
}

}  // namespace

std::string what_it_is(std::span<const unsigned char> beginning, std::size_t size) {
  if (!size) return "it is empty: it has 0 bytes";
  const std::string_view bytes(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (bytes.starts_with("version https://git-lfs"))
    return "it is a pointer of Git LFS, not the file itself; get the file with git lfs pull";
  if (const std::string_view name = name_of(bytes); !name.empty())
    return "it is no .safetensors file but " + std::string(name) + save_it;
  const std::string_view text = bytes.substr(std::min(bytes.find_first_not_of(" \t\r\n\xef\xbb\xbf"), bytes.size()));
  if (begins_as_html(text)) return "it is a web page, not the file behind it; download the file itself";
  if (text.starts_with('{') || text.starts_with('['))
    return std::string("it is no .safetensors file but JSON text") + save_it;
  return std::string("it is no .safetensors file") + save_it;
}

}  // namespace pyrnn
