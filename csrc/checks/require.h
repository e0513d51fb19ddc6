// Checks that throw an exception with a sentence. Python shows it as the exception named; C as a status and the text.
#pragma once

#include <sstream>
#include <stdexcept>

namespace pyrnn {

template <class Error = std::invalid_argument, class... Parts> [[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream sentence;
  (sentence << ... << parts);
  throw Error(sentence.str());
}

// Throws if `holds` is false. The arguments are evaluated in either case; if they are expensive, test first and call
// `fail`.
template <class Error = std::invalid_argument, class... Parts> void require(bool holds, const Parts&... parts) {
  if (!holds) fail<Error>(parts...);
}

}  // namespace pyrnn
