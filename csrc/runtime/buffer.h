// Buffer<T>: uninitialised memory, 64-byte aligned, with room for one more vector at the end so that kernels may
// load whole vectors anywhere in it.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace pyrnn {

template <class T> class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T) - slack) throw std::bad_alloc();
    memory_.reset(static_cast<T*>(::operator new((count + slack) * sizeof(T), alignment)));
  }
  T* data() const noexcept { return memory_.get(); }

 private:
  static constexpr std::align_val_t alignment{64};
  static constexpr std::size_t slack = 64 / sizeof(T);
  struct Free {
    void operator()(T* memory) const noexcept { ::operator delete(memory, alignment); }
  };
  std::unique_ptr<T, Free> memory_;
};

}  // namespace pyrnn
