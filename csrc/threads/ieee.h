// IeeeMode: while one lives, this thread computes in IEEE mode: round to nearest, no flushing of subnormals, no
// traps. Other libraries set flush-to-zero for the whole process (gcc -ffast-math does at load time); results
// must not depend on it. The mode found is restored. Flags that tell what has happened are no part of it: what the
// kernels raise stays raised.
#pragma once

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace pyrnn {

class IeeeMode {
 public:
  IeeeMode() noexcept { exchange(default_mode); }
  ~IeeeMode() { exchange(found_); }
  IeeeMode(const IeeeMode&) = delete;
  IeeeMode& operator=(const IeeeMode&) = delete;

 private:
#if defined(__x86_64__)
  using Word = unsigned;
  static constexpr Word default_mode = 0x1f80, mode_bits = ~0x3fu;
  static Word read() noexcept { return _mm_getcsr(); }
  static void write(Word mode) noexcept { _mm_setcsr(mode); }
#elif defined(__aarch64__)
  using Word = unsigned long;
  static constexpr Word default_mode = 0, mode_bits = ~0ul;  // the flags are in another register
  static Word read() noexcept {
    Word mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(Word mode) noexcept { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
  using Word = int;
  static constexpr Word default_mode = 0, mode_bits = 0;
  static Word read() noexcept { return 0; }
  static void write(Word) noexcept {}
#endif
  // Writing costs 10 times what reading does, and the mode is nearly always right; whereas the flag of a rounded result
  // is nearly always up.
  void exchange(Word mode) const noexcept {
    if ((found_ & mode_bits) != default_mode) write((mode & mode_bits) | (read() & ~mode_bits));
  }
  Word found_ = read();
};

}  // namespace pyrnn
