#include "threads/cpus.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace pyrnn {
namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

int cpus_of_affinity() {
  const int online = std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
#ifdef __linux__
  cpu_set_t set;
  // The call fails if there are more CPUs than bits in the set: then there are enough.
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::min(online, std::max(CPU_COUNT(&set), 1));
#endif
  return online;
}

bool has(const std::string& list, const std::string& name) {  // list: names separated by commas
  return ("," + list + ",").find("," + name + ",") != std::string::npos;
}

// A mounted hierarchy of control groups: the directory `point` shows the group `root` as its root.
struct Mount {
  std::string point, root;
};

// A line of proc/self/mountinfo holds: id, parent, device, root, mount point, options, some tags, "-", type, source,
// options of the type.
std::vector<Mount> mounts_of(const std::string& root, bool v2) {
  std::vector<Mount> found;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line, id, parent, device, word, type, source, options; std::getline(file, line);) {
    std::istringstream words(line);
    Mount mount;
    words >> id >> parent >> device >> mount.root >> mount.point;
    while (words >> word && word != "-") {}
    words >> type >> source >> options;
    if (v2 ? type == "cgroup2" : type == "cgroup" && has(options, "cpu")) found.push_back(mount);
  }
  return found;
}

// A line of proc/self/cgroup holds a number, the controllers (none for version 2) and the group of the process,
// separated by colons.
std::string group_of(const std::string& root, bool v2) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line, number, controllers, group; std::getline(file, line);) {
    std::istringstream parts(line);
    std::getline(std::getline(parts, number, ':'), controllers, ':');
    std::getline(parts, group);
    if (v2 ? number == "0" && controllers.empty() : has(controllers, "cpu")) return group;
  }
  return "/";
}

// Returns the quota of a group in CPUs. Version 2 has one file, "200000 100000" or "max 100000"; version 1 has two,
// with -1 for no quota.
double quota_in(const std::string& folder, bool v2) {
  double quota = -1, period = -1;
  if (v2) {
    std::ifstream(folder + "/cpu.max") >> quota >> period;  // "max" is not a number and sets quota to 0
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : unlimited;
}

double least_quota(const std::string& root, bool v2) {
  double least = unlimited;
  const std::string group = group_of(root, v2);
  for (const Mount& mount : mounts_of(root, v2)) {
    // A container without a cgroup namespace sees its group's path from the host's root, and a mount that begins at
    // that group.
    const bool is_below = mount.root != "/" && group.starts_with(mount.root);
    std::string folder = is_below ? group.substr(mount.root.size()) : group;
    while (folder.ends_with('/')) folder.pop_back();
    while (true) {
      least = std::min(least, quota_in(root + mount.point + folder, v2));
      if (folder.empty()) break;
      folder.erase(folder.rfind('/'));
    }
  }
  return least;
}

}  // namespace

int usable_cpus(const std::string& root) {
  const double quota = std::min(least_quota(root, true), least_quota(root, false));
  return static_cast<int>(std::clamp(quota, 1.0, static_cast<double>(cpus_of_affinity())));
}

}  // namespace pyrnn
