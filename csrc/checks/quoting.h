// Names from strangers' files inside sentences: short, and printable on any terminal. As pyrnn/checks/quoting.py shows them.
#pragma once

#include <string>
#include <string_view>

namespace pyrnn {

// Printable ASCII, the rest escaped as in Python: \n, \xe9, \u4e2d. Bytes that are no UTF-8 become \x and two digits.
std::string printable(std::string_view text);

// A name in double quotes, cut to 100 letters.
std::string quoted(std::string_view name);

}  // namespace pyrnn
