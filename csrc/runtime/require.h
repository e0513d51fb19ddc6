// Checks that throw a sentence. Python shows it as the exception named; C as a status and the text.
#pragma once

#include <sstream>
#include <stdexcept>

namespace pyrnn {

template <class Error = std::invalid_argument, class... Parts> void require(bool holds, const Parts&... parts) {
  if (holds) return;
  std::ostringstream sentence;
  (sentence << ... << parts);
  throw Error(sentence.str());
}

}  // namespace pyrnn
