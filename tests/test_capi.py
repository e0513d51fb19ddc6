"""The C library: built once with the scalar ISA alone, a program a promise (tests/capi), and the bits of Python."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capi_refusals import REFUSED

import pyrnn
from pyrnn import nn

ROOT = Path(__file__).parents[1]
PROGRAMS, EXAMPLES = ROOT / "tests" / "capi", ROOT / "csrc" / "capi" / "examples"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
SEED: dict[str, Any] = {"seed": 1}
T, B = 60, 3


def run(*command: object, cwd: Path = ROOT) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library is installed."""
    folder = tmp_path_factory.mktemp("capi")
    options = ["-DPYRNN_PYTHON=OFF", "-DPYRNN_C=ON", "-DPYRNN_ONLY=scalar", "-DCMAKE_INSTALL_LIBDIR=lib"]
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder / "build", *options)
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build", "--prefix", folder / "installed")
    return folder / "installed"


@pytest.fixture(scope="session")
def programs(prefix: Path) -> Path:
    """Where the programs are, by name."""
    link = [
        "-I",
        prefix / "include",
        "-L",
        prefix / "lib",
        f"-Wl,-rpath,{prefix}/lib",
        "-lpyrnn",
        "-pthread",
        "-ldl",
        "-lm",
    ]
    for source in [*PROGRAMS.glob("*.c*"), *EXAMPLES.glob("*.c*")]:
        compiler = ["gcc", "-std=c99"] if source.suffix == ".c" else ["g++", "-std=c++17"]
        run(*compiler, "-g", *WARNINGS, source, "-o", prefix / source.stem, *link)
    static = ["-I", prefix / "include", prefix / "lib" / "libpyrnn.a", "-pthread"]
    run("g++", "-std=c++17", PROGRAMS / "wrapper.cpp", "-o", prefix / "wrapper_static", *static)
    return prefix


def draws(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def chain() -> nn.Sequential:
    """Every layer that the library has."""
    inner = nn.Sequential({"out": nn.Linear(6, 4, **SEED), "relu": nn.ReLU()})
    return nn.Sequential(
        {"tanh": nn.Tanh(), "über": pyrnn.GRU(3, 8, num_layers=2, dropout=0.5, **SEED), "drop": nn.Dropout(0.5)}
        | {"lstm": pyrnn.LSTM(8, 6, **SEED), "in": inner, "linear": nn.Linear(4, 5, bias=False, **SEED)}
        | {"s": nn.Sigmoid(), "same": nn.Activation("linear"), "act": nn.Activation("tanh")}
    )


HARD: dict[str, Any] = {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras2"}
MODELS: dict[str, Callable[[], pyrnn.Module]] = {
    "RNN": lambda: pyrnn.RNN(3, 17, **SEED),
    "RNN relu, 2 layers": lambda: pyrnn.RNN(3, 17, 2, nonlinearity="relu", **SEED),
    "RNN without biases": lambda: pyrnn.RNN(3, 8, bias=False, **SEED),
    "RNN of sigmoids": lambda: pyrnn.RNN(3, 5, activation="sigmoid", bias=False, **SEED),
    "LSTM, 3 layers": lambda: pyrnn.LSTM(3, 17, num_layers=3, **SEED),
    "LSTM, projected, with peepholes": lambda: pyrnn.LSTM(3, 17, 2, proj_size=5, peephole=True, **SEED),
    "LSTM without biases": lambda: pyrnn.LSTM(3, 8, bias=False, **SEED),
    "LSTM, hard": lambda: pyrnn.LSTM(3, 5, bias=False, **HARD, **SEED),
    "GRU": lambda: pyrnn.GRU(3, 17, batch_first=False, **SEED),
    "GRU of the paper": lambda: pyrnn.GRU(3, 17, 2, reset_after=False, **SEED),
    "GRU without biases": lambda: pyrnn.GRU(3, 8, bias=False, **SEED),
    "GRU, hard": lambda: pyrnn.GRU(3, 5, bias=False, **HARD, **SEED),
    "wide GRU": lambda: pyrnn.GRU(3, 300, **SEED),  # larger than one thread's share in Python
    "GRU and Linear": lambda: nn.Sequential(pyrnn.GRU(3, 40, **SEED), nn.Linear(40, 2, **SEED)),
    "Linear": lambda: nn.Linear(3, 5, **SEED),
    "chain": chain,
}


def saved(name: str, folder: Path) -> tuple[nn.Sequential, Path]:
    made = MODELS[name]()
    model = made if isinstance(made, nn.Sequential) else nn.Sequential(made)
    model.save(folder / "model.safetensors")
    return model.eval(), folder / "model.safetensors"


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_are_those_of_python_to_the_last_bit(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    x = draws(T, B, 3)
    x.tofile(tmp_path / "x")
    run(programs / "outputs", B, tmp_path / "x", tmp_path / "y", path)
    assert (np.fromfile(tmp_path / "y", np.float32) == model(x).reshape(-1)).all()


@pytest.mark.parametrize(
    "program", ["null", "reset", "clone", "split", "threads", "modes", "hostile", "wrapper", "wrapper_static"]
)
def test_promise(program: str, programs: Path, tmp_path: Path) -> None:
    run(programs / program, saved("chain", tmp_path)[1])


@pytest.mark.parametrize("name", ["RNN without biases", "LSTM without biases", "GRU without biases"])
def test_silence_decays_to_zero_and_past_all_subnormals(name: str, programs: Path, tmp_path: Path) -> None:
    run(programs / "decay", saved(name, tmp_path)[1])


# Rounds of 25 steps of two rows: a quarter of a million of a small model. Python would take threads for the wide one.
@pytest.mark.parametrize(
    ("name", "rounds"), [("chain", 10000), ("LSTM, projected, with peepholes", 1000), ("wide GRU", 10)]
)
def test_calls_make_no_system_call_and_take_neither_memory_nor_a_lock(
    name: str, rounds: int, programs: Path, tmp_path: Path
) -> None:
    run(programs / "noalloc", rounds, saved(name, tmp_path)[1])


def test_statuses_have_names_and_versions_agree(programs: Path) -> None:
    assert run(programs / "names").strip() == pyrnn.__version__


def last_number(printed: str) -> np.float32:
    return np.float32(printed.split()[-1])  # of nine digits, enough for every float32


def test_the_audio_example_adds_what_the_model_makes_of_the_sound(programs: Path, tmp_path: Path) -> None:
    model = nn.Sequential(pyrnn.LSTM(1, 40, **SEED), nn.Linear(40, 1, **SEED))
    model.save(tmp_path / "model.safetensors")
    x = (np.arange(20 * 64) * 220 % 48000).astype(np.float32) / np.float32(48000) - np.float32(0.5)
    y = model(x.reshape(-1, 1, 1)).reshape(-1) + x
    assert last_number(run(programs / "audio", tmp_path / "model.safetensors", 20)) == y[-1]


def test_the_server_example_gives_each_session_a_state_of_its_own(programs: Path, tmp_path: Path) -> None:
    gru, ticks, session = pyrnn.GRU(2, 8, **SEED), 120, 999  # the last one is printed
    nn.Sequential(gru).save(tmp_path / "model.safetensors")
    starts, left = np.zeros((ticks, 1), bool), 0
    for time in range(ticks):
        starts[time] = left == 0
        left = (left or 1 + (session * 7 + time) % 50) - 1
    assert 1 < starts.sum() < ticks
    times, inputs = np.arange(ticks)[:, None], np.arange(2)
    x = ((session * 31 + inputs * 17 + times * 13) % 64 / 32 - 1).astype(np.float32)[:, None]
    printed = run(programs / "server", tmp_path / "model.safetensors", ticks)
    assert last_number(printed) == gru(x, reset=starts)[0][-1, 0, -1]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_taken_is_refused_with_a_sentence(name: str, programs: Path, tmp_path: Path) -> None:
    write, expected = REFUSED[name]
    write(tmp_path / "model.safetensors")
    assert re.match(f"PYRNN_{expected}", run(programs / "refusal", tmp_path / "model.safetensors"))


def test_the_header_is_c99_and_cpp_by_itself(prefix: Path) -> None:
    header = prefix / "include" / "pyrnn.h"
    for language in (["gcc", "-std=c99", "-x", "c"], ["g++", "-std=c++17", "-x", "c++"]):
        run(*language, *WARNINGS, "-fsyntax-only", header)


def names_in(*nm: object) -> set[str]:
    """What a linker sees, but for inline variables of GNU's unique kind."""
    words = [line.split() for line in run("nm", "--defined-only", *nm).splitlines()]
    return {entry[2] for entry in words if len(entry) == 3 and entry[1] != "u"}


def test_the_libraries_show_their_own_names_and_no_other(prefix: Path) -> None:
    library = prefix / "lib" / "libpyrnn.so"
    declared = set(re.findall(r"\b(pyrnn_\w+)\(", (prefix / "include" / "pyrnn.h").read_text()))
    assert names_in("-D", library) == declared
    assert names_in("-g", library.with_suffix(".a")) == declared
    assert "libpyrnn.so.0]" in run("readelf", "-d", library)  # SONAME


CONSUMER = """
cmake_minimum_required(VERSION 3.21)
project(consumer LANGUAGES C CXX)
find_package(pyrnn 0.1 REQUIRED)
add_executable(shared {source})
target_link_libraries(shared PRIVATE pyrnn::pyrnn)
add_executable(static {source})
target_link_libraries(static PRIVATE pyrnn::pyrnn_static)
set_target_properties(static PROPERTIES LINKER_LANGUAGE CXX)
"""


def test_find_package_gives_both_libraries(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.format(source=PROGRAMS / "names.c"))
    run("cmake", "-G", "Ninja", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", cwd=tmp_path)
    run("cmake", "--build", "build", cwd=tmp_path)
    assert {run(tmp_path / "build" / kind).strip() for kind in ("shared", "static")} == {pyrnn.__version__}


def test_the_pkg_config_file_names_folders_that_are_there(prefix: Path) -> None:
    text = (prefix / "lib" / "pkgconfig" / "pyrnn.pc").read_text()
    assert f"Version: {pyrnn.__version__}\n" in text
    up = re.search(r"^prefix=\$\{pcfiledir\}/(.*)$", text, re.M)
    assert up
    assert (prefix / "lib" / "pkgconfig" / up[1]).resolve() == prefix.resolve()
