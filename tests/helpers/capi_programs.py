"""Builds and runs programs for the tests of the C library, by the compilers of CC and CXX if these are set."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS, EXAMPLES = ROOT / "tests" / "capi", ROOT / "csrc" / "capi" / "examples"
C = [os.environ.get("CC", "gcc"), "-std=c99"]
CXX = [os.environ.get("CXX", "g++"), "-std=c++17"]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command: object, cwd: Path = ROOT, isa: str = "") -> str:
    """Runs a command whose library uses the instruction set `isa`, and returns its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | ({"PYRNN_ISA": isa} if isa else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled(source: Path, folder: Path, *flags: object) -> Path:
    """Compiles one file, and returns the program's path."""
    program = folder / source.stem
    run(*(C if source.suffix == ".c" else CXX), "-g", *WARNINGS, source, "-o", program, *flags)
    return program
