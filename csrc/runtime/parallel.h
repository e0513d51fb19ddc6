// The library's own threads: for_each(n, f) runs f(0) .. f(n-1) on the pool and the calling thread.
//
// Not OpenMP: its pool does not survive a fork. Here a child starts with an empty pool of its own. Nested calls,
// and calls while another thread has the pool, run in the calling thread alone.
#pragma once

#include <functional>

namespace pyrnn {

void for_each(int n, const std::function<void(int)>& f);  // f must not throw

// PYRNN_THREADS, else the CPUs this process may use. set_num_threads throws std::invalid_argument below 1.
int num_threads();
void set_num_threads(int n);

// How many threads `work` multiply-adds are worth: below about 10 us apiece the wake-up costs more than it gains.
int threads_for(double work);

}  // namespace pyrnn
