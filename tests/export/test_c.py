"""The C99 that export.c writes has the bits of the run in Python, under every compiler here."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from c_programs import CXX, STRICT, C, chain, compiled_test, in_c, loud_and_silent, run, tokens

import pyrnn
from pyrnn import export, nn

COMPILERS = [name for name in ("gcc", "clang", "clang-19") if shutil.which(name)]
PROFILES = ("float32", "int8")
NETWORKS = {"chain": (chain(), "float32"), "chain in int8": (chain(), "int8"), "tokens": (tokens(), "float32")}


RECURRENT = {
    "rnn": pyrnn.RNN(3, 9, 2, seed=0),
    "rnn relu": pyrnn.RNN(5, 8, nonlinearity="relu", seed=1),
    "rnn chosen": pyrnn.RNN(5, 3, activation="hard_sigmoid_keras2", batch_first=True, seed=2),
    "lstm": pyrnn.LSTM(16, 24, seed=3),
    "lstm without bias": pyrnn.LSTM(1, 1, 3, bias=False, seed=4),
    "lstm projected": pyrnn.LSTM(5, 11, 2, proj_size=3, seed=5),
    "lstm peephole": pyrnn.LSTM(4, 13, peephole=True, seed=6),
    "lstm chosen": pyrnn.LSTM(4, 7, activation="relu", recurrent_activation="hard_sigmoid_keras3", seed=7),
    "gru": pyrnn.GRU(7, 20, 2, dropout=0.5, seed=8),
    "gru without bias": pyrnn.GRU(2, 6, bias=False, batch_first=True, seed=9),
    "gru reset before": pyrnn.GRU(3, 10, 2, reset_after=False, seed=10),
    "gru chosen": pyrnn.GRU(3, 10, activation="identity", recurrent_activation="sigmoid", seed=11),
    "gru reset before, chosen": pyrnn.GRU(
        3, 5, reset_after=False, activation="sigmoid", recurrent_activation="tanh", seed=12
    ),
}


def in_python(model: pyrnn.Module, x: np.ndarray, profile: str) -> np.ndarray:
    """The outputs of a recurrent layer for x [T,I]."""
    ready = model.eval() if profile == "float32" else model.quantize(profile)
    return ready(x)[0]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", RECURRENT)
def test_a_layer_has_the_bits_of_its_call_in_python(tmp_path: Path, name: str, profile: str) -> None:
    model = RECURRENT[name]
    report = export.c(model, "vad", tmp_path, profile=profile)
    x = loud_and_silent(model.input_size)
    expected = in_python(model, x, profile)
    np.testing.assert_array_equal(in_c(tmp_path, x, expected.shape[1]).view(np.uint32), expected.view(np.uint32))
    # With -march=native the fused multiply-add is one instruction, where this CPU has it.
    compiled_test(tmp_path, "-O3", "-march=native")
    assert report.weights == sum(sizes_of_constants(tmp_path))


def sizes_of_constants(folder: Path) -> list[int]:
    found = re.findall(r"static const (float|int8_t) \w+\[(\d+)\]", (folder / "vad.c").read_text())
    return [int(size) * (4 if kind == "float" else 1) for kind, size in found]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_sequential_has_the_bits_of_its_call_for_each_length(
    tmp_path: Path, profile: str, batch_first: bool
) -> None:
    model = chain(batch_first).eval()
    export.c(model, "vad", tmp_path, profile=profile)
    x = loud_and_silent(3)[90:130]
    ready = model if profile == "float32" else model.quantize(profile)
    steps = [ready(x[None, : t + 1] if batch_first else x[: t + 1, None])[0] for t in range(len(x))]
    found = in_c(tmp_path, x, 2)
    np.testing.assert_array_equal(found.view(np.uint32), np.array(steps).view(np.uint32))
    compiled_test(tmp_path)


def test_a_network_without_state_has_the_bits_of_its_call_in_python(tmp_path: Path) -> None:
    linear = nn.Linear(4, 19, seed=0)
    export.c(linear, "vad", tmp_path)
    x = loud_and_silent(4)
    np.testing.assert_array_equal(in_c(tmp_path, x, 19), linear(x))
    compiled_test(tmp_path)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("language", [C, CXX], ids=["C99", "C++11"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_takes_it_without_a_warning(
    tmp_path: Path, compiler: str, language: list[str], network: str
) -> None:
    model, profile = NETWORKS[network]
    export.c(model, "vad", tmp_path, profile=profile)
    hashes = {compiled_test(tmp_path, level, compiler=compiler, language=language) for level in ("-O0", "-O2", "-Os")}
    assert len(hashes) == 1


@pytest.mark.parametrize("network", NETWORKS)
def test_a_compiler_that_fuses_changes_nothing(tmp_path: Path, network: str) -> None:
    model, profile = NETWORKS[network]
    export.c(model, "vad", tmp_path, profile=profile)
    for level in ("-O1", "-O3"):
        run("gcc", "-std=gnu99", level, "-march=native", "-ffp-contract=fast", "vad.c", "vad_test.c", "-o", "vad_test",
            cwd=tmp_path)  # fmt: skip
        run(tmp_path / "vad_test", cwd=tmp_path)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["lstm projected", "gru", "gru reset before", "tokens"])
def test_the_c_calls_no_function_and_has_no_variables(tmp_path: Path, name: str, profile: str) -> None:
    export.c(tokens() if name == "tokens" else RECURRENT[name], "vad", tmp_path, profile=profile)
    for compiler, level in itertools.product(COMPILERS, ("-O0", "-O2", "-O3", "-Os")):
        run(compiler, *C, level, "-c", "vad.c", cwd=tmp_path)
        assert run("nm", "-u", "vad.o", cwd=tmp_path) == ""
        kinds = [line.split()[1:] for line in run("nm", "--defined-only", "vad.o", cwd=tmp_path).splitlines()]
        assert not [kind for kind, _ in kinds if kind in "bBdDC"]  # no variables: all weights are const
        assert {symbol for kind, symbol in kinds if kind == "T"} == {"vad_reset", "vad_run", "vad_step"}


def test_the_weights_stand_where_the_macro_says(tmp_path: Path) -> None:
    report = export.c(pyrnn.GRU(3, 5, seed=0), "vad", tmp_path)
    run("gcc", *C, '-DVAD_WEIGHTS=__attribute__((section("flash")))', "-c", "vad.c", cwd=tmp_path)
    section = re.search(r"^flash\s+(\d+)", run("size", "-A", "vad.o", cwd=tmp_path), re.M)
    assert section
    assert report.weights <= int(section[1]) < report.weights + 64  # arrays begin at whole vectors


@pytest.mark.parametrize(("change", "said"), [(1e-7, ""), (0.1, "vad_step: step ")])
def test_the_test_program_sees_a_single_bit(tmp_path: Path, change: float, said: str) -> None:
    export.c(pyrnn.GRU(3, 5, seed=0), "vad", tmp_path)
    good = compiled_test(tmp_path)
    source = (tmp_path / "vad.c").read_text()
    number = re.search(r"vad_weight_hh_l0\[75\] VAD_WEIGHTS = \{\n  (-?[\d.]+)f", source)
    assert number
    other = np.float32(number[1]) * np.float32(1 + change)
    assert str(other) != number[1]
    (tmp_path / "vad.c").write_text(source.replace(number[1], str(other)))
    run("gcc", *C, "vad.c", "vad_test.c", "-o", "vad_test", cwd=tmp_path)
    done = subprocess.run([tmp_path / "vad_test"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stdout
    assert good not in done.stdout


@pytest.mark.parametrize("network", NETWORKS)
def test_the_c_makes_no_access_out_of_bounds(tmp_path: Path, network: str) -> None:
    model, profile = NETWORKS[network]
    export.c(model, "vad", tmp_path, profile=profile)
    compiled_test(tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def test_two_networks_compile_in_one_translation_unit(tmp_path: Path) -> None:
    for name, seed in (("first", 0), ("second", 1)):
        export.c(pyrnn.GRU(3, 5, seed=seed), name, tmp_path)
    (tmp_path / "both.c").write_text('#include "first.c"\n#include "second.c"\n')
    run("gcc", *C, *STRICT, "-c", "both.c", cwd=tmp_path)


def test_nan_and_infinity_stand_where_they_do_in_python(tmp_path: Path) -> None:
    model = pyrnn.LSTM(3, 6, seed=0)
    x = np.zeros((4, 3), np.float32)
    x[1, 0], x[2, 1] = np.inf, np.nan
    for profile in PROFILES:
        export.c(model, "vad", tmp_path / profile, profile=profile)
        # The sign of a NaN depends on the CPU, so this compares the places of NaN alone.
        np.testing.assert_array_equal(in_c(tmp_path / profile, x, 6), in_python(model, x, profile))


def test_rows_of_zeros_in_int8_have_the_numbers_of_python(tmp_path: Path) -> None:
    model = pyrnn.GRU(3, 5, seed=0)
    weight = model.weight_ih_l0.copy()
    weight[2], weight[7] = 0, 1e-35
    model.weight_ih_l0 = weight
    export.c(model, "vad", tmp_path, profile="int8")
    x = loud_and_silent(3)
    np.testing.assert_array_equal(in_c(tmp_path, x, 5), in_python(model, x, "int8"))
