#include "threads/parallel.h"

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

#include "threads/cpus.h"
#include "threads/host.h"
#include "checks/quoting.h"
#include "checks/require.h"
#include "threads/spin.h"

namespace pyrnn {
namespace {

constexpr int most_threads = 256;

class Pool {
 public:
  // Starts workers until there are `wanted`, and returns how many of these there are. If the system gives no more
  // threads, or no memory for one, the existing workers do the work.
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

  void run(int threads, Task<int, int> f) noexcept {
    const int others = grow(threads - 1);
    {
      std::lock_guard lock(mutex_);
      task_ = &f;
      others_ = others;
      busy_ = others;
      ++generation_;
    }
    if (others > 0) wake_.notify_all();
    f(0, 1 + others);
    if (spin([&] { return busy_ == 0; })) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return busy_ == 0; });
  }

 private:
  void work(int id) {
    unsigned long seen = 0;
    while (true) {
      // Spin before sleeping, because one call of a layer uses the pool several times.
      spin([&] { return generation_ != seen; });
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (id >= others_) continue;
      const Task<int, int> f = *task_;
      const int members = 1 + others_;
      lock.unlock();
      f(1 + id, members);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const Task<int, int>* task_ = nullptr;
  int workers_ = 0, others_ = 0;
  std::atomic<int> busy_{0};
  std::atomic<unsigned long> generation_{0};
};

// The pool is never destroyed, because workers may outlive main. In the child of a fork a new pool replaces it.
std::atomic<Pool*> pool{nullptr};
std::atomic<bool> in_use{false};

void start_afresh_in_child() {
  pool = nullptr;
  in_use = false;
  set_host_team(nullptr);
}

// This runs when the library is loaded, before there is a second thread, so that no fork can happen between the start
// of a pool and this.
const bool watches_forks = pthread_atfork(nullptr, nullptr, start_afresh_in_child) == 0;

// Takes the threads for one call; returns false if another call has them.
bool take_threads() noexcept { return watches_forks && !in_use.exchange(true); }
void give_threads_back() noexcept { in_use = false; }

// If there is no memory for a pool, the caller works alone, and the next call tries again.
void run_on_pool(int threads, Task<int, int> f) noexcept {
  if (!pool) pool = new (std::nothrow) Pool;
  if (pool) pool.load()->run(threads, f);
  else f(0, 1);
}

int from_environment() {
  const char* set = std::getenv("PYRNN_THREADS");
  if (!set || !*set) return std::min(usable_cpus(), most_threads);
  char* end = nullptr;
  const long n = std::strtol(set, &end, 10);
  require(*end == 0 && n >= 1 && n <= most_threads, "PYRNN_THREADS: expected a number from 1 to ", most_threads,
          ", got ", quoted(set));
  return static_cast<int>(n);
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{from_environment()};
  return count;
}

}  // namespace

int num_threads() {
  const int own = thread_count(), of_host = HostThreads::size();
  return of_host ? std::min(own, of_host) : own;
}

void set_num_threads(std::ptrdiff_t n) {
  require(n >= 1 && n <= most_threads, "set_num_threads: expected a number from 1 to ", most_threads, ", got ", n);
  thread_count() = static_cast<int>(n);
}

int threads_for(double work) {
  return static_cast<int>(std::clamp(work / one_thread_work, 1.0, static_cast<double>(num_threads())));
}

void run_together(int threads, Task<int, int> f) noexcept {
  if (threads < 2 || !take_threads()) return f(0, 1);
  if (!run_on_host(threads, f)) run_on_pool(threads, f);
  give_threads_back();
}

void for_each(int n, int threads, Task<int> f) {
  std::exception_ptr failed;
  std::atomic_flag has_failed = ATOMIC_FLAG_INIT;
  std::atomic<int> next{0};
  run_together(std::min(n, threads), [&](int, int) {
    for (int i; (i = next.fetch_add(1)) < n;) try {
        f(i);
      } catch (...) {
        if (!has_failed.test_and_set()) failed = std::current_exception();
      }
  });
  if (failed) std::rethrow_exception(failed);
}

}  // namespace pyrnn
