"""Calls on tensors run on torch's threads. csrc/threads/host.h has the reason and the figures."""

from __future__ import annotations

from pathlib import Path

import torch

from pyrnn import _core

from .private import library

FORKED = 0x40  # PF_FORKNOEXEC in Linux's sched.h
FLAGS = 6  # the index of the flags among the fields after the program's name


def is_forked() -> bool:
    """Whether the process is a fork that has not started another program; False if the system does not tell.

    The threads of GNU's OpenMP do not survive a fork: in the child, a call on them would wait for ever.
    """
    try:
        stat = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(int(stat.rpartition(")")[2].split()[FLAGS]) & FORKED)


def follow_torch() -> None:
    """Makes calls on tensors run on torch's OpenMP threads, as many as `torch.get_num_threads()`.

    In a fork, or if torch's threads are not OpenMP's, they run on as many threads of pyrnn's own.
    """
    _core.follow_host("" if is_forked() else library, torch.get_num_threads)
