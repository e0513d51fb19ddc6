// Waiting without sleeping, for what is about to happen: to sleep and be woken costs 20 to 60 us.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyrnn {

// Until holds() is true, but no longer than some 20 us; whether it is.
template <class Condition> bool spin(Condition holds) noexcept {
  for (int rounds = 0; rounds < 1000; ++rounds) {
    if (holds()) return true;
#if defined(__x86_64__)
    _mm_pause();
#endif
  }
  return holds();
}

}  // namespace pyrnn
