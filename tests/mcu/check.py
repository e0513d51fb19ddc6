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
from pathlib import Path

import pyrnn
from pyrnn import export, nn
from pyrnn.export.measure import CORTEX_M4F, code_and_stack

HERE = Path(__file__).parent
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
C, CXX = ["-x", "c", "-std=c99"], ["-x", "c++", "-std=c++11"]
STEPS = 10_000


@dataclass(frozen=True)
class Target:
    """A compiler and what runs its programs. board: of qemu-system-arm, or "". fpu: fmaf is an instruction."""

    compiler: list[str]
    runner: list[str] = field(default_factory=list)
    board: str = ""
    fpu: bool = True
    language: list[str] = field(default_factory=lambda: C)

    def program(self, source: str, folder: Path) -> list[str]:
        """Compiles a program with vad.c; returns the command that runs it."""
        for file, made in (("vad.c", "vad.o"), (source, "main.o")):
            run([*self.compiler, *self.language, *STRICT, "-Os", "-I", ".", "-c", file, "-o", made], folder)
        more = ["-lm"]
        if self.board:
            start = run([*self.compiler, "-print-file-name=rdimon-crt0.o"], folder).strip()
            more = ["--specs=rdimon.specs", "-nostartfiles", "-T", f"{HERE}/mps2.ld", f"{HERE}/start.c", start, "-lm"]
        run([*self.compiler, "-Os", "vad.o", "main.o", *more, "-o", "program"], folder)
        return [*self.runner, "program"] if self.runner else ["./program"]


def board(name: str, *flags: str, fpu: bool = True) -> Target:
    quiet = ["-nographic", "-monitor", "none", "-serial", "none"]
    semihosting = ["-semihosting-config", "enable=on,target=native"]
    return Target(
        ["arm-none-eabi-gcc", "-mthumb", *flags],
        ["qemu-system-arm", "-M", name, *quiet, *semihosting, "-kernel"],
        name,
        fpu,
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
COUNTED = ("GRU(16, 32)", "LSTM(16, 32)", "GRU(64, 128)")  # the others are too small for their sums to weigh
MOST_CODE, MOST_STACK = 4096, 256  # bytes
MOST_INSTRUCTIONS = 2.5  # a multiply-add, activations included, in float32; in int8 for GRU(64, 128)


def run(command: list[str], folder: Path) -> str:
    """What the command prints; RuntimeError with all of it where it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(network: str, profile: str, target: str, folder: Path) -> str:
    """One line of the table; RuntimeError where the program or a bound fails."""
    on = TARGETS[target]
    report = export.c(NETWORKS[network], "vad", folder, profile=profile, test_steps=STEPS if on.fpu else STEPS // 10)
    hash_of_run = run(on.program("vad_test.c", folder), folder).strip()
    line = f"{network:13} {profile:8} {target:11} {hash_of_run}"
    if on.fpu:
        called = run([f"{on.compiler[0].removesuffix('gcc') if on.board else ''}nm", "-u", "vad.o"], folder)
        if called.replace("w __gxx_personality_v0", "").strip():
            raise RuntimeError(f"vad.o needs a library:\n{called}")
    if not on.board:
        return line
    code, deep = code_and_stack(folder / "vad.c", on.compiler)
    if code > MOST_CODE or deep > MOST_STACK:
        raise RuntimeError(f"{code} bytes of code and {deep} of stack; {MOST_CODE} and {MOST_STACK} are allowed")
    line += f" {code:5} {deep:5}"
    if not on.fpu or network not in COUNTED:
        return line
    command = on.program(f"{HERE}/count.c", folder)
    each = int(run([*command[:3], "-icount", "shift=0", *command[3:]], folder)) / report.macs
    if each > MOST_INSTRUCTIONS and (profile == "float32" or network == "GRU(64, 128)"):
        raise RuntimeError(f"{each:.3f} instructions a multiply-add, at most {MOST_INSTRUCTIONS} are allowed")
    return f"{line} {each:13.2f}"


def main() -> None:
    """Prints the table, and what failed."""
    targets = sys.argv[1:] or list(TARGETS)
    print(
        f"{'network':13} {'profile':8} {'target':11} {'hash':8} {'code':>5} {'stack':>5} instructions a multiply-add"
    )
    failed = []
    for network in NETWORKS:
        for profile in ("float32", "int8"):
            for target in targets:
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        print(check(network, profile, target, Path(folder)), flush=True)
                    except RuntimeError as error:
                        failed.append(f"{network} {profile} {target}: {error}")
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
