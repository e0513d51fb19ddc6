"""GCC compiles an exported file, and this module reads from the result the bytes of code and of stack."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

CORTEX_M4F = ["-mthumb", "-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
COMPILERS = {"a Cortex-M4F": ["arm-none-eabi-gcc", *CORTEX_M4F], "this machine": ["gcc"]}
SECONDS = 60  # timeout of the compiler; it takes 4 s for a million weights


class Measured(NamedTuple):
    """The bytes of code without weights, the bytes of stack, and the machine that they are for."""

    code: int
    stack: int
    machine: str


def measure(source: Path) -> Measured | None:
    """Measures with the first of `COMPILERS` that is installed and compiles the file; returns None if none does."""
    for machine, compiler in COMPILERS.items():
        if all(shutil.which(tool) for tool in (compiler[0], _size_tool(compiler))):
            try:
                return Measured(*code_and_stack(source, compiler), machine)
            except (OSError, subprocess.SubprocessError):
                continue
    return None


def code_and_stack(source: Path, compiler: list[str]) -> tuple[int, int]:
    """Returns the bytes of code and of stack at -Os, without the library functions that the file calls.

    Raises:
        OSError: if there is no such compiler.
        subprocess.SubprocessError: if it does not compile the file.
    """
    with TemporaryDirectory() as folder:
        command = [*compiler, "-std=c99", "-Os", "-fcallgraph-info=su", "-c", str(source.resolve()), "-o", "it.o"]
        _run(command, folder)
        sections = re.findall(r"^\.text\S*\s+(\d+)", _run([_size_tool(compiler), "-A", "it.o"], folder), re.M)
        return sum(map(int, sections)), deepest((Path(folder) / "it.ci").read_text())


def deepest(graph: str) -> int:
    """Returns the bytes of stack of the deepest chain of calls in GCC's call graph, inlined functions included."""
    frames = {name: int(size) for name, size in re.findall(r'title: "(\S+)" label: ".*?(\d+) bytes \(static\)', graph)}
    edges = re.findall(r'sourcename: "(\S+)" targetname: "(\S+)"', graph)

    @cache
    def depth(name: str) -> int:
        called = (depth(target) for source, target in edges if source == name)
        return frames.get(name, 0) + max(called, default=0)

    return max(map(depth, frames), default=0)


def _size_tool(compiler: list[str]) -> str:
    return f"{compiler[0].removesuffix('gcc')}size"


def _run(command: list[str], folder: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=SECONDS)
    return done.stdout
