// Checks that throw a sentence. Python shows it as the exception named; C as a status and the text.
#pragma once

#include <sstream>
#include <stdexcept>

namespace pyrnn {

template <class Error = std::invalid_argument, class... Parts> [[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream sentence;
  (sentence << ... << parts);
  throw Error(sentence.str());
}

// The parts are made whether it holds or not: where they cost, ask first and `fail`.
template <class Error = std::invalid_argument, class... Parts> void require(bool holds, const Parts&... parts) {
  if (!holds) fail<Error>(parts...);
}

}  // namespace pyrnn
