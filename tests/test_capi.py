"""The C library: built once with the scalar ISA alone, a program a promise (tests/capi), and the bits of Python."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import one_hash
import pytest
from capi_models import AHEAD, INDEXED, MODELS, SEED, saved
from capi_refusals import REFUSED

import pyrnn
from pyrnn import nn

ROOT = Path(__file__).parents[1]
PROGRAMS, EXAMPLES = ROOT / "tests" / "capi", ROOT / "csrc" / "capi" / "examples"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
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


def in_python(model: nn.Sequential, x: Any) -> Any:
    """What a model makes of x [T,B,*], whichever way round it takes its arrays: those with a Conv1d batch first."""
    layers = [layer for _, layer in model.named_modules()]
    if any(isinstance(layer, (nn.ChannelsLast, nn.Embedding)) for layer in layers):
        return model(x.swapaxes(0, 1)).swapaxes(0, 1)
    return model(x)


def outputs_of(program: Path, x: Any, model: Path) -> Any:
    """The outputs, flat, of a program that takes x [T,B,*] in a file."""
    folder = model.parent
    x.tofile(folder / "x")
    run(program, x.shape[1], folder / "x", folder / "y", model)
    return np.fromfile(folder / "y", np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_are_those_of_python_to_the_last_bit(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    expected = in_python(model, draws(T, B, 3))
    for program in ("outputs", "whole"):
        assert (outputs_of(programs / program, draws(T, B, 3), path) == expected.reshape(-1)).all()


@pytest.mark.parametrize("name", INDEXED)
def test_indices_come_as_floats(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    x = np.random.default_rng(3).integers(0, 7, (T, B))
    x[: T // 4, 0] = 0
    expected = in_python(model, x)
    for program in ("outputs", "whole"):
        assert (outputs_of(programs / program, x.astype(np.float32), path) == expected.reshape(-1)).all()


def test_what_is_no_index_is_refused_and_changes_nothing(programs: Path, tmp_path: Path) -> None:
    run(programs / "indices", saved("Embedding", tmp_path)[1])


@pytest.mark.parametrize("name", AHEAD)
def test_what_looks_ahead_runs_on_whole_sequences(name: str, programs: Path, tmp_path: Path) -> None:
    model, path = saved(name, tmp_path)
    expected = in_python(model, draws(T, B, 3))
    assert (outputs_of(programs / "whole", draws(T, B, 3), path) == expected.reshape(-1)).all()
    printed = run(programs / "ahead", path)
    assert re.match(r"PYRNN_UNSUPPORTED: pyrnn_stream_new: the model has a .*; pyrnn_model_run takes whole", printed)


@pytest.mark.parametrize("masks", [False, True])
def test_a_last_step_gives_what_the_sequence_so_far_would(masks: bool, programs: Path, tmp_path: Path) -> None:
    model = nn.Sequential(
        nn.Embedding(7, 5, mask_zero=masks, **SEED), pyrnn.GRU(5, 6, batch_first=True, **SEED),
        nn.LastStep(batch_first=True), nn.Linear(6, 3, **SEED), nn.Softmax(1),
    ).eval()  # fmt: skip
    model.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(3).integers(0, 3, (T, B))
    x[:5, 1] = 0
    expected = np.stack([model(x[: t + 1].T) for t in range(T)])
    found = outputs_of(programs / "outputs", x.astype(np.float32), tmp_path / "model.safetensors")
    assert (found == expected.reshape(-1)).all()


@pytest.mark.parametrize("network", one_hash.NETWORKS)
def test_ten_thousand_steps_have_the_hash_of_python(network: str, programs: Path, tmp_path: Path) -> None:
    layer = one_hash.NETWORKS[network][1]
    nn.Sequential(layer).save(tmp_path / "model.safetensors")
    expected = one_hash.written(layer(one_hash.inputs_of(layer))[0])
    assert run(programs / "hash", one_hash.STEPS, tmp_path / "model.safetensors").split() == ["scalar", expected]


@pytest.mark.parametrize(
    "program", ["null", "reset", "clone", "split", "threads", "hostile", "memory", "wrapper", "wrapper_static"]
)
def test_promise(program: str, programs: Path, tmp_path: Path) -> None:
    run(programs / program, saved("chain", tmp_path)[1])


@pytest.mark.parametrize("name", ["chain", "GRU", "Linear without bias"])
def test_a_caller_s_mode_of_computing_does_not_matter(name: str, programs: Path, tmp_path: Path) -> None:
    run(programs / "modes", saved(name, tmp_path)[1])


@pytest.mark.parametrize("name", ["RNN without biases", "LSTM without biases", "GRU without biases"])
def test_silence_decays_to_zero_and_past_all_subnormals(name: str, programs: Path, tmp_path: Path) -> None:
    run(programs / "decay", saved(name, tmp_path)[1])


# A million of a network that is small for the scalar form, too. Python would take threads for the wide one.
@pytest.mark.parametrize(
    ("name", "steps"),
    [("GRU, hard", 10**6), ("chain", 200_000), ("LSTM, projected, with peepholes", 25_000), ("wide GRU", 250)],
)
def test_calls_make_no_system_call_and_take_neither_memory_nor_a_lock(
    name: str, steps: int, programs: Path, tmp_path: Path
) -> None:
    run(programs / "noalloc", steps, saved(name, tmp_path)[1])


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


def test_the_latency_program_runs(programs: Path, tmp_path: Path) -> None:
    nn.Sequential(pyrnn.LSTM(1, 4, **SEED), nn.Linear(4, 1, **SEED)).save(tmp_path / "model.safetensors")
    lines = run(programs / "latency", tmp_path / "model.safetensors", 100).splitlines()
    assert [line.split()[0] for line in lines] == ["audio", "empty", "least"]


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
    """What a linker sees."""
    words = [line.split() for line in run("nm", "--defined-only", *nm).splitlines()]
    return {entry[2] for entry in words if len(entry) == 3}


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
