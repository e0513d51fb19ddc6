"""Exported networks on real targets: one hash from Python to a Cortex-M0+ without FPU, size, stack and instructions.

    python tests/mcu/check.py                  # exit code 1 where something differs or is too large
    python tests/mcu/check.py Cortex-M4F       # on these targets only

Needs of Debian gcc, clang-19, gcc-aarch64-linux-gnu, qemu-user, gcc-arm-none-eabi, libnewlib-arm-none-eabi and
qemu-system-arm, of PyPI ziglang and wasmtime.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

import pyrnn
from pyrnn import export, nn
from pyrnn.export.measure import CORTEX_M4F, code_and_stack
from pyrnn.export.profiles import PROFILES

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
C, CXX = ["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++11"]
STEPS = 10_000


@dataclass(frozen=True)
class Target:
    """A compiler and what runs its programs.

    Attributes:
        board: of qemu-system-arm, or "". ram: its bytes, 0 for plenty. fpu: fmaf is an instruction.
    """

    compiler: list[str]
    runner: list[str] = field(default_factory=list)
    board: str = ""
    fpu: bool = True
    language: list[str] = field(default_factory=lambda: C)
    ram: int = 0

    def program(self, source: str, folder: Path) -> list[str]:
        """Compiles a program with vad.c; returns the command that runs it."""
        for file, made in (("vad.c", "vad.o"), (source, "main.o")):
            run([*self.compiler, *self.language, *STRICT, "-Os", "-I", ".", "-c", file, "-o", made], folder)
        more = ["-lm"]
        if self.board:
            start = run([*self.compiler, "-print-file-name=rdimon-crt0.o"], folder).strip()
            more = ["--specs=rdimon.specs", "-nostartfiles", "-T", f"{HERE}/mps2.ld", f"{HERE}/start.c", start, "-lm"]
            more += [f"-Wl,--defsym=ram_size={self.ram}"] if self.ram else []
        run([*self.compiler, "-Os", "vad.o", "main.o", *more, "-o", "program"], folder)
        return [*self.runner, "program"] if self.runner else ["./program"]


def board(name: str, *flags: str, fpu: bool = True, ram: int = 0) -> Target:
    quiet = ["-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    return Target(
        ["arm-none-eabi-gcc", "-mthumb", *flags],
        ["qemu-system-arm", "-M", name, *quiet, *semihosting, "-kernel"],
        name,
        fpu,
        ram=ram,
    )


TARGETS = {
    "gcc": Target(["gcc", "-march=native"]),
    "gcc, C++": Target(["gcc", "-march=native"], language=CXX),
    "clang": Target(["clang-19", "-march=native"]),
    "clang, C++": Target(["clang-19", "-march=native"], language=CXX),
    "aarch64": Target(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "wasm32": Target(
        [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi"],
        [sys.executable, f"{HERE}/wasi.py"],
        fpu=False,
    ),
    "Cortex-M4F": board("mps2-an386", *CORTEX_M4F),
    "Cortex-M7": board("mps2-an500", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    "Cortex-M3": board("mps2-an385", "-mcpu=cortex-m3", fpu=False),
    "Cortex-M0+": board("mps2-an385", "-mcpu=cortex-m0plus", fpu=False),  # qemu has no board with one; an M3 runs it
    "Cortex-M0": board("microbit", "-mcpu=cortex-m0", fpu=False, ram=16384),  # for integers: it has 256 KB of flash
}
NETWORKS = {
    "GRU(16, 32)": pyrnn.GRU(16, 32, seed=0),
    "LSTM(16, 32)": pyrnn.LSTM(16, 32, seed=0),
    "GRU(64, 128)": pyrnn.GRU(64, 128, seed=0),
    "RNN, Linear": nn.Sequential(pyrnn.RNN(3, 9, seed=0), nn.Linear(9, 2, seed=0), nn.Sigmoid()),
    "convolution": nn.Sequential(
        nn.Linear(3, 6, seed=0),
        nn.ChannelsLast(nn.Conv1d(6, 16, 3, padding=[(4, 0)], dilation=2, groups=2, seed=0)),
        nn.Activation("elu"),
        pyrnn.GRU(16, 8, batch_first=True, seed=0),
        nn.Softmax(),
    ),
}
INPUTS = {name: np.random.default_rng(0).standard_normal((300, first)) for name, first in
          zip(NETWORKS, (16, 16, 64, 3, 3), strict=True)}  # fmt: skip
NOT_INTEGER = "convolution"  # int16 has no groups, no elu and no Softmax
COUNTED = ("GRU(16, 32)", "LSTM(16, 32)", "GRU(64, 128)")  # the others are too small for their sums to weigh
MOST_CODE, MOST_STACK = 4096, 256  # bytes
MOST_INSTRUCTIONS = 2.5  # a multiply-add, activations included, in float32; in int8 for GRU(64, 128)
# In int16 for GRU(64, 128). M4 and M7 take two products at a time; the M0+ loads bytes and adds in two instructions.
MOST_OF_INTEGERS = {"Cortex-M4F": 2.5, "Cortex-M7": 2.5, "Cortex-M3": 4.0, "Cortex-M0+": 7.0}


def run(command: list[str], folder: Path) -> str:
    """What the command prints; RuntimeError with all of it where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(network: str, profile: str, target: str, folder: Path) -> str:
    """One line of the table; RuntimeError where the program or a bound fails."""
    on, data = TARGETS[target], INPUTS[network] if profile == "int16" else None
    quick = on.fpu or profile == "int16"
    report = export.c(NETWORKS[network], "vad", folder, data, profile, test_steps=STEPS if quick else STEPS // 10)
    hash_of_run = run(on.program("vad_test.c", folder), folder).strip()
    line = f"{network:13} {profile:8} {target:11} {hash_of_run}"
    if quick and target != "wasm32":
        called = run([f"{on.compiler[0].removesuffix('gcc') if on.board else ''}nm", "-u", "vad.o"], folder)
        if called.replace("w __gxx_personality_v0", "").strip():
            raise RuntimeError(f"vad.o needs a library:\n{called}")
    if not on.board:
        return line
    code, deep = code_and_stack(folder / "vad.c", on.compiler)
    if code > MOST_CODE or deep > MOST_STACK:
        raise RuntimeError(f"{code} bytes of code and {deep} of stack; {MOST_CODE} and {MOST_STACK} are allowed")
    line += f" {code:5} {deep:5}"
    if not quick or network not in COUNTED or on.ram:
        return line
    command = on.program(f"{HERE}/count.c", folder)
    each = int(run([*command[:3], "-icount", "shift=0", *command[3:]], folder)) / report.macs
    most = MOST_OF_INTEGERS[target] if profile == "int16" else MOST_INSTRUCTIONS
    if each > most and (profile == "float32" or network == "GRU(64, 128)"):
        raise RuntimeError(f"{each:.3f} instructions a multiply-add, at most {most} are allowed")
    return f"{line} {each:13.2f}"


def main() -> None:
    """Prints the table, and what failed."""
    targets = sys.argv[1:] or list(TARGETS)
    print(
        f"{'network':13} {'profile':8} {'target':11} {'hash':8} {'code':>5} {'stack':>5} instructions a multiply-add"
    )
    failed = []
    for network in NETWORKS:
        for profile, target in product(PROFILES, targets):
            known = network != NOT_INTEGER if profile == "int16" else not TARGETS[target].ram
            if known:
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        print(check(network, profile, target, Path(folder)), flush=True)
                    except RuntimeError as error:
                        failed.append(f"{network} {profile} {target}: {error}")
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
