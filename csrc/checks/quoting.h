// Names from untrusted files, for error messages: short, and printable on any terminal. pyrnn/checks/quoting.py shows
// them in the same way.
#pragma once

#include <string>
#include <string_view>

namespace pyrnn {

// Returns printable ASCII and escapes the rest as Python does: \n, \xe9, \u4e2d. A byte that is not UTF-8 becomes \x
// and two digits.
std::string printable(std::string_view text);

// Returns a name in double quotes, cut to 100 characters.
std::string quoted(std::string_view name);

}  // namespace pyrnn
