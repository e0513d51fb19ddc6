"""The compilers and machines that check.py runs exported programs on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyrnn.export.measure import CORTEX_M4F

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
C, CXX = ["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++11"]


@dataclass(frozen=True)
class Target:
    """A compiler and the command that runs its programs.

    Attributes:
        links: flags and files for the linker. board: whether it is a board of qemu-system-arm.
        fpu: whether it has a fused multiply-add of float as one instruction. ram: bytes, 0 for plenty.
        brief: whether it runs the small networks alone.
    """

    compiler: list[str]
    runner: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    board: bool = False
    fpu: bool = True
    language: list[str] = field(default_factory=lambda: C)
    ram: int = 0
    brief: bool = False

    def program(self, source: str, folder: Path) -> list[str]:
        """Compiles a program with vad.c, without -lm and beside a wrong fmaf; returns the command that runs it."""
        for file, made in (("vad.c", "vad.o"), (source, "main.o")):
            run([*self.compiler, *self.language, *STRICT, "-Os", "-I", ".", "-c", file, "-o", made], folder)
        run([*self.compiler, *C, "-Os", "-fno-builtin", "-c", f"{HERE}/wrong_fma.c", "-o", "wrong_fma.o"], folder)
        links = self.links
        if self.board:
            start = run([*self.compiler, "-print-file-name=rdimon-crt0.o"], folder).strip()
            links = ["--specs=rdimon.specs", "-nostartfiles", "-T", f"{HERE}/mps2.ld", f"{HERE}/start.c", start]
            links += [f"-Wl,--defsym=ram_size={self.ram}"] if self.ram else []
        run([*self.compiler, "-Os", "vad.o", "main.o", "wrong_fma.o", *links, "-o", "program"], folder)
        return [*self.runner, "program"] if self.runner else ["./program"]

    def tool(self, name: str) -> str:
        """The name of a tool, such as nm, that belongs to the compiler."""
        return self.compiler[0].removesuffix("gcc") + name if self.compiler[0].endswith("-gcc") else name


def run(command: list[str], folder: Path) -> str:
    """Runs a command and returns its output; RuntimeError with the output if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout or done.stderr  # qemu prints the console of RISC-V on stderr


SEMIHOSTING = ["-nographic", "-monitor", "none", "-serial", "none",
               "-semihosting-config", "enable=on,target=native"]  # fmt: skip


def board(name: str, *flags: str, fpu: bool = True, ram: int = 0) -> Target:
    """An Arm board of qemu with newlib."""
    runner = ["qemu-system-arm", "-M", name, *SEMIHOSTING, "-kernel"]
    return Target(["arm-none-eabi-gcc", "-mthumb", *flags], runner, board=True, fpu=fpu, ram=ram)


def riscv(isa: str, abi: str, fpu: bool) -> Target:
    """A RISC-V board of qemu with picolibc, whose fmaf for chips without an FPU is x * y + z."""
    bits, memory = isa[2:4], {"flash": 0x80000000, "flash_size": 4 << 20, "ram": 0x80400000, "ram_size": 4 << 20}
    compiler = [
        "riscv64-unknown-elf-gcc",
        f"-march={isa}",
        f"-mabi={abi}",
        "-mcmodel=medany",
        "--specs=picolibc.specs",
    ]
    runner = [f"qemu-system-riscv{bits}", "-M", "virt", "-bios", "none", *SEMIHOSTING, "-kernel"]
    places = ",".join(f"--defsym=__{name}={number}" for name, number in memory.items())
    return Target(compiler, runner, ["--oslib=semihost", "--crt0=hosted", f"-Wl,{places}"], fpu=fpu, brief=True)


def zig(target: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags]


GCC, CLANG = Target(["gcc", "-march=native"]), Target(["clang-19", "-march=native"])
WASI = [sys.executable, f"{HERE}/wasi.py"]
TARGETS = {
    "gcc": GCC,
    "gcc, C++": replace(GCC, language=CXX, brief=True),
    "gcc -mno-fma": Target(["gcc", "-mno-fma"], fpu=False),
    "clang": CLANG,
    "clang, C++": replace(CLANG, language=CXX, brief=True),
    "clang -mno-fma": Target(["clang-19", "-mno-fma"], fpu=False, brief=True),
    "tcc": Target(["tcc"], fpu=False, brief=True),  # neither GCC nor Clang, and defines no macro of theirs
    "MinGW": Target(
        ["x86_64-w64-mingw32-gcc"], ["env", "WINEDEBUG=-all", "/usr/lib/wine/wine64"], fpu=False, brief=True
    ),
    "aarch64": Target(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "wasm32": Target(zig("wasm32-wasi"), WASI, fpu=False, brief=True),
    "wasm32, SIMD": Target(zig("wasm32-wasi", "-msimd128"), WASI, fpu=False, brief=True),
    "riscv32": riscv("rv32imac", "ilp32", fpu=False),
    "riscv32, FPU": riscv("rv32imafc", "ilp32f", fpu=True),
    "riscv64": riscv("rv64imac", "lp64", fpu=False),
    "Cortex-M4F": board("mps2-an386", *CORTEX_M4F),
    "Cortex-M7": board("mps2-an500", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    "Cortex-M3": board("mps2-an385", "-mcpu=cortex-m3", fpu=False),
    "Cortex-M0+": board("mps2-an385", "-mcpu=cortex-m0plus", fpu=False),  # qemu has no board with one; an M3 runs it
    "Cortex-M0": board("microbit", "-mcpu=cortex-m0", fpu=False, ram=16384),  # 256 KB of flash hold integers alone
}
