#include "memory/buffer.h"

#include <atomic>
#include <cstdio>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace pyrnn {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t kept_at_most = std::size_t{256} << 20;  // bytes, of all kept blocks together
constexpr int places = 32;

constexpr bool is_large(std::size_t bytes) { return bytes >= huge_page; }
constexpr std::align_val_t alignment_of(std::size_t bytes) {
  return std::align_val_t{is_large(bytes) ? huge_page : std::size_t{64}};
}

// The blocks that were freed last, for the next requests of the same sizes. A thread that finds the list in use asks
// the system instead, so no thread waits; nor does the child of a fork that happened while a thread used the list.
struct Kept {
  struct Block {
    void* memory = nullptr;
    std::size_t bytes = 0;
  };
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
  Block block[places];
  std::size_t total = 0;
  int oldest = 0;
};
constinit Kept kept;

void release(void* memory, std::size_t bytes) noexcept { ::operator delete(memory, alignment_of(bytes)); }

// Frees the blocks when the library is unloaded: after dlclose the process continues. `busy` stays set, so a static
// object or a thread that frees or requests a buffer afterwards uses the system's allocator.
struct FreedAtUnload {
  ~FreedAtUnload() {
    if (kept.busy.test_and_set(std::memory_order_acquire)) return;
    for (const Kept::Block& each : kept.block)
      if (each.memory) release(each.memory, each.bytes);
#if defined(__GLIBC__)
    if (kept.total) malloc_trim(0);  // malloc would keep up to 64 MB for requests that will not come
#endif
  }
} freed_at_unload;

void* take_kept(std::size_t bytes) noexcept {
  if (kept.busy.test_and_set(std::memory_order_acquire)) return nullptr;
  void* found = nullptr;
  for (Kept::Block& each : kept.block)
    if (!found && each.memory && each.bytes == bytes) {
      found = each.memory;
      kept.total -= bytes;
      each = {};
    }
  kept.busy.clear(std::memory_order_release);
  return found;
}

void* take(std::size_t bytes) {
  if (bytes >= kept_bytes)
    if (void* memory = take_kept(bytes)) return memory;
  void* memory = ::operator new(bytes, alignment_of(bytes), std::nothrow);
  if (!memory) throw OutOfMemory(bytes);
#if defined(__linux__)
  if (is_large(bytes)) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);  // a hint, which may fail
#endif
  return memory;
}

void give(void* memory, std::size_t bytes) noexcept {
  if (bytes < kept_bytes || bytes > kept_at_most || kept.busy.test_and_set(std::memory_order_acquire))
    return release(memory, bytes);
  // Frees the oldest block, and more of the oldest until the total fits, and stores the new one in its place.
  do {
    Kept::Block& oldest = kept.block[kept.oldest];
    kept.oldest = (kept.oldest + 1) % places;
    if (oldest.memory) release(oldest.memory, oldest.bytes);
    kept.total -= oldest.bytes;
    oldest = {};
  } while (kept.total + bytes > kept_at_most);
  kept.block[(kept.oldest + places - 1) % places] = {memory, bytes};
  kept.total += bytes;
  kept.busy.clear(std::memory_order_release);
}

class KeptMemory : public Memory {
  void* do_allocate(std::size_t bytes, std::size_t) override { return take(bytes); }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t) override { give(memory, bytes); }
  bool do_is_equal(const Memory& other) const noexcept override { return this == &other; }
};

}  // namespace

OutOfMemory::OutOfMemory(std::size_t bytes) noexcept {
  const char* const more = bytes == SIZE_MAX ? "more than " : "";
  std::snprintf(sentence_, sizeof(sentence_), "not enough memory: %s%zu bytes were asked for", more, bytes);
}

// The object is never destroyed, because static objects may free buffers after it would be. It is not on the heap,
// where it would remain after dlclose.
Memory& kept_memory() noexcept {
  alignas(KeptMemory) static std::byte place[sizeof(KeptMemory)];
  static Memory& memory = *new (place) KeptMemory;
  return memory;
}

void* MeasuredMemory::do_allocate(std::size_t size, std::size_t align) {
  if (__builtin_add_overflow(bytes_, (align - bytes_ % align) % align, &bytes_) ||
      __builtin_add_overflow(bytes_, size, &bytes_))
    throw std::bad_alloc();
  alignas(buffer_alignment) static std::byte untouched[buffer_alignment];
  return align == buffer_alignment ? untouched : ::operator new(size, std::align_val_t{align});
}

void MeasuredMemory::do_deallocate(void* memory, std::size_t, std::size_t align) {
  if (align != buffer_alignment) ::operator delete(memory, std::align_val_t{align});
}

}  // namespace pyrnn
