// Buffer<T>: uninitialised memory, 64-byte aligned, with room for one more vector at the end so that kernels may
// load whole vectors anywhere in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace pyrnn {

// Large blocks lie on huge pages where the system has them, and a few are kept for the next call when freed: a fresh
// 64 MB costs 24 ms to touch on small pages, 3 ms on huge ones (Linux 6, virtual machine), a kept one nothing. A
// training step allocates and frees the same sizes again and again. From kept_bytes on: a process that does other things
// too trims its heap between two calls, and new pages took a third of the time of an RNN at 100,128,64,64.
constexpr std::size_t kept_bytes = std::size_t{128} << 10;
void* take_memory(std::size_t bytes);  // throws std::bad_alloc
void give_memory(void* memory, std::size_t bytes) noexcept;

template <class T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T) - slack) throw std::bad_alloc();
    const std::size_t bytes = (count + slack) * sizeof(T);
    memory_ = {static_cast<T*>(take_memory(bytes)), Free{bytes}};
  }
  T* data() const noexcept { return memory_.get(); }

 private:
  static constexpr std::size_t slack = 64 / sizeof(T);
  struct Free {
    std::size_t bytes = 0;
    void operator()(T* memory) const noexcept { give_memory(memory, bytes); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace pyrnn
