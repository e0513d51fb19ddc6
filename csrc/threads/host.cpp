#include "threads/host.h"

#include <atomic>

namespace pyrnn {
namespace {

std::atomic<HostTeam> host_team{nullptr};
thread_local int team_size = 0;

}  // namespace

void set_host_team(HostTeam team) noexcept { host_team = team; }

HostThreads::HostThreads(int size) noexcept : before_(team_size) { team_size = size; }
HostThreads::~HostThreads() { team_size = before_; }
int HostThreads::size() noexcept { return team_size; }

bool run_on_host(int threads, Task<int, int> f) noexcept {
  const HostTeam team = team_size > 1 ? host_team.load() : nullptr;
  if (team) team(team_size, threads, f);
  return team != nullptr;
}

}  // namespace pyrnn
