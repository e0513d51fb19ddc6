// Budget: how much memory a file may make the process allocate; pyrnn/checks/budget.py is the same in Python. A reader
// spends from the budget before it allocates: for JSON, for arrays, for packed weights, and for what a stream of one
// sequence needs.
#pragma once

#include <cstddef>

#include "checks/require.h"

namespace pyrnn {

// InvalidFile: the file is damaged or hostile, or needs more memory than it may. Unsupported: the file is valid, but
// asks for something that is not implemented.
struct InvalidFile : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr std::size_t always_allowed = std::size_t{1} << 24;  // bytes that any file may use
constexpr std::size_t allowed_per_byte = 64;  // bytes more for each byte of the file

class Budget {
 public:
  explicit Budget(std::size_t limit) : total_(limit), left_(limit) {}
  static Budget of_file(std::size_t length) {
    std::size_t limit = 0;
    const bool large = __builtin_mul_overflow(allowed_per_byte, length, &limit) ||
                       __builtin_add_overflow(limit, always_allowed, &limit);
    return Budget(large ? static_cast<std::size_t>(-1) : limit);
  }

  // `what` are the parts of the sentence's subject, which needs `bytes`; they are joined only if the budget is too
  // small.
  template <class... Parts> void spend(std::size_t bytes, const Parts&... what) {
    if (bytes > left_)
      fail<InvalidFile>(what..., " would take ", bytes, " bytes; of the ", total_, " bytes that this file may take ",
                        left_, " are left. If you trust it, raise the limit: pyrnn_model_load_within");
    left_ -= bytes;
  }

 private:
  std::size_t total_, left_;
};

}  // namespace pyrnn
