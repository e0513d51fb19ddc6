// Buffer<T>: uninitialised memory, 64-byte aligned, with room for one more vector at the end so that kernels may
// load whole vectors anywhere in it. It comes from where the caller says: from kept blocks, or out of one piece of
// memory that a C program gave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <new>

namespace pyrnn {

// Large blocks lie on huge pages where the system has them, and a few are kept for the next call when freed: a fresh
// 64 MB costs 24 ms to touch on small pages, 3 ms on huge ones (Linux 6, virtual machine), a kept one nothing. A
// training step allocates and frees the same sizes again and again. From kept_bytes on: a process that does other things
// too trims its heap between two calls, and new pages took a third of the time of an RNN at 100,128,64,64.
constexpr std::size_t kept_bytes = std::size_t{128} << 10;
using Memory = std::pmr::memory_resource;
Memory& kept_memory() noexcept;

// std::bad_alloc that says how much was asked for. It holds its sentence itself: there may be no memory for a string.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::size_t bytes) noexcept;
  const char* what() const noexcept override { return sentence_; }

 private:
  char sentence_[96];
};

constexpr std::size_t buffer_alignment = 64;

// Adds up what would be taken, laid out one after the other as std::pmr::monotonic_buffer_resource does. Buffers get an
// address alone, which nobody may touch; all else, such as the vectors that hold them, gets memory.
class MeasuredMemory : public Memory {
 public:
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  void* do_allocate(std::size_t size, std::size_t align) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t align) override;
  bool do_is_equal(const Memory& other) const noexcept override { return this == &other; }

  std::size_t bytes_ = 0;
};

// The product of sizes; where it fits no size_t, the largest, which no memory has.
inline std::size_t elements(std::size_t a, std::size_t b, std::size_t c = 1) noexcept {
  std::size_t product = 0;
  return __builtin_mul_overflow(a, b, &product) || __builtin_mul_overflow(product, c, &product) ? SIZE_MAX : product;
}

template <class T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count, Memory& from = kept_memory()) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T) - slack) throw OutOfMemory(SIZE_MAX);
    const std::size_t bytes = (count + slack) * sizeof(T);
    memory_ = {static_cast<T*>(from.allocate(bytes, buffer_alignment)), Free{bytes, &from}};
  }
  T* data() const noexcept { return memory_.get(); }

 private:
  static constexpr std::size_t slack = buffer_alignment / sizeof(T);
  struct Free {
    std::size_t bytes = 0;
    Memory* from = nullptr;
    void operator()(T* memory) const noexcept { from->deallocate(memory, bytes, buffer_alignment); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace pyrnn
