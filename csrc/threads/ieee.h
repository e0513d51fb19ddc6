// IeeeMode: while such an object exists, its thread computes in IEEE mode: round to nearest, subnormals kept, no
// traps. Other libraries switch on flush-to-zero for the whole process (gcc -ffast-math does when it is loaded);
// results must not depend on that. The destructor restores the mode. The exception flags are not part of the mode: a
// flag that a kernel raises stays raised.
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
  static constexpr Word default_mode = 0, mode_bits = ~0ul;  // the flags are in another register (fpsr)
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
  // Writes only if the mode differs: writing takes 10 times as long as reading, and the mode is nearly always right
  // already. The comparison leaves the flags out, because that of an inexact result is nearly always raised.
  void exchange(Word mode) const noexcept {
    if ((found_ & mode_bits) != default_mode) write((mode & mode_bits) | (read() & ~mode_bits));
  }
  Word found_ = read();
};

}  // namespace pyrnn
