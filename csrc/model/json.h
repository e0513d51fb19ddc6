// A JSON parser (RFC 8259) for untrusted text: strict, and bounded in depth and in memory.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "memory/budget.h"

namespace pyrnn {

struct Json {
  enum class Kind { null, boolean, number, string, array, object };
  using Object = std::map<std::string, Json, std::less<>>;

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  bool is_integer = false;  // whether it is written without point and exponent, and below 2^53
  std::string string;
  std::vector<Json> array;
  Object object;
};

// Throws InvalidFile; `what` names the text in the sentence. The memory of all values is spent from the budget.
Json parse_json(std::string_view text, const std::string& what, Budget& budget);

}  // namespace pyrnn
