// A team: threads that compute one scan together and wait for each other within it. They share the hidden units and
// synchronize after every step, or they share the layers, each upper layer a block of steps behind the one below (a
// wavefront). They wait in a loop: a step takes microseconds, and putting a thread to sleep and waking it takes tens
// of them. All members run at the same time (`together` below), so none waits for one that has not started.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "threads/parallel.h"
#include "threads/spin.h"

namespace pyrnn {

using Clock = std::chrono::steady_clock;

// Waits until holds() is true. After the first 20 us it yields the CPU in each round, because the awaited thread may
// need it. Returns the time that it waited beyond these 20 us.
template <class Condition> Clock::duration spin_until(Condition holds) noexcept {
  if (spin(holds)) return {};
  const Clock::time_point begin = Clock::now();
  while (!holds()) std::this_thread::yield();
  return Clock::now() - begin;
}

class Barrier {
 public:
  void wait(int members) noexcept {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == members) {
      waiting_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else if (const auto long_wait = spin_until([&] { return round_.load(std::memory_order_acquire) != round; });
               long_wait.count() > 0) {
      waited_.fetch_add(long_wait.count(), std::memory_order_relaxed);
    }
  }
  // The sum over all members of the waits that spin_until returns.
  Clock::duration waited() const noexcept { return Clock::duration(waited_.load()); }

 private:
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  std::atomic<Clock::rep> waited_{0};
};

// How many steps of a layer are finished.
struct alignas(64) Progress {
  std::atomic<int> steps{0};
};

// One thread's part in a team; by default the thread is alone.
struct Team {
  int member = 0, members = 1;
  Barrier* barrier = nullptr;
  const Progress* below = nullptr;  // of the layer below, whose output this one reads
  Progress* own = nullptr;
  int block = 0;  // the most steps to wait for at once; 0: no limit

  void synchronize() const noexcept {
    if (barrier) barrier->wait(members);
  }
  void await(int steps) const noexcept {
    if (below) spin_until([&] { return below->steps.load(std::memory_order_acquire) >= steps; });
  }
  void done(int steps) const noexcept {
    if (own) own->steps.store(steps, std::memory_order_release);
  }
};

// On a busy machine the system deschedules a member and the team waits (2.7 ms in place of 0.1 ms for a scan). After a
// call that spent half of its time waiting, the next two calls run alone; each further time in succession doubles
// their number, up to 256.
struct Contention {
  std::atomic<int> alone{0}, penalty{1};

  bool must_run_alone() noexcept { return alone.load() > 0 && alone.fetch_sub(1) > 0; }
  void report(bool contended) noexcept {
    penalty.store(contended ? std::min(2 * penalty.load(), 256) : 1);
    if (contended) alone.store(penalty.load());
  }
};
inline Contention contention;

// Runs f(member, barrier, members) on at most `threads` threads at the same time. f must not throw.
template <class F> void together(int threads, const F& f) {
  Barrier barrier;
  bool is_team = false;
  const Clock::time_point begin = Clock::now();
  run_together(contention.must_run_alone() ? 1 : threads, [&](int member, int members) {
    if (member == 0) is_team = members > 1;
    f(member, barrier, members);
  });
  if (is_team) contention.report(2 * barrier.waited() > Clock::now() - begin);
}

}  // namespace pyrnn
