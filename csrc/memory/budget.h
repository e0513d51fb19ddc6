// Budget: how much memory a file may make the process take; as pyrnn/checks/budget.py. Whoever reads a file spends
// from one before it takes memory: for JSON, arrays, packed weights, and for what a stream of one sequence needs.
#pragma once

#include <cstddef>

#include "checks/require.h"

namespace pyrnn {

// A file that is damaged or hostile, or would take more memory than it may; one that is sound, but asks for what is not
// built.
struct InvalidFile : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct Unsupported : std::runtime_error {
  using std::runtime_error::runtime_error;
};

constexpr std::size_t harmless = std::size_t{1} << 24;  // bytes that any file may take
constexpr std::size_t times_its_length = 64;            // and so many times its length

class Budget {
 public:
  explicit Budget(std::size_t limit) : total_(limit), left_(limit) {}
  static Budget of_file(std::size_t length) {
    std::size_t limit = 0;
    const bool large =
        __builtin_mul_overflow(times_its_length, length, &limit) || __builtin_add_overflow(limit, harmless, &limit);
    return Budget(large ? static_cast<std::size_t>(-1) : limit);
  }

  // The parts of the sentence's subject say what needs so many bytes; they are put together only where it is refused.
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
