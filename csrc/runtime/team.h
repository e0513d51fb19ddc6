// Threads that share one scan and wait for each other within it: by hidden units, meeting after every step, or layer by
// layer, the upper one a block of steps behind (a wavefront). They spin: a step takes microseconds, to sleep and wake
// costs tens. All of a team run at once (together, below), so none waits for one that has not begun.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "runtime/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pyrnn {

// Until holds() is true; whether that took so long (0.3 ms) that someone must have lost his CPU. Yields after some 20 us:
// whoever is waited for may need this one.
template <class Condition> bool spin_until(Condition holds) noexcept {
  using Clock = std::chrono::steady_clock;
  for (int rounds = 0; rounds < 1000; ++rounds) {
    if (holds()) return false;
#if defined(__x86_64__)
    _mm_pause();
#endif
  }
  const Clock::time_point begin = Clock::now();
  while (!holds()) std::this_thread::yield();
  return Clock::now() - begin > std::chrono::microseconds(300);
}

// Where other programs want the CPUs, a member of a team loses its own for milliseconds while the others wait: a scan of
// 0.1 ms took 2.7. After such a wait the next calls do without a team.
inline std::atomic<int> calls_without_team{0};
constexpr int calls_to_wait = 100;

class Barrier {
 public:
  explicit Barrier(int members) noexcept : members_(members) {}
  void wait() noexcept {
    const unsigned round = round_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == members_) {
      waiting_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      if (spin_until([&] { return round_.load(std::memory_order_acquire) != round; }))
        calls_without_team.store(calls_to_wait, std::memory_order_relaxed);
    }
  }

 private:
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<unsigned> round_{0};
  const int members_;
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
    if (barrier) barrier->wait();
  }
  void await(int steps) const noexcept {
    if (below) spin_until([&] { return below->steps.load(std::memory_order_acquire) >= steps; });
  }
  void done(int steps) const noexcept {
    if (own) own->steps.store(steps, std::memory_order_release);
  }
};

// Runs f(member, barrier, members) on at most `threads` threads at the same time. f must not throw.
template <class F> void together(int threads, const F& f) {
  const bool crowded = calls_without_team.load(std::memory_order_relaxed) > 0;
  if (crowded) calls_without_team.fetch_sub(1, std::memory_order_relaxed);
  const Gathering gathering(crowded ? 1 : threads);
  Barrier barrier(gathering.members);
  gathering.run([&](int member) { f(member, barrier, gathering.members); });
}

}  // namespace pyrnn
