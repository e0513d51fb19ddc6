#include "runtime/arguments.h"

#include <climits>

#include "runtime/require.h"

namespace pyrnn {

Arguments::Arguments(const Json& object, const std::string& where) : object_(object), where_(where) {
  if (object.kind != Json::Kind::object) fail<InvalidFile>(where, " should be an object");
}

bool Arguments::has(std::string_view name) {
  taken_.insert(name);
  const auto found = object_.object.find(name);
  return found != object_.object.end() && found->second.kind != Json::Kind::null;
}

const Json* Arguments::find(std::string_view name, Json::Kind kind, const char* kind_name, bool optional) {
  taken_.insert(name);
  const auto found = object_.object.find(name);
  if (found == object_.object.end() && optional) return nullptr;
  if (found == object_.object.end() || found->second.kind != kind)
    fail<InvalidFile>(where_, " should have ", name, ", ", kind_name);
  return &found->second;
}

std::string Arguments::text(std::string_view name, std::optional<std::string> otherwise) {
  const Json* found = find(name, Json::Kind::string, "a string", otherwise.has_value());
  return found ? found->string : *otherwise;
}

int Arguments::integer(std::string_view name, std::optional<int> otherwise) {
  const Json* found = find(name, Json::Kind::number, "a whole number", otherwise.has_value());
  if (!found) return *otherwise;
  if (!found->is_integer || found->number < INT_MIN || found->number > INT_MAX)
    fail<InvalidFile>(where_, " should have ", name, ", a whole number of 32 bits, got ", found->number);
  return static_cast<int>(found->number);
}

bool Arguments::boolean(std::string_view name, std::optional<bool> otherwise) {
  const Json* found = find(name, Json::Kind::boolean, "true or false", otherwise.has_value());
  return found ? found->boolean : *otherwise;
}

const Json& Arguments::object(std::string_view name) { return *find(name, Json::Kind::object, "an object", false); }

const Json& Arguments::list(std::string_view name) { return *find(name, Json::Kind::array, "a list", false); }

void Arguments::end() const {
  for (const auto& [name, value] : object_.object)
    if (!taken_.contains(name)) fail<InvalidFile>(where_, " has an unknown argument, ", name);
}

}  // namespace pyrnn
