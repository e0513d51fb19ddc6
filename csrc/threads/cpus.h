// This file tells how many CPUs the process may keep busy.
#pragma once

#include <string>

namespace pyrnn {

// The least of: the CPUs there are, those of the process's affinity, and the whole CPUs of each quota that the process's
// control group and the groups above it have (Linux: cgroup v1 and v2); at least 1. A container of two CPUs on a host of
// 64 has an affinity of 64. `root` goes before the paths of /proc and /sys/fs, for tests.
int usable_cpus(const std::string& root = "");

}  // namespace pyrnn
