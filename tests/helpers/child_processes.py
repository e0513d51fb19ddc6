"""Python programs that run beside a test, and end within a minute."""

from __future__ import annotations

import os
import subprocess
import sys

LIMIT = 60  # seconds, after which a deadlock is told; the slowest takes 10


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, *arguments], env=os.environ | environment, text=True, **pipe)


def finish(*processes: subprocess.Popen[str]) -> str:
    """What they print; a deadlock is a TimeoutExpired."""
    try:
        printed = [process.communicate(timeout=LIMIT)[0] for process in processes]
    finally:
        for process in processes:
            process.terminate()  # torchrun then ends what it started
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(printed)
    return "".join(printed)
