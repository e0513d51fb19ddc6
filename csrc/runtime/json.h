// JSON as RFC 8259 has it, from strangers: strict, and bounded in depth and in the number of values.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace pyrnn {

// A file that is damaged or hostile; one that is sound, but asks for what is not built.
struct InvalidFile : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Json {
  enum class Kind { null, boolean, number, string, array, object };
  using Object = std::map<std::string, Json, std::less<>>;

  Kind kind = Kind::null;
  bool boolean = false;
  double number = 0;
  bool is_integer = false;  // written without a point and an exponent, below 2^53
  std::string string;
  std::vector<Json> array;
  Object object;
};

// Throws InvalidFile; `what` names the text in the sentence.
Json parse_json(std::string_view text, const std::string& what);

}  // namespace pyrnn
