"""Checks exported networks on emulated targets: hashes equal Python's, and code, stack and instructions keep limits.

    python tests/targets/check.py                  # exit code 1 if something differs or is too large
    python tests/targets/check.py Cortex-M4F       # on these targets only

It needs Debian's gcc, clang-19, tcc, gcc-mingw-w64-x86-64, wine64, gcc-aarch64-linux-gnu, qemu-user,
gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm, gcc-riscv64-unknown-elf, picolibc-riscv64-unknown-elf and
qemu-system-misc, and PyPI's ziglang and wasmtime.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
from targets import HERE, TARGETS, run

import pyrnn
from pyrnn import export, nn
from pyrnn.export.measure import code_and_stack
from pyrnn.export.profiles import PROFILES

STEPS = 10_000
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
BRIEF = ("RNN, Linear", "LSTM(16, 32)", "convolution")  # the networks that a brief target runs
NOT_INTEGER = "convolution"  # int16 has no groups, no elu and no Softmax
COUNTED = ("GRU(16, 32)", "LSTM(16, 32)", "GRU(64, 128)")  # large enough for multiply-adds to take most of the time
MOST_CODE, MOST_STACK = 4096, 256  # bytes
FUSED_STACK = 32  # more bytes of stack if the fused multiply-add is a function
MOST_INSTRUCTIONS = 2.5  # instructions a multiply-add, activations included: in float32, and in int8 for GRU(64, 128)
# The same in int16 for GRU(64, 128). M4 and M7 compute two products at a time; the M0+ loads bytes and adds in two
# instructions.
MOST_OF_INTEGERS = {"Cortex-M4F": 2.5, "Cortex-M7": 2.5, "Cortex-M3": 4.0, "Cortex-M0+": 7.0}


def check(network: str, profile: str, target: str, folder: Path) -> str:
    """Runs a network on a target, and returns a line of the table; RuntimeError if it fails or exceeds a limit."""
    on, data = TARGETS[target], INPUTS[network] if profile == "int16" else None
    quick = on.fpu or profile == "int16"
    report = export.c(NETWORKS[network], "vad", folder, data, profile, test_steps=STEPS if quick else STEPS // 50)
    hash_of_run = run(on.program("vad_test.c", folder), folder).strip()
    line = f"{network:13} {profile:8} {target:14} {hash_of_run}"
    if not target.startswith("wasm32"):
        called = {line.split()[0] for line in run([on.tool("nm"), "-u", "-P", "vad.o"], folder).splitlines()}
        # Names that begin with __ are the compiler's own, for arithmetic that the CPU lacks. tcc copies structs by a
        # call.
        called = {name for name in called if not name.startswith("__")} - ({"memmove"} if target == "tcc" else set())
        if called:
            raise RuntimeError(f"vad.o needs a library: {called}")
    if not on.board:
        return line
    code, deep = code_and_stack(folder / "vad.c", on.compiler)
    most_stack = MOST_STACK if quick else MOST_STACK + FUSED_STACK
    if code > MOST_CODE or deep > most_stack:
        raise RuntimeError(f"{code} bytes of code and {deep} of stack; {MOST_CODE} and {most_stack} are allowed")
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
    """Prints the table, then the failures."""
    targets = sys.argv[1:] or list(TARGETS)
    print(
        f"{'network':13} {'profile':8} {'target':14} {'hash':8} {'code':>5} {'stack':>5} instructions a multiply-add"
    )
    failed = []
    for network in NETWORKS:
        for profile, target in product(PROFILES, targets):
            known = network != NOT_INTEGER if profile == "int16" else not TARGETS[target].ram
            if known and (network in BRIEF or not TARGETS[target].brief):
                with tempfile.TemporaryDirectory() as folder:
                    try:
                        print(check(network, profile, target, Path(folder)), flush=True)
                    except RuntimeError as error:
                        failed.append(f"{network} {profile} {target}: {error}")
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
