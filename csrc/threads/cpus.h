// How many CPUs the process may keep busy.
#pragma once

#include <string>

namespace pyrnn {

// Returns the smallest of: the number of CPUs, the number in the process's affinity, and the quotas, in whole CPUs, of
// the process's control group and of the groups above it (Linux: cgroup v1 and v2); at least 1. A container of two
// CPUs on a host of 64 has an affinity of 64. Tests pass `root`, which is put before the paths of /proc and /sys/fs.
int usable_cpus(const std::string& root = "");

}  // namespace pyrnn
