// Work on several threads: those of this library's pool, or those of the host (threads/host.h).
//
// The pool is not an OpenMP team, because such a team does not survive a fork; here a child process starts a new pool.
// A nested call, and a call while another thread has the threads, runs in the calling thread alone.
#pragma once

#include <cstddef>

#include "threads/task.h"

namespace pyrnn {

// Cuts n items into `pieces` that are as even as possible and returns where piece i begins, which is where piece i - 1
// ends.
inline int cut(int n, int i, int pieces) noexcept { return static_cast<int>(static_cast<long long>(n) * i / pieces); }

// Runs f(member, members) on at most `threads` threads (1: the caller's own) that run at the same time and may wait
// for each other. If another call has the threads, it runs f(0, 1) in the calling thread; if no more threads can be
// started, the existing ones do the work. f must not throw.
void run_together(int threads, Task<int, int> f) noexcept;

// Runs f(0) .. f(n - 1) on at most `threads` threads. When all are done it rethrows the first exception.
void for_each(int n, int threads, Task<int> f);

// num_threads returns PYRNN_THREADS or else the number of CPUs that this process may use; where a HostThreads exists,
// no more than its size. set_num_threads throws std::invalid_argument for n < 1.
int num_threads();
void set_num_threads(std::ptrdiff_t n);

// Returns how many threads to use for `work` multiply-adds: starting more for little work takes longer than it saves.
// Up to one_thread_work, some 35 us of work, it is one; with 1e6 in its place an RNN at 100,8,64,64 was a tenth slower
// with its second thread.
constexpr double one_thread_work = 4e6;
int threads_for(double work);

}  // namespace pyrnn
