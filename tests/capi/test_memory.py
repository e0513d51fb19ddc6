"""The C library keeps the memory budget of a file, survives lack of memory, and leaves nothing when unloaded."""

from __future__ import annotations

import ctypes
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("safetensors")

from capi_models import SEED, causal, saved
from capi_programs import CXX, PROGRAMS, ROOT, compiled, run
from capi_refusals import conv, crafted, described

import pyrnn
from pyrnn import nn
from pyrnn.checks.budget import HARMLESS, RATIO
from pyrnn.cli import c_library

NATIVE = ROOT / "tests" / "native"
LIBRARY = c_library.folder() / "lib" / "libpyrnn.so.0"
UNCOUNTED = 2 << 20  # bytes: twice the 1 MB of code and tables that a small model touches


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiles the programs, and returns the folder that has them by name."""
    folder = tmp_path_factory.mktemp("native")
    failing = [
        *CXX[:1],
        "-std=c++20",
        "-shared",
        "-fPIC",
        "-O1",
        NATIVE / "fail.cpp",
        "-o",
        folder / "libfail.so",
        "-ldl",
    ]
    run(*failing)
    library = [*shlex.split(f"{c_library.cflags()} {c_library.libs()}"), "-I", PROGRAMS, "-pthread", "-ldl"]
    first = ["-L", folder, "-lfail", f"-Wl,-rpath,{folder}"]
    compiled(NATIVE / "failing.c", folder, *first, *library)
    compiled(NATIVE / "within.c", folder, *library)
    compiled(NATIVE / "unload.c", folder, "-I", c_library.folder() / "include", "-pthread", "-ldl")
    return folder


def convolutions(count: int, dilation: int, around: int = 0) -> Callable[[Path], None]:
    """Writes a chain of `count` convolutions of one channel and two places, inside `around` nested Sequentials."""
    config = {"kernel_size": [2], "dilation": [dilation], "padding": [[dilation, 0]], "bias": False}
    inner = json.loads(conv(**config))[0]
    layers = [inner | {"name": str(i)} for i in range(count)]
    prefix = ""
    for _ in range(around):
        layers, prefix = [{"name": "in", "type": "Sequential", "config": {"layers": layers}}], prefix + "in__"
    return crafted(json.dumps(layers), **{f"{prefix}{i}__layer__weight": (1, 1, 2) for i in range(count)})


def linear(outputs: int) -> Callable[[Path], None]:
    return crafted(described("Linear", in_features=1, out_features=outputs, bias=False), **{"0__weight": (outputs, 1)})


def by_channel(channels: int) -> Callable[[Path], None]:
    options = {"in_channels": channels, "out_channels": channels, "groups": channels, "bias": False}
    return crafted(conv(kernel_size=[1], **options), **{"0__layer__weight": (channels, 1, 1)})


# Files that would take more memory than they may, and the part that the message names.
BOMBS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "one convolution over a long past": (convolutions(1, 2**23), 'layer "0"'),
    "62 convolutions over a long past": (convolutions(62, 2**23), 'layer "0"'),
    "convolutions each of which is harmless": (convolutions(9, 2**18), 'layer "8"'),
    "convolutions in Sequentials": (convolutions(9, 2**18, around=3), 'layer "in.in.in.8"'),
    "outputs of a wide layer": (linear(2**20), 'layer "0"'),
    "a matrix for each channel": (by_channel(2**18), 'layer "0"'),
    "numbers": (crafted("[" + "0," * 10**6 + "0]", a=(1,)), "its architecture"),
    "empty lists": (crafted("[" + "[]," * 10**6 + "[]]", a=(1,)), "its architecture"),
    "empty objects": (crafted("[" + "{}," * 10**6 + "{}]", a=(1,)), "its architecture"),
}


def loaded_within(program: Path, *arguments: object) -> tuple[str, int, str]:
    """Runs a program, and returns its status, the bytes that its process grew by, and its message."""
    status, kilobytes, sentence = run(program, *arguments).strip("\n").split(" ", 2)
    return status, int(kilobytes) * 1024, sentence


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_would_take_more_than_it_may_is_refused_at_the_load(
    name: str, programs: Path, tmp_path: Path
) -> None:
    write, named = BOMBS[name]
    write(tmp_path / "model.safetensors")
    size = (tmp_path / "model.safetensors").stat().st_size
    status, grown, sentence = loaded_within(programs / "within", tmp_path / "model.safetensors")
    assert status == "PYRNN_INVALID_FILE"
    assert f"cannot be loaded: {named}" in sentence
    assert f"of the {RATIO * size + HARMLESS} bytes that this file may take" in sentence
    assert "raise the limit: pyrnn_model_load_within" in sentence
    assert grown < RATIO * size + HARMLESS + UNCOUNTED


def least_limit(path: Path) -> int:
    """The least limit in bytes at which pyrnn_model_load_within loads the file, to 1 %."""
    library = ctypes.CDLL(str(LIBRARY))

    def loads(limit: int) -> bool:
        model = ctypes.c_void_p()
        status = library.pyrnn_model_load_within(bytes(path), ctypes.c_size_t(limit), ctypes.byref(model))
        library.pyrnn_model_free(model)
        return bool(status == 0)

    low, high = 0, 1 << 40
    assert loads(high)
    while high > 1.01 * low + 1:
        middle = (low + high) // 2 if low else high // 16
        low, high = (low, middle) if loads(middle) else (middle, high)
    return high


# Each file takes most of its memory for another thing: arrays, packed weights, tables, a past, outputs, JSON.
LARGE: dict[str, Callable[[Path], Any]] = {
    "weights": lambda path: nn.Sequential(pyrnn.LSTM(64, 512, **SEED)).save(path),
    "padded weights": lambda path: nn.Sequential(pyrnn.GRU(50_000, 1, **SEED)).save(path),
    "many layers": lambda path: nn.Sequential(pyrnn.LSTM(1, 1, 400, bidirectional=True, **SEED)).save(path),
    "projected": lambda path: nn.Sequential(pyrnn.LSTM(1, 50_000, proj_size=1, **SEED)).save(path),
    "Embedding": lambda path: nn.Sequential(nn.Embedding(2**18, 4, **SEED), nn.Linear(4, 1, **SEED)).save(path),
    "one output": lambda path: nn.Sequential(nn.Linear(2**18, 1, **SEED)).save(path),
    "a past": lambda path: nn.Sequential(causal(4, 4, 2, 2**17)).save(path),
    "62 convolutions": convolutions(62, 2**14),
    "channels": by_channel(2**14),
    "outputs": linear(2**18),
    "activations": crafted(
        json.dumps([{"name": str(i), "type": "Tanh", "config": {}} for i in range(20_000)])[:-1]
        + ', {"name": "x", "type": "Linear", "config": {"in_features": 1, "out_features": 1, "bias": false}}]',
        x__weight=(1, 1),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_loading_a_model_and_making_a_stream_take_no_more_than_the_limit(
    name: str, programs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    LARGE[name](path)
    least = least_limit(path)
    status, grown, _ = loaded_within(programs / "within", path, least)
    assert status == "PYRNN_OK"
    assert grown < least + UNCOUNTED
    status, grown, _ = loaded_within(programs / "within", path, least // 2)
    assert status == "PYRNN_INVALID_FILE"
    assert grown < least // 2 + UNCOUNTED


def test_a_limit_can_be_raised(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    convolutions(9, 2**18)(path)
    assert loaded_within(programs / "within", path)[0] == "PYRNN_INVALID_FILE"
    assert loaded_within(programs / "within", path, 1 << 30)[0] == "PYRNN_OK"


@pytest.mark.parametrize("name", ["chain", "LSTM, projected, with peepholes", "Conv1d with holes and groups"])
def test_any_failed_request_for_memory_gives_a_status_and_the_next_call_is_right(
    name: str, programs: Path, tmp_path: Path
) -> None:
    run(programs / "failing", saved(name, tmp_path)[1])


@pytest.mark.parametrize("size", [8, 1200])  # 1200 units have 25 MB of weights, memory that is kept for reuse
def test_a_library_that_is_unloaded_leaves_no_memory_behind(size: int, programs: Path, tmp_path: Path) -> None:
    nn.Sequential(pyrnn.LSTM(64, size, **SEED)).save(tmp_path / "model.safetensors")
    grown = int(run(programs / "unload", LIBRARY, tmp_path / "model.safetensors"))  # kB, in 20 cycles
    assert grown < 1000


def test_a_stream_larger_than_memory_is_refused_with_its_size(programs: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    nn.Sequential(pyrnn.LSTM(1, 2**18, proj_size=1, bias=False, **SEED)).save(path)
    status, grown, sentence = loaded_within(programs / "within", path, 1 << 40, 1 << 24)
    assert status == "PYRNN_OUT_OF_MEMORY"
    assert sentence.startswith("pyrnn_stream_new: there is not enough memory: a batch of 16777216 takes ")
    assert int(sentence.split()[-2]) > 2**47  # more than there are addresses
    assert grown < least_limit(path) + UNCOUNTED
