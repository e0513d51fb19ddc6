// The library's own threads: for_each(n, threads, f) runs f(0) .. f(n-1) on the pool and the calling thread.
//
// Not OpenMP: its pool does not survive a fork. Here a child starts with an empty pool of its own. Nested calls,
// and calls while another thread has the pool, run in the calling thread alone.
#pragma once

#include <cstddef>

namespace pyrnn {

// Where piece i begins when n things are cut into `pieces`, as even as can be; where the one before ends.
inline int cut(int n, int i, int pieces) noexcept { return static_cast<int>(static_cast<long long>(n) * i / pieces); }

// A callable by reference: std::function would allocate, and a stream may not.
class Task {
 public:
  template <class F>
  Task(const F& f) noexcept  // NOLINT: made from a lambda at the call
      : object_(&f), call_([](const void* object, int i) { (*static_cast<const F*>(object))(i); }) {}
  void operator()(int i) const { call_(object_, i); }

 private:
  const void* object_;
  void (*call_)(const void*, int);
};

// On at most so many threads (1: no pool is woken); rethrows the first exception when all are done. It throws nothing
// of its own: where a thread cannot be made, those there are do the work.
void for_each(int n, int threads, Task f);

// Threads that run at the same time and may wait for each other; the calling thread alone where the pool is in use.
class Pool;
struct Gathering {
  explicit Gathering(int threads) noexcept;
  ~Gathering();
  Gathering(const Gathering&) = delete;
  Gathering& operator=(const Gathering&) = delete;
  void run(Task f) const noexcept;  // f(0) .. f(members - 1), all at once; f must not throw
  int members = 1;

 private:
  Pool* pool_;
};

// PYRNN_THREADS, else the CPUs this process may use. set_num_threads throws std::invalid_argument below 1.
int num_threads();
void set_num_threads(std::ptrdiff_t n);

// How many threads `work` multiply-adds are worth: small pieces cost more to hand out than they save. Up to
// one_thread_work it is one; that takes some 35 us. At 1e6 the RNN at 100,8,64,64 lost a tenth to a second thread.
constexpr double one_thread_work = 4e6;
int threads_for(double work);

}  // namespace pyrnn
