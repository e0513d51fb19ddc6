"""Compilers, networks and inputs for the tests of export.c."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np

import pyrnn
from pyrnn import nn
from pyrnn.export import elementwise

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-ffp-contract=off"]
C = ["-x", "c", "-std=c99"]
CXX = ["-x", "c++", "-std=c++11"]


def chain(batch_first: bool = False) -> nn.Sequential:
    """A network of recurrent layers and those around them, some with names that C does not allow."""
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


def tokens() -> nn.Sequential:
    """A network from indices to probabilities, with the layers that `chain` lacks."""
    return nn.Sequential(
        nn.Embedding(11, 6, seed=0),
        nn.ChannelsLast(nn.Conv1d(6, 8, 3, padding=[(4, 0)], dilation=2, groups=2, seed=1)),
        nn.Activation("leaky_relu"),
        nn.ChannelsLast(nn.Conv1d(8, 9, 4, padding=[(3, 0)], bias=False, seed=2)),
        nn.Activation("selu"),
        pyrnn.GRU(9, 10, batch_first=True, seed=3),
        nn.LastStep(batch_first=True),
        nn.Linear(10, 5, seed=4),
        nn.Activation("gelu_tanh"),
        nn.Softmax(),
    )


def every_layer() -> nn.Sequential:
    """A network from indices to probabilities with every layer and activation that can be exported."""
    activations = []
    for seed, name in enumerate(elementwise.LAYERS):
        activations += [nn.Linear(5, 5, seed=seed), nn.Activation(name)]
    return nn.Sequential(
        nn.Embedding(11, 6, seed=0),
        nn.ChannelsLast(nn.Conv1d(6, 5, 3, padding=[(4, 0)], dilation=2, seed=1)),
        *activations,
        pyrnn.LSTM(5, 9, peephole=True, batch_first=True, seed=3),
        pyrnn.GRU(9, 4, 2, batch_first=True, reset_after=False, seed=4),
        pyrnn.GRU(4, 12, batch_first=True, seed=5),
        pyrnn.RNN(12, 11, nonlinearity="relu", batch_first=True, seed=6),
        pyrnn.LSTM(11, 10, proj_size=3, batch_first=True, seed=7),
        nn.Linear(3, 9, seed=8),
        nn.Softmax(),
    )


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiled_test(folder: Path, *flags: str, compiler: str = "gcc", language: list[str] = C) -> str:
    """Compiles and runs the exported test program, and returns its output."""
    run(compiler, *language, *STRICT, *flags, "vad.c", "vad_test.c", "-o", "vad_test", cwd=folder)
    return run(folder / "vad_test", cwd=folder)


def in_c(folder: Path, x: np.ndarray, outputs: int, *flags: str) -> np.ndarray:
    """The outputs of vad_run for x [T,I], which holds floats, int16 or indices, after vad_reset."""
    run("gcc", *C, *STRICT, *flags, "-O2", "-shared", "-fPIC", "vad.c", "-o", "vad.so", cwd=folder)
    library = ctypes.CDLL(str(folder / "vad.so"))
    header = (folder / "vad.h").read_text()
    state = ctypes.create_string_buffer(int(re.search(r"The state, (\d+) bytes", header)[1]))
    kind = np.int16 if "VAD_OUTPUT_BITS" in header else np.float32
    x, y = np.ascontiguousarray(x), np.empty((len(x), outputs), kind)
    library.vad_reset(state)
    library.vad_run(state, ctypes.c_void_p(x.ctypes.data), ctypes.c_size_t(len(x)), ctypes.c_void_p(y.ctypes.data))
    return y


def loud_and_silent(width: int) -> np.ndarray:
    """Inputs that are small, then large, then zero until a state decays below 2^-100, then small again."""
    draw = np.random.default_rng(0).standard_normal((400, width), np.float32)
    draw[100:120] *= 1e4
    draw[120:350] = 0
    return draw
