// A .safetensors file in memory: 8 bytes with the length of a JSON header, the header, and the arrays one after the
// other. https://github.com/huggingface/safetensors#format. Nothing is copied: arrays point into the given bytes.
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

// How much of a file check_beginning reads, if the file is that long.
constexpr std::size_t beginning_bytes = 1024;

// Throws InvalidFile if the first bytes and the size show another kind of file; the sentence names that kind.
void check_beginning(std::span<const unsigned char> beginning, std::size_t size);

// Throws InvalidFile unless every array is inside of the file, has the number of bytes of its shape, and the arrays
// leave no gap.
Safetensors read_safetensors(std::span<const unsigned char> file, Budget& budget);

}  // namespace pyrnn
