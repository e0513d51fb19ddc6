// Files of other formats: names the format and says what to do.
#pragma once

#include <span>
#include <string>

namespace pyrnn {

// Returns a sentence about a file that is not a .safetensors file, by its first bytes and its whole size.
std::string what_it_is(std::span<const unsigned char> beginning, std::size_t size);

}  // namespace pyrnn
