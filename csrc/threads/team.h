// Threads that share one scan and wait for each other within it: by hidden units, meeting after every step, or layer by
// layer, the upper one a block of steps behind (a wavefront). They spin: a step takes microseconds, to sleep and wake
// costs tens. All of a team run at once (together, below), so none waits for one that has not begun.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "threads/parallel.h"
#include "threads/spin.h"

namespace pyrnn {

using Clock = std::chrono::steady_clock;

// Until holds() is true. Returns the time it took beyond the first 20 us; from then on it yields, for whoever is waited
// for may need this CPU.
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
  Clock::duration waited() const noexcept {
    return Clock::duration(waited_.load());
  }  // by all members, long waits only

 private:
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  std::atomic<Clock::rep> waited_{0};
};

// How many steps of a layer are done.
struct alignas(64) Progress {
  std::atomic<int> steps{0};
};

// One thread's place in a team; alone by default.
struct Team {
  int member = 0, members = 1;
  Barrier* barrier = nullptr;
  const Progress* below = nullptr;  // of the layer whose output is read
  Progress* own = nullptr;
  int block = 0;  // most steps to wait for at once; 0: no matter

  void meet() const noexcept {
    if (barrier) barrier->wait(members);
  }
  void await(int steps) const noexcept {
    if (below) spin_until([&] { return below->steps.load(std::memory_order_acquire) >= steps; });
  }
  void done(int steps) const noexcept {
    if (own) own->steps.store(steps, std::memory_order_release);
  }
};

// Where others want the CPUs, a member loses its own for a while and the rest waits: a scan of 0.1 ms took 2.7. After a
// call that spent half of its time so, the next ones do without a team: two, and twice as many each time it happens again.
struct Crowd {
  std::atomic<int> alone{0}, penalty{1};

  bool is_near() noexcept { return alone.load() > 0 && alone.fetch_sub(1) > 0; }
  void tell(bool crowded) noexcept {
    penalty.store(crowded ? std::min(2 * penalty.load(), 256) : 1);
    if (crowded) alone.store(penalty.load());
  }
};
inline Crowd crowd;

// Runs f(member, barrier, members) on at most `threads` threads at the same time. f must not throw.
template <class F> void together(int threads, const F& f) {
  Barrier barrier;
  bool is_team = false;
  const Clock::time_point begin = Clock::now();
  run_together(crowd.is_near() ? 1 : threads, [&](int member, int members) {
    if (member == 0) is_team = members > 1;
    f(member, barrier, members);
  });
  if (is_team) crowd.tell(2 * barrier.waited() > Clock::now() - begin);
}

}  // namespace pyrnn
