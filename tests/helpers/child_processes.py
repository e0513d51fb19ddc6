"""Python programs that run beside a test, and end within a minute."""

from __future__ import annotations

import os
import subprocess
import sys

LIMIT = 60  # seconds until a deadlock fails the test; the slowest program takes 10


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen([sys.executable, *arguments], env=os.environ | environment, text=True, **pipe)


def finish(*processes: subprocess.Popen[str]) -> str:
    """Waits for the processes and returns their output; a deadlock raises TimeoutExpired."""
    try:
        printed = [process.communicate(timeout=LIMIT)[0] for process in processes]
    finally:
        for process in processes:
            process.terminate()  # torchrun then ends what it started
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(printed)
    return "".join(printed)
