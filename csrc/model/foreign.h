// Files that are no .safetensors: named as what they are, and what to do about it.
#pragma once

#include <span>
#include <string>

namespace pyrnn {

// A sentence on a file that begins with these bytes and is no .safetensors file; `size` is that of all of it.
std::string what_it_is(std::span<const unsigned char> beginning, std::size_t size);

}  // namespace pyrnn
