// The result of a call of capi/pyrnn.h: a status, and a sentence for pyrnn_last_error.
#pragma once

#include "capi/pyrnn.h"

#include <stdexcept>

namespace pyrnn {

// Thrown if the system cannot read a file.
struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const char* last_sentence() noexcept;  // the last sentence of this thread

// Stores the sentence for this thread, cut to the buffer's size and with every unprintable character replaced. Returns
// `status`.
pyrnn_status refuse(pyrnn_status status, const char* sentence) noexcept;

// Returns the status of the exception being handled, and stores its sentence.
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
