// A .safetensors file in memory: 8 bytes, the length of a JSON header; the header; the arrays, one after the other.
// https://github.com/huggingface/safetensors#format. Nothing is copied: arrays point into the bytes given.
#pragma once

#include <map>
#include <span>

#include "model/json.h"

namespace pyrnn {

struct FileTensor {
  std::string dtype;
  std::vector<std::size_t> shape;
  std::span<const unsigned char> bytes;  // little-endian, at any address
};

struct Safetensors {
  std::map<std::string, std::string, std::less<>> metadata;
  std::map<std::string, FileTensor, std::less<>> tensors;
};

// How much of a file check_beginning wants to see, where there is so much.
constexpr std::size_t beginning_bytes = 1024;

// InvalidFile with a sentence that names another kind of file, by its first bytes and its size alone.
void check_beginning(std::span<const unsigned char> beginning, std::size_t size);

// Every array lies inside the file, has the bytes of its shape, and together they leave no gap; else InvalidFile.
Safetensors read_safetensors(std::span<const unsigned char> file, Budget& budget);

}  // namespace pyrnn
