#include "model/arguments.h"

#include <climits>

#include "checks/quoting.h"
#include "checks/require.h"

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
  return found ? whole(*found, name) : *otherwise;
}

int Arguments::whole(const Json& json, std::string_view name) const {
  if (!json.is_integer || json.number < INT_MIN || json.number > INT_MAX)
    fail<InvalidFile>(where_, " should have ", name, ", a whole number of 32 bits, got ", json.number);
  return static_cast<int>(json.number);
}

double Arguments::number(std::string_view name, double otherwise) {
  return has(name) ? find(name, Json::Kind::number, "a number", false)->number : otherwise;
}

int Arguments::only(std::string_view name, std::optional<int> otherwise) {
  const Json* found = find(name, Json::Kind::array, "a list of one number", otherwise.has_value());
  if (!found) return *otherwise;
  if (found->array.size() != 1) fail<InvalidFile>(where_, " should have ", name, ", a list of one number");
  return whole(found->array[0], name);
}

std::array<int, 2> Arguments::pads(std::string_view name) {
  taken_.insert(name);
  const auto found = object_.object.find(name);
  const Json* json = found == object_.object.end() ? nullptr : &found->second;
  if (!json || json->string == "valid") return {0, 0};
  if (json->string == "same") return {-1, -1};
  const bool pair = json->array.size() == 1 && json->array[0].kind == Json::Kind::array;
  if (pair) json = &json->array[0];
  const std::size_t count = json->array.size();
  if (count != (pair ? 2 : 1))
    fail<InvalidFile>(where_, " should have ", name, ": valid, same, a number or a pair in a list");
  const int before = whole(json->array[0], name), after = whole(json->array[count - 1], name);
  if (before < 0 || after < 0) fail<InvalidFile>(where_, " should have ", name, " of zero or more");
  return {before, after};
}

bool Arguments::boolean(std::string_view name, std::optional<bool> otherwise) {
  const Json* found = find(name, Json::Kind::boolean, "true or false", otherwise.has_value());
  return found ? found->boolean : *otherwise;
}

const Json& Arguments::object(std::string_view name) { return *find(name, Json::Kind::object, "an object", false); }

const Json& Arguments::list(std::string_view name) { return *find(name, Json::Kind::array, "a list", false); }

void Arguments::end() const {
  for (const auto& [name, value] : object_.object)
    if (!taken_.contains(name)) fail<InvalidFile>(where_, " has an unknown argument, ", quoted(name));
}

}  // namespace pyrnn
