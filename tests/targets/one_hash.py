"""Checks that one network has one hash for one sequence of inputs, from NumPy to a Cortex-M4F.

    python tests/targets/one_hash.py [--library PREFIX] [--aarch64 PREFIX]     # exit code 1 where a hash differs

PREFIX is where the C library is installed, for this machine or for aarch64; without it the library is built first,
which takes minutes. It needs clang-19 and what check.py needs.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from targets import STRICT, TARGETS, Target, run

import pyrnn
from pyrnn import _core, export, nn
from pyrnn import torch as dropin
from pyrnn.export.golden import hash_of, pseudo_random
from pyrnn.export.network import CNetwork

ROOT = Path(__file__).parents[2]
STEPS, INPUTS, HIDDEN = 10_000, 3, 20  # 20 units: whole vectors and a rest on every instruction set
NETWORKS = {
    "LSTM of 2 layers": ("LSTM", pyrnn.LSTM(INPUTS, HIDDEN, num_layers=2, seed=0)),
    "GRU": ("GRU", pyrnn.GRU(INPUTS, HIDDEN, seed=0)),
}
ON_HOST = {name: TARGETS[name] for name in ("gcc", "clang")}
ACROSS = {name: TARGETS[name] for name in ("aarch64", "Cortex-M4F", "Cortex-M7")}
Hashes = Iterator[tuple[str, str]]  # what computed the outputs, and their hash


def written(y: Any) -> str:
    """The hash of y [T,H] in the form that the programs print."""
    return f"{hash_of(np.ascontiguousarray(y).view(np.uint32).ravel().tolist()):08x}"


def inputs_of(layer: Any) -> Any:
    """The inputs [T,I] of export.c's test programs."""
    return pseudo_random(STEPS, CNetwork(layer, "float32"))


def from_python(network: str) -> Hashes:
    """The hashes of whole calls, steps, threads, batches, and the drop-in for torch."""
    cell, layer = NETWORKS[network]
    x = inputs_of(layer)
    stream = layer.stream()
    yield "NumPy, one call", written(layer(x)[0])
    yield "NumPy, step by step", written(np.concatenate([stream.step(row[None]) for row in x]))
    batch = np.random.default_rng(0).standard_normal((STEPS, 37, INPUTS), np.float32)
    batch[:, 23] = x
    usual = pyrnn.get_num_threads()
    for threads in (1, 4):
        pyrnn.set_num_threads(threads)
        yield f"NumPy, row 23 of 37, threads: {threads}", written(layer(batch)[0][:, 23])
        yield f"NumPy, threads: {threads}", written(layer(x)[0])
    pyrnn.set_num_threads(usual)
    yield "torch drop-in", from_torch(cell, layer, x)


def from_torch(cell: str, layer: Any, x: np.ndarray) -> str:
    import torch

    module = getattr(dropin, cell)(INPUTS, HIDDEN, num_layers=layer.num_layers)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in layer.state_dict().items()})
    with torch.inference_mode():
        return written(module(torch.from_numpy(x))[0].numpy())


def from_generated(network: str, targets: dict[str, Target], folder: Path) -> Hashes:
    """The hashes of exported C99, whose own comparison with Python's outputs would fail first."""
    export.c(NETWORKS[network][1], "vad", folder, test_steps=STEPS)
    for name, target in targets.items():
        yield f"C99, {name}", run(target.program("vad_test.c", folder), folder).strip()


def from_library(network: str, prefix: Path, target: Target, isas: list[str], folder: Path) -> Hashes:
    """The hashes of the C library under each of these instruction sets."""
    nn.Sequential(NETWORKS[network][1]).save(folder / "model.safetensors")
    source, library = ROOT / "tests" / "capi" / "hash.c", prefix / "lib" / "libpyrnn.a"
    link = ["-I", f"{prefix}/include", str(library), "-lstdc++", "-lm", "-pthread"]
    run([*target.compiler, *target.language, *STRICT, "-O2", "-c", str(source), *link[:2], "-o", "hash.o"], folder)
    run([*target.compiler, "hash.o", *link[2:], "-o", "hash"], folder)
    for isa in isas:
        command = [*target.runner, "./hash", str(STEPS), "model.safetensors"]
        used, found = run(["env", f"PYRNN_ISA={isa}", *command], folder).split()
        yield f"C library{' on aarch64' if target.runner else ''}, {used}", found


def installed(folder: Path, *options: str) -> Path:
    """Builds and installs the C library, and returns its folder."""
    build = ["cmake", "-G", "Ninja", "-S", str(ROOT), "-B", "build", "-DPYRNN_PYTHON=OFF", "-DPYRNN_C=ON"]
    run([*build, "-DCMAKE_INSTALL_LIBDIR=lib", *options], folder)
    for command in (["--build", "build"], ["--install", "build", "--prefix", "installed"]):
        subprocess.run(["cmake", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "installed"


FOR_AARCH64 = ["-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"]
FOR_AARCH64 += ["-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++"]


def all_of(network: str, library: Path, aarch64: Path) -> Hashes:
    """The hashes of all ways to run a network."""
    sources: list[Callable[[Path], Hashes]] = [
        lambda folder: from_python(network),
        lambda folder: from_library(network, library, ON_HOST["gcc"], _core.available_isas(), folder),
        lambda folder: from_library(network, aarch64, ACROSS["aarch64"], ["scalar", "neon"], folder),
        lambda folder: from_generated(network, ON_HOST | ACROSS, folder),
    ]
    for source in sources:
        with tempfile.TemporaryDirectory() as folder:
            yield from source(Path(folder))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="where the C library is installed")
    parser.add_argument("--aarch64", type=Path, help="where that for aarch64 is")
    given = parser.parse_args()
    differ = False
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        library = (given.library or installed(Path(here))).absolute()
        aarch64 = (given.aarch64 or installed(Path(there), *FOR_AARCH64)).absolute()
        for network in NETWORKS:
            first = None
            for name, found in all_of(network, library, aarch64):
                first = first or found
                differ |= found != first
                print(f"{network:18} {name:32} {found}{'' if found == first else '  differs'}", flush=True)
    if differ:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
