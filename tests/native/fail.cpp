// A library for LD_PRELOAD that makes the n-th request of the process for memory or for a thread fail, so that a test
// can try every n.
//
//   fail_at(n, kinds)   counts requests of these kinds from now on, in all threads, and makes the n-th fail (0: none)
//   fail_count()        returns the number of requests since then
//   fail_happened()     returns 1 if one of them failed
//   fail_live()         returns the heap blocks that are allocated and not freed; a failed call must not change it
//
// Build: c++ -std=c++20 -shared -fPIC -O1 -o libfail.so fail.cpp -ldl (needs glibc, which has other names for malloc)
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <new>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

enum Kind : unsigned {
  operator_new = 1,  // all forms of new: libstdc++ implements them by the two below
  heap = 2,  // malloc, calloc, realloc
  aligned_heap = 4,  // aligned_alloc, posix_memalign, memalign
  mapping = 8,  // mmap
  thread = 16,  // pthread_create
  and_all_after = 128,  // makes every request from the n-th on fail, as when memory is short
};

std::atomic<unsigned> watched{0};
std::atomic<long> at{0}, requests{0}, live{0};
std::atomic<int> happened{0};

bool fails(Kind kind) {
  const unsigned now = watched.load();
  if (!(now & kind)) return false;
  const long request = requests.fetch_add(1) + 1, failing = at.load();
  if (!failing || !(now & and_all_after ? request >= failing : request == failing)) return false;
  happened = 1;
  return true;
}

void* counted(void* memory) {
  if (memory) ++live;
  return memory;
}

void* no_memory() {
  errno = ENOMEM;
  return nullptr;
}

void* found_or_thrown(void* memory) {
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  return found_or_thrown(fails(operator_new) ? nullptr : counted(__libc_malloc(size)));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto bytes = static_cast<std::size_t>(alignment);
  return found_or_thrown(fails(operator_new) ? nullptr : counted(__libc_memalign(bytes, size)));
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, std::size_t) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { free(memory); }

extern "C" {

void fail_at(long n, unsigned kinds) {
  watched = 0;
  at = n, requests = 0, happened = 0;
  watched = kinds;
}
long fail_count() { return requests; }
int fail_happened() { return happened; }
long fail_live() { return live; }

void free(void* memory) noexcept {
  if (memory) --live;
  __libc_free(memory);
}
void* malloc(std::size_t size) noexcept { return fails(heap) ? no_memory() : counted(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) noexcept {
  return fails(heap) ? no_memory() : counted(__libc_calloc(count, size));
}
void* realloc(void* memory, std::size_t size) noexcept {
  if (fails(heap)) return no_memory();
  void* const moved = __libc_realloc(memory, size);
  if (!memory && moved) ++live;
  if (memory && !moved && !size) --live;
  return moved;
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return fails(aligned_heap) ? no_memory() : counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
  void* const taken = memalign(alignment, size);
  if (!taken) return ENOMEM;
  *memory = taken;
  return 0;
}

void* mmap(void* address, std::size_t length, int protection, int flags, int file, off_t offset) noexcept {
  if (fails(mapping)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, length, protection, flags, file, offset));
}
void* mmap64(void* address, std::size_t length, int protection, int flags, int file, off_t offset) noexcept {
  return mmap(address, length, protection, flags, file, offset);
}

int pthread_create(pthread_t* made, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  if (fails(thread)) return EAGAIN;
  static const auto real = reinterpret_cast<decltype(&pthread_create)>(dlsym(RTLD_NEXT, "pthread_create"));
  return real(made, attributes, start, argument);
}

}  // extern "C"
