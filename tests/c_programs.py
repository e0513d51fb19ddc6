"""What the tests of export.c share: compilers, networks, inputs."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np

import pyrnn
from pyrnn import nn

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
C = ["-x", "c", "-std=c99"]
CXX = ["-x", "c++", "-std=c++11"]


def chain(batch_first: bool = False) -> nn.Sequential:
    """Every kind of layer that can be exported, and names that C does not take."""
    return nn.Sequential(
        {
            "in-rnn": nn.Sequential(nn.Linear(3, 6, bias=False, seed=0), nn.Tanh(), nn.Dropout(0.5)),
            "lstm": pyrnn.LSTM(6, 10, 2, batch_first=batch_first, dropout=0.5, seed=1),
            "gru": pyrnn.GRU(10, 9, batch_first=batch_first, seed=2),
            "last": nn.LastStep(batch_first),
            "a": nn.Activation("linear"),
            "b": nn.Activation("hard_sigmoid_keras3"),
            "c": nn.Linear(9, 17, seed=3),
            "d": nn.ReLU(),
            "in_rnn": nn.Linear(17, 2, seed=4),
            "e": nn.Sigmoid(),
        }
    )


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled_test(folder: Path, *flags: str, compiler: str = "gcc", language: list[str] = C) -> str:
    """What the test program prints."""
    run(compiler, *language, *STRICT, *flags, "vad.c", "vad_test.c", "-o", "vad_test", "-lm", cwd=folder)
    return run(folder / "vad_test", cwd=folder)


def in_c(folder: Path, x: np.ndarray, outputs: int, *flags: str) -> np.ndarray:
    """What vad_run makes of x [T,I] after vad_reset."""
    run("gcc", *C, *STRICT, *flags, "-O2", "-shared", "-fPIC", "vad.c", "-o", "vad.so", "-lm", cwd=folder)
    library = ctypes.CDLL(str(folder / "vad.so"))
    state = ctypes.create_string_buffer(int(re.search(r"/\* (\d+) bytes", (folder / "vad.h").read_text())[1]))
    x, y = np.ascontiguousarray(x), np.empty((len(x), outputs), np.float32)
    library.vad_reset(state)
    floats = ctypes.POINTER(ctypes.c_float)
    library.vad_run(state, x.ctypes.data_as(floats), ctypes.c_size_t(len(x)), y.ctypes.data_as(floats))
    return y


def loud_and_silent(width: int) -> np.ndarray:
    """Small numbers, large ones, zeros for long enough that a state decays below 2^-100, and numbers again."""
    draw = np.random.default_rng(0).standard_normal((400, width), np.float32)
    draw[100:120] *= 1e4
    draw[120:350] = 0
    return draw
