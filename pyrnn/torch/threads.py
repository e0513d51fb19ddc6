"""torch's threads for the calls on its tensors. The reason and the figures: csrc/threads/host.h."""

from __future__ import annotations

from pathlib import Path

import torch

from pyrnn import _core

FORKED = 0x40  # PF_FORKNOEXEC in Linux's sched.h
FLAGS = 6  # of the fields behind the program's name


def is_forked() -> bool:
    """Whether the process is a fork that has not become another program; False where the system does not tell.

    GNU's OpenMP threads do not survive a fork: a team asked for in the child waits for them for ever.
    """
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(int(stat.rpartition(")")[2].split()[FLAGS]) & FORKED)


def follow_torch() -> None:
    """Lets calls on tensors run on torch's OpenMP threads, on `torch.get_num_threads()` of them.

    In a fork, and where torch has other threads than OpenMP's, they run on as many of the library's own.
    """
    _core.follow_host("" if is_forked() else torch._C.__file__, torch.get_num_threads)
