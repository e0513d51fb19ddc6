"""Exported networks on real targets: one hash from Python to a Cortex-M3 without FPU, size, stack and instructions.

    python tests/mcu/check.py        # exit code 1 where something differs or is too large

Needs gcc-aarch64-linux-gnu, qemu-user, gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm of Debian.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyrnn
from pyrnn import export, nn
from pyrnn.export.measure import CORTEX_M4F, code_and_stack

HERE = Path(__file__).parent
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
STEPS = 10_000


@dataclass(frozen=True)
class Target:
    """A compiler and what runs its programs. board: of qemu-system-arm, "" for Linux. fpu: fmaf is an instruction."""

    compiler: list[str]
    runner: list[str]
    board: str = ""
    fpu: bool = True

    def program(self, sources: list[str], folder: Path) -> list[str]:
        """Compiles a program with vad.o; returns the command that runs it."""
        more = ["-lm"]
        if self.board:
            start = run([*self.compiler, "-print-file-name=rdimon-crt0.o"], folder).strip()
            more = ["--specs=rdimon.specs", "-nostartfiles", "-T", f"{HERE}/mps2.ld", f"{HERE}/start.c", start, "-lm"]
        run([*self.compiler, "-Os", "-I", ".", "vad.o", *sources, *more, "-o", "program"], folder)
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
    "host": Target(["gcc", "-march=native"], []),
    "aarch64": Target(["aarch64-linux-gnu-gcc", "-static"], ["qemu-aarch64"]),
    "Cortex-M4F": board("mps2-an386", *CORTEX_M4F),
    "Cortex-M7": board("mps2-an500", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
    "Cortex-M3": board("mps2-an385", "-mcpu=cortex-m3", fpu=False),
}
NETWORKS = {
    "GRU(16, 32)": pyrnn.GRU(16, 32, seed=0),
    "LSTM(16, 32)": pyrnn.LSTM(16, 32, seed=0),
    "GRU(64, 128)": pyrnn.GRU(64, 128, seed=0),
    "RNN, Linear": nn.Sequential(pyrnn.RNN(3, 9, seed=0), nn.Linear(9, 2, seed=0), nn.Sigmoid()),
}
MOST_CODE, MOST_STACK = 4096, 160  # bytes
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
    slow = not on.fpu
    report = export.c(NETWORKS[network], "vad", folder, profile=profile, test_steps=STEPS // 10 if slow else STEPS)
    run([*on.compiler, *STRICT, "-Os", "-c", "vad.c", "-o", "vad.o"], folder)
    tools = on.compiler[0].removesuffix("gcc")
    if on.fpu and run([f"{tools}nm", "-u", "vad.o"], folder).strip():
        raise RuntimeError("vad.o needs a library:\n" + run([f"{tools}nm", "-u", "vad.o"], folder))
    hash_of_run = run(on.program(["vad_test.c"], folder), folder).strip()
    code, deep = code_and_stack(folder / "vad.c", on.compiler)
    if on.board and (code > MOST_CODE or deep > MOST_STACK):
        raise RuntimeError(f"{code} bytes of code and {deep} of stack; {MOST_CODE} and {MOST_STACK} are allowed")
    line = f"{network:13} {profile:8} {target:11} {hash_of_run} {code:5} {deep:5}"
    if not on.board or slow:
        return line
    command = on.program([f"{HERE}/count.c"], folder)
    each = int(run([*command[:3], "-icount", "shift=0", *command[3:]], folder)) / report.macs
    bound = network == "GRU(64, 128)" or (profile == "float32" and network != "RNN, Linear")
    if bound and each > MOST_INSTRUCTIONS:
        raise RuntimeError(f"{each:.3f} instructions a multiply-add, at most {MOST_INSTRUCTIONS} are allowed")
    return f"{line} {each:13.2f}"


def main() -> None:
    """Prints the table, and what failed."""
    print(
        f"{'network':13} {'profile':8} {'target':11} {'hash':8} {'code':>5} {'stack':>5} instructions a multiply-add"
    )
    failed = []
    for network in NETWORKS:
        for profile in ("float32", "int8"):
            for target in TARGETS:
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        print(check(network, profile, target, Path(folder)), flush=True)
                    except RuntimeError as error:
                        failed.append(f"{network} {profile} {target}: {error}")
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
