// Work on several threads: the library's own, or those of the program around it (threads/host.h).
//
// The own ones are no OpenMP team: such a team does not survive a fork. Here a child starts with an empty pool of its
// own. Nested calls, and calls while another thread has the threads, run in the calling thread alone.
#pragma once

#include <cstddef>

#include "threads/task.h"

namespace pyrnn {

// Where piece i begins when n things are cut into `pieces`, as even as can be; where the one before ends.
inline int cut(int n, int i, int pieces) noexcept { return static_cast<int>(static_cast<long long>(n) * i / pieces); }

// f(member, members) on at most so many threads (1: no pool is woken) that run at the same time and may wait for each
// other; f(0, 1) in the calling thread alone where others have the pool. Where a thread cannot be made, those there are
// do the work. f must not throw.
void run_together(int threads, Task<int, int> f) noexcept;

// f(0) .. f(n - 1), on at most so many threads; rethrows the first exception when all are done.
void for_each(int n, int threads, Task<int> f);

// PYRNN_THREADS, else the CPUs this process may use; within a HostThreads no more than it says. set_num_threads throws
// std::invalid_argument below 1.
int num_threads();
void set_num_threads(std::ptrdiff_t n);

// How many threads `work` multiply-adds are worth: small pieces cost more to hand out than they save. Up to
// one_thread_work it is one; that takes some 35 us. At 1e6 the RNN at 100,8,64,64 lost a tenth to a second thread.
constexpr double one_thread_work = 4e6;
int threads_for(double work);

}  // namespace pyrnn
