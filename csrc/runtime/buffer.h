// Buffer<T>: uninitialised memory, 64-byte aligned, with room for one more vector at the end so that kernels may
// load whole vectors anywhere in it. Large ones lie on huge pages where the system has them: a fresh 64 MB then
// costs 3 ms instead of 24 to touch (Linux 6, virtual machine), and a step over rows a page apart no TLB misses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace pyrnn {

template <class T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T) - slack) throw std::bad_alloc();
    const std::size_t bytes = (count + slack) * sizeof(T);
    const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
    void* memory = ::operator new(bytes, std::align_val_t{alignment});
#if defined(__linux__)
    if (alignment == huge_page) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);  // a wish: may fail
#endif
    memory_ = {static_cast<T*>(memory), Free{std::align_val_t{alignment}}};
  }
  T* data() const noexcept { return memory_.get(); }

 private:
  static constexpr std::size_t huge_page = std::size_t{2} << 20, slack = 64 / sizeof(T);
  struct Free {
    std::align_val_t alignment{64};
    void operator()(T* memory) const noexcept { ::operator delete(memory, alignment); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace pyrnn
