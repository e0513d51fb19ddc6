// Arguments: the members of a JSON object, each asked for by name and kind; what nobody asked for is refused.
#pragma once

#include <optional>
#include <set>

#include "runtime/json.h"

namespace pyrnn {

class Arguments {
 public:
  Arguments(const Json& object, const std::string& where);  // `where` begins the sentences

  bool has(std::string_view name);  // and it is not null
  std::string text(std::string_view name, std::optional<std::string> otherwise = {});
  int integer(std::string_view name, std::optional<int> otherwise = {});
  bool boolean(std::string_view name, std::optional<bool> otherwise = {});
  const Json& object(std::string_view name);
  const Json& list(std::string_view name);
  void pass_over(std::string_view name) { taken_.insert(name); }
  void end() const;  // throws InvalidFile if anything is left

 private:
  const Json* find(std::string_view name, Json::Kind kind, const char* kind_name, bool optional);

  const Json& object_;
  std::string where_;
  std::set<std::string_view, std::less<>> taken_;
};

}  // namespace pyrnn
