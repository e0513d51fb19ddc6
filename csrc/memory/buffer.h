// Buffer<T>: uninitialised memory, 64-byte aligned. It has one more vector at its end, so kernels may load a whole
// vector anywhere in it. It comes from the resource that the caller names: the kept blocks, or one piece of memory
// that a C program provided.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <new>

namespace pyrnn {

// Large blocks use huge pages if the system has them, and some freed blocks are kept for the next call, since a
// training step allocates the same sizes again and again: touching a fresh 64 MB takes 24 ms on small pages and 3 ms
// on huge ones (Linux 6, virtual machine), a kept block takes no time. Blocks of kept_bytes or more are kept:
// otherwise malloc returns their pages between calls, which costs a third of an RNN's time at 100,128,64,64.
constexpr std::size_t kept_bytes = std::size_t{128} << 10;
using Memory = std::pmr::memory_resource;
Memory& kept_memory() noexcept;

// A std::bad_alloc that says how many bytes were requested. The text is in the object itself, since there may be no
// memory for a string.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::size_t bytes) noexcept;
  const char* what() const noexcept override { return sentence_; }

 private:
  char sentence_[96];
};

constexpr std::size_t buffer_alignment = 64;

// Adds up the memory that would be allocated, laid out as std::pmr::monotonic_buffer_resource does. A buffer receives
// an address that must not be read or written; other requests, such as those of the vectors that hold the buffers,
// receive memory.
class MeasuredMemory : public Memory {
 public:
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  void* do_allocate(std::size_t size, std::size_t align) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t align) override;
  bool do_is_equal(const Memory& other) const noexcept override { return this == &other; }

  std::size_t bytes_ = 0;
};

// Returns the product of sizes, or, if it does not fit, the largest size_t, which no allocation can satisfy.
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
