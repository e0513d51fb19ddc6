// The threads of the program that this library works in, where that program is torch (bindings/openmp.cpp finds them).
//
// After each of its operations torch's OpenMP workers wait busily, for milliseconds, and a second thread of our own would
// get no CPU: right after a product of torch, 1.25 ms of work take 1.40 ms on the own pool of two threads and 0.74 ms on
// torch's own (two cores). So a call on tensors of torch runs on those workers.
#pragma once

#include "threads/task.h"

namespace pyrnn {

// Starts a team of `size` threads, of which the first `threads`, or all if it has become smaller, run
// f(member, members).
using HostTeam = void (*)(int size, int threads, Task<int, int> f);
void set_host_team(HostTeam team) noexcept;  // null: there is none, as in the child of a fork, which lacks its threads

// While this lives, the calling thread's work runs on a host's team of `size` threads; 0: on the library's own.
class HostThreads {
 public:
  explicit HostThreads(int size) noexcept;
  ~HostThreads();
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;
  static int size() noexcept;  // of the calling thread

 private:
  int before_;
};

// f(member, members) on at most `threads` threads of the host at the same time; false where there is no team to use. A
// team always is of the host's own size: an OpenMP library ends and starts threads when the size changes.
bool run_on_host(int threads, Task<int, int> f) noexcept;

}  // namespace pyrnn
