"""The library begins with as many threads as the process may keep busy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyrnn import _core

CPUS = len(os.sched_getaffinity(0))
V1 = "4:cpuset:/\n3:cpu,cpuacct:{group}\n1:name=systemd:/\n"
V1_MOUNT = "30 24 0:27 {root} /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
V2 = "0::{group}\n"
V2_MOUNT = "30 24 0:27 {root} /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
OTHER_MOUNT = "22 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw\n"


def system(folder: Path, files: dict[str, str]) -> str:
    """A root with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def version_2(group: str, quotas: dict[str, str], root: str = "/") -> dict[str, str]:
    """The files of a process in `group`, with a cpu.max in each folder."""
    mounts = OTHER_MOUNT + V2_MOUNT.format(root=root)
    files = {"proc/self/cgroup": V2.format(group=group), "proc/self/mountinfo": mounts}
    return files | {f"sys/fs/cgroup{folder}/cpu.max": quota for folder, quota in quotas.items()}


def version_1(group: str, quotas: dict[str, tuple[str, str]], root: str = "/") -> dict[str, str]:
    mounts = OTHER_MOUNT + V1_MOUNT.format(root=root)
    files = {"proc/self/cgroup": V1.format(group=group), "proc/self/mountinfo": mounts}
    for folder, (quota, period) in quotas.items():
        of_folder = f"sys/fs/cgroup/cpu,cpuacct{folder}/cpu.cfs_"
        files |= {f"{of_folder}quota_us": quota, f"{of_folder}period_us": period}
    return files


LIMITED = {
    "v2": version_2("/", {"": "100000 100000\n"}),
    "v2, half a CPU": version_2("/", {"": "50000 100000\n"}),
    "v2, one and a half": version_2("/", {"": "150000 100000\n"}),
    "v2, the group itself": version_2("/a/b", {"": "max 100000\n", "/a": "max 100000\n", "/a/b": "30000 20000\n"}),
    "v2, a group above": version_2("/a/b", {"/a": "100000 100000\n", "/a/b": "max 100000\n"}),
    "v2, the host's path in a container": version_2("/docker/x", {"": "100000 100000\n"}, root="/docker/x"),
    "v2, below the container's own": version_2("/docker/x/in", {"/in": "100000 100000\n"}, root="/docker/x"),
    "v1": version_1("/", {"": ("100000\n", "100000\n")}),
    "v1, a group above": version_1("/a/b", {"/a": ("10000\n", "10000\n"), "/a/b": ("-1\n", "100000\n")}),
    "v1, the host's path in a container": version_1("/docker/x", {"": ("99999\n", "100000\n")}, root="/docker/x"),
}
UNLIMITED = {
    "nothing to read": {},
    "v2, no quota": version_2("/", {"": "max 100000\n"}),
    "v2, the quota of another group": version_2("/a", {"/b": "100000 100000\n"}),
    "v2, as many as a host has": version_2("/", {"": "100000000 100000\n"}),
    "v1, no quota": version_1("/", {"": ("-1\n", "100000\n")}),
    "no numbers": version_2("/", {"": "full of letters\n"}),
    "an empty file": version_2("/", {"": ""}),
    "a period of nothing": version_1("/", {"": ("100000\n", "0\n")}),
    "lines that are none": {"proc/self/cgroup": "::\n\n:", "proc/self/mountinfo": "30\n\n- cgroup2 - rw\n"},
}


@pytest.mark.parametrize("name", LIMITED)
def test_a_quota_of_a_container_limits_the_threads(name: str, tmp_path: Path) -> None:
    assert _core.usable_cpus(system(tmp_path, LIMITED[name])) == 1


@pytest.mark.parametrize("name", UNLIMITED)
def test_without_a_quota_the_affinity_counts(name: str, tmp_path: Path) -> None:
    assert _core.usable_cpus(system(tmp_path, UNLIMITED[name])) == CPUS


def test_a_quota_of_two_cpus_gives_two_threads(tmp_path: Path) -> None:
    found = _core.usable_cpus(system(tmp_path, version_2("/", {"": "200000 100000\n"})))
    assert found == min(2, CPUS)


@pytest.mark.parametrize("name", ["PYRNN_THREADS unset", "PYRNN_THREADS=3"])
def test_a_process_on_one_cpu_begins_with_one_thread(name: str) -> None:
    first = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    code = f"{first}; import pyrnn; print(pyrnn.get_num_threads())"
    environment = {key: value for key, value in os.environ.items() if key != "PYRNN_THREADS"}
    if "3" in name:
        environment["PYRNN_THREADS"] = "3"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == (3 if "3" in name else 1)
