// The result of a call of capi/pyrnn.h: a status, and a sentence for pyrnn_last_error.
#pragma once

#include "capi/pyrnn.h"

#include <stdexcept>

namespace pyrnn {

// The system would not read a file.
struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const char* last_sentence() noexcept;  // of this thread

// Keeps the sentence, cut to what there is room for and without a character that a terminal would not print.
pyrnn_status refuse(pyrnn_status status, const char* sentence) noexcept;

// The status of the exception that is being handled, whose sentence it keeps.
pyrnn_status refuse_exception() noexcept;

template <class F> pyrnn_status guard(F f) noexcept {
  try {
    f();
    return PYRNN_OK;
  } catch (...) {
    return refuse_exception();
  }
}

}  // namespace pyrnn
