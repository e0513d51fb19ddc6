// Arguments: the members of a JSON object, which a reader requests by name and kind; `end` refuses an object with
// members that it did not request.
#pragma once

#include <array>
#include <optional>
#include <set>

#include "model/json.h"

namespace pyrnn {

class Arguments {
 public:
  Arguments(const Json& object, const std::string& where);  // errors begin with `where`

  bool has(std::string_view name);  // whether it exists and is not null
  std::string text(std::string_view name, std::optional<std::string> otherwise = {});
  int integer(std::string_view name, std::optional<int> otherwise = {});
  double number(std::string_view name, double otherwise);  // `otherwise` for null too
  bool boolean(std::string_view name, std::optional<bool> otherwise = {});
  int only(std::string_view name, std::optional<int> otherwise = {});  // a list of one whole number
  // The padding of one axis: "valid", "same", [n] or [[before, after]]; returns -1 for "same".
  std::array<int, 2> pads(std::string_view name);
  const Json& object(std::string_view name);
  const Json& list(std::string_view name);
  void pass_over(std::string_view name) { taken_.insert(name); }
  void end() const;  // throws InvalidFile if a member was not requested

 private:
  const Json* find(std::string_view name, Json::Kind kind, const char* kind_name, bool optional);
  int whole(const Json& json, std::string_view name) const;

  const Json& object_;
  std::string where_;
  std::set<std::string_view, std::less<>> taken_;
};

}  // namespace pyrnn
