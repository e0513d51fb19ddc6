// Waits in a loop, without sleeping, for what will happen soon: putting a thread to sleep and waking it takes 20 to 60
// us.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyrnn {

// Waits until holds() is true, but not longer than some 20 us; returns whether it is true.
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
