#include "model/foreign.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace pyrnn {
namespace {

using namespace std::string_view_literals;

// The ends of the sentences. Only a kind that pyrnn.load reads (pyrnn/weights/kinds.py) has the first one.
constexpr std::string_view save_it =
                               "; load it in Python with pyrnn.load and save it as an nn.Sequential to .safetensors",
                           save_model = "; save the model in Python as a pyrnn.nn.Sequential to .safetensors",
                           unpack = "; unpack it and give the .safetensors file in it";

struct FileKind {
  std::string_view begins, name, todo;
};
constexpr FileKind kinds[] = {
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras's .h5", save_it},
    {"\x93NUMPY"sv, "a NumPy array (.npy), which holds no model", save_model},
    {"\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."sv, "a PyTorch file in the form of before torch 1.6",
     "; if you trust it, convert it in Python: torch.save(torch.load(path), new_path)"},
    {"\x80\x02"sv, "a pickle, which is code", save_model},
    {"\x80\x03"sv, "a pickle, which is code", save_model},
    {"\x80\x04"sv, "a pickle, which is code", save_model},
    {"\x80\x05"sv, "a pickle, which is code", save_model},
    {"\x1f\x8b"sv, "a gzip archive", unpack},
    {"BZh"sv, "a bzip2 archive", unpack},
    {"\xfd\x37zXZ\0"sv, "an xz archive", unpack},
    {"\x28\xb5\x2f\xfd"sv, "a zstd archive", unpack},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", unpack},
    {"Rar!"sv, "a rar archive", unpack},
    {"GGUF"sv, "a GGUF file", save_model},
    {"\x08\x01\x12"sv, "a SavedModel of TensorFlow",
     "; load it with Keras and save it as .keras, which pyrnn.load reads"},
};

struct Entry {
  std::string_view holds, name;
};
constexpr Entry archives[] = {
    // pyrnn.load reads all of these.
    {"data.pkl"sv, "a PyTorch file (.pt, .pth, .ckpt)"},
    {".format_version"sv, "a PyTorch file (.pt, .pth, .ckpt)"},
    {".npy"sv, "a NumPy archive (.npz)"},
    {"metadata.json"sv, "a Keras file (.keras)"},
    {"config.json"sv, "a Keras file (.keras)"},
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

// Returns the text without white space and byte order mark at its start.
std::string_view without_space(std::string_view text) {
  return text.substr(std::min(text.find_first_not_of(" \t\r\n\xef\xbb\xbf"), text.size()));
}

bool begins_as_html(std::string_view text) {
  const auto begins = [&](std::string_view tag) {
    return std::ranges::equal(text.substr(0, tag.size()), tag, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  };
  return begins("<!doctype html") || begins("<html") || begins("<?xml") || begins("<head") || begins("<body");
}

// Returns whether a protobuf message begins as those of ONNX do: with ir_version, a small number, then another known
// field.
bool begins_as_onnx(std::string_view text) {
  return text.size() > 3 && text[0] == 8 && text[1] >= 3 && text[1] < 32 &&
         contains("\x12\x1a\x22\x28\x32\x3a\x42"sv, text.substr(2, 1));
}

// Returns the kind of the file and what to do about it; both texts are empty if it is of no known kind.
FileKind kind_of(std::string_view text) {
  for (const FileKind& each : kinds)
    if (text.starts_with(each.begins)) return each;
  if (text.starts_with("PK\x03\x04"sv)) {
    for (const Entry& each : archives)
      if (contains(text, each.holds)) return {"", each.name, save_it};
    return {"", "a zip archive", unpack};
  }
  if (text.substr(std::min<std::size_t>(4, text.size()), 4) == "TFL3")
    return {"", "a TensorFlow Lite file, which keeps no layers", save_model};
  if (begins_as_onnx(text)) return {"", "an ONNX file", save_it};
  const std::string_view json = without_space(text);
  if (json.starts_with('[')) return {"", "JSON text", save_it};
  if (json.starts_with('{')) return {"", "JSON text, and no list of layers", save_model};
  return {};
}

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

}  // namespace

std::string what_it_is(std::span<const unsigned char> beginning, std::size_t size) {
  if (!size) return "it is empty: it has 0 bytes";
  const std::string_view bytes(reinterpret_cast<const char*>(beginning.data()), beginning.size());
  if (bytes.starts_with("version https://git-lfs"))
    return "it is a pointer of Git LFS, not the file itself; get the file with git lfs pull";
  if (begins_as_html(without_space(bytes)))
    return "it is a web page, not the file behind it; download the file itself";
  if (const FileKind kind = kind_of(bytes); !kind.name.empty())
    return joined({"it is no .safetensors file but ", kind.name, kind.todo});
  return joined({"it is no .safetensors file", save_model});
}

}  // namespace pyrnn
