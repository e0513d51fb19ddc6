#include "runtime/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#include "runtime/require.h"
#include "runtime/spin.h"

namespace pyrnn {
namespace {

constexpr int most_threads = 256;

}  // namespace

class Pool {
 public:
  // Workers there are, after making more if so many are wanted. Where the system gives no more threads, or no memory
  // for one, those there are will do.
  int grow(int wanted) noexcept {
    std::lock_guard lock(mutex_);
    try {
      while (workers_ < wanted) {
        std::thread(&Pool::work, this, workers_).detach();
        ++workers_;
      }
    } catch (const std::system_error&) {
    } catch (const std::bad_alloc&) {}
    return std::min(wanted, workers_);
  }

  void run(int n, int threads, Task f) noexcept {  // f must not throw
    const int admitted = grow(std::min(n, threads) - 1);
    {
      std::lock_guard lock(mutex_);
      task_ = &f;
      count_ = n;
      next_ = 0;
      admitted_ = admitted;
      busy_ = admitted_;
      ++generation_;
    }
    if (admitted_ > 0) wake_.notify_all();
    drain(f, n);
    if (spin([&] { return busy_ == 0; })) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return busy_ == 0; });
  }

 private:
  void drain(Task f, int n) {
    for (int i; (i = next_.fetch_add(1)) < n;) f(i);
  }

  void work(int id) {
    unsigned long seen = 0;
    while (true) {
      spin([&] { return generation_ != seen; });  // one call of a layer has work for the pool several times
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (id >= admitted_) continue;
      const Task f = *task_;
      const int n = count_;
      lock.unlock();
      drain(f, n);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const Task* task_ = nullptr;
  std::atomic<int> next_{0};
  int count_ = 0, workers_ = 0, admitted_ = 0;
  std::atomic<int> busy_{0};
  std::atomic<unsigned long> generation_{0};
};

namespace {

// Never destroyed: workers may outlive main. Replaced, not repaired, in the child of a fork.
std::atomic<Pool*> pool{nullptr};
std::atomic<bool> in_use{false};

void start_afresh_in_child() {
  pool = nullptr;
  in_use = false;
}

// At load, before there is a second thread: a fork must not come between the start of a pool and this.
const bool watches_forks = pthread_atfork(nullptr, nullptr, start_afresh_in_child) == 0;

// The pool, for one call at a time: null while another call has it, and where there is no memory for one. The caller then
// works alone, and the next call tries again.
Pool* take_pool() noexcept {
  if (!watches_forks || in_use.exchange(true)) return nullptr;
  if (!pool) pool = new (std::nothrow) Pool;
  if (!pool) in_use = false;
  return pool;
}

void give_pool_back() noexcept { in_use = false; }

int from_environment() {
  const char* set = std::getenv("PYRNN_THREADS");
  if (!set || !*set) return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most_threads);
  char* end = nullptr;
  const long n = std::strtol(set, &end, 10);
  require(*end == 0 && n >= 1 && n <= most_threads, "PYRNN_THREADS: expected a number from 1 to ", most_threads,
          ", got \"", set, "\"");
  return static_cast<int>(n);
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{from_environment()};
  return count;
}

}  // namespace

int num_threads() { return thread_count(); }

void set_num_threads(std::ptrdiff_t n) {
  require(n >= 1 && n <= most_threads, "set_num_threads: expected a number from 1 to ", most_threads, ", got ", n);
  thread_count() = static_cast<int>(n);
}

int threads_for(double work) {
  return static_cast<int>(std::clamp(work / one_thread_work, 1.0, static_cast<double>(num_threads())));
}

Gathering::Gathering(int threads) noexcept : pool_(threads < 2 ? nullptr : take_pool()) {
  if (pool_) members = 1 + pool_->grow(threads - 1);
}

Gathering::~Gathering() {
  if (pool_) give_pool_back();
}

// As many threads as tasks, and whoever has one holds it until all are done: each thread takes one.
void Gathering::run(Task f) const noexcept {
  if (members > 1) pool_->run(members, members, f);
  else f(0);
}

void for_each(int n, int threads, Task f) {
  Pool* const taken = n > 1 && threads > 1 ? take_pool() : nullptr;
  if (!taken) {
    for (int i = 0; i < n; ++i) f(i);
    return;
  }
  std::exception_ptr failed;
  std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
  taken->run(n, threads, [&](int i) {
    try {
      f(i);
    } catch (...) {
      if (!has_failed.test_and_set()) failed = std::current_exception();
    }
  });
  give_pool_back();
  if (failed) std::rethrow_exception(failed);
}

}  // namespace pyrnn
