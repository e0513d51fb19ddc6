// The threads of the host, the program that loaded this library, if the host is torch (bindings/openmp.cpp finds
// them).
//
// After each operation torch's OpenMP workers wait in a loop for milliseconds, so a second thread of this library
// would get no CPU: right after a product of torch, 1.25 ms of work take 1.40 ms on this library's pool of two threads
// and 0.74 ms on torch's workers (two cores). So a call on tensors of torch runs on those workers.
#pragma once

#include "threads/task.h"

namespace pyrnn {

// Starts a team of `size` threads. The first `threads` of them, or all if the team turns out smaller, run f(member,
// members).
using HostTeam = void (*)(int size, int threads, Task<int, int> f);
// null means that there is none; so it is in the child of a fork, which does not have the host's threads.
void set_host_team(HostTeam team) noexcept;

// While this object exists, the calling thread's work runs on a host's team of `size` threads, or, if `size` is 0, on
// this library's threads.
class HostThreads {
 public:
  explicit HostThreads(int size) noexcept;
  ~HostThreads();
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;
  static int size() noexcept;  // the size that holds for the calling thread

 private:
  int before_;
};

// Runs f(member, members) on at most `threads` threads of the host at the same time; returns false if there is no
// team. The team always has the host's own size: an OpenMP library ends and starts threads when the size changes.
bool run_on_host(int threads, Task<int, int> f) noexcept;

}  // namespace pyrnn
