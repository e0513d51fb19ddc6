#include "runtime/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/require.h"
#include "runtime/spin.h"

namespace pyrnn {
namespace {

constexpr int most_threads = 256;

class Pool {
 public:
  // Workers there are, after making more if so many are wanted.
  int grow(int wanted) {
    std::lock_guard lock(mutex_);
    while (workers_ < wanted) {
      try {
        std::thread(&Pool::work, this, workers_).detach();
      } catch (const std::system_error&) {
        break;  // no more threads to be had: those there are will do
      }
      ++workers_;
    }
    return std::min(wanted, workers_);
  }

  void run(int n, int threads, Task f) {
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

// Never destroyed: workers may outlive main. Replaced, not repaired, in the child of a fork.
std::atomic<Pool*> pool{nullptr};
std::atomic<bool> in_use{false};

void start_afresh_in_child() {
  pool = nullptr;
  in_use = false;
}

Pool& the_pool() {  // only called by the holder of in_use
  if (!pool) {
    static const int registered = pthread_atfork(nullptr, nullptr, start_afresh_in_child);
    static_cast<void>(registered);
    pool = new Pool;
  }
  return *pool;
}

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

void set_num_threads(int n) {
  require(n >= 1 && n <= most_threads, "set_num_threads: expected a number from 1 to ", most_threads, ", got ", n);
  thread_count() = n;
}

int threads_for(double work) {
  return static_cast<int>(std::clamp(work / one_thread_work, 1.0, static_cast<double>(num_threads())));
}

Gathering::Gathering(int threads) {
  if (threads < 2 || in_use.exchange(true)) return;
  members = 1 + the_pool().grow(threads - 1);
  if (members == 1) in_use = false;
}

Gathering::~Gathering() {
  if (members > 1) in_use = false;
}

// As many threads as tasks, and whoever has one holds it until all are done: each thread takes one.
void Gathering::run(Task f) const {
  if (members > 1) the_pool().run(members, members, f);
  else f(0);
}

void for_each(int n, int threads, Task f) {
  if (n > 1 && threads > 1 && !in_use.exchange(true)) {
    std::exception_ptr failed;
    std::once_flag once;
    the_pool().run(n, threads, [&](int i) {
      try {
        f(i);
      } catch (...) {
        std::call_once(once, [&] { failed = std::current_exception(); });
      }
    });
    in_use = false;
    if (failed) std::rethrow_exception(failed);
  } else {
    for (int i = 0; i < n; ++i) f(i);
  }
}

}  // namespace pyrnn
