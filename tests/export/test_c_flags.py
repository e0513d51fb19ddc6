"""Compiler flags change no bit of exported C, or compiling stops with a sentence; the C calls no library's fmaf."""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from c_programs import every_layer, in_c, run

import pyrnn
from pyrnn import export, nn

COMPILERS = [name for name in ("gcc", "clang", "clang-19", "tcc") if shutil.which(name)]
OPTIMISERS = [name for name in COMPILERS if name != "tcc"]
TARGETS = Path(__file__).parents[1] / "targets"
HARMLESS = {
    "usual": ["", "-O1", "-Os -std=c11", "-O3 -std=gnu89 -fno-builtin", "-O2 -frounding-math -fno-trapping-math"],
    "fused": ["-O0 -mfma", "-O3 -march=native", "-O3 -march=native -mno-fma", "-O2 -mfma -ffp-contract=fast"],
    "linked": ["-O2 -flto", "-O2 -flto -mfma", "-ffast-math -fno-fast-math -funroll-loops -fno-math-errno"],
    "gcc": ["-O2 -fsingle-precision-constant -fexcess-precision=fast -ffloat-store -std=gnu99",
            "-O2 -funsafe-math-optimizations -fno-associative-math -fno-reciprocal-math -fsigned-zeros"],
}  # fmt: skip
PARTS = ["-ffast-math", "-Ofast", "-ffinite-math-only", "-fno-signed-zeros", "-freciprocal-math",
         "-funsafe-math-optimizations", "-ffast-math -fno-finite-math-only",
         "-fassociative-math -fno-signed-zeros -fno-trapping-math"]  # fmt: skip
PROFILES = ["int8", "int16"]  # the layers around the recurrent ones are float32 in int8 too


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with the C of all layers in float32 and int8, and of a network in int16."""
    folder = tmp_path_factory.mktemp("flags")
    data = np.random.default_rng(0).standard_normal((30, 3), np.float32)
    integers = nn.Sequential(pyrnn.LSTM(3, 9, seed=0), pyrnn.GRU(9, 5, seed=1), nn.Linear(5, 2, seed=2))
    export.c(every_layer(), "vad", folder / "float32", test_steps=100)
    export.c(every_layer(), "vad", folder / "int8", profile="int8", test_steps=100)
    export.c(integers, "vad", folder / "int16", data, "int16", test_steps=100)
    return folder


def compiled(folder: Path, compiler: str, flags: str, *more: str | Path) -> subprocess.CompletedProcess[str]:
    """Compiles the program with a wrong fmaf and without -lm, so that a call of fmaf would show."""
    command = [compiler, *flags.split(), "-w", "vad.c", "vad_test.c", TARGETS / "wrong_fma.c", *more, "-o", "vad_test"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def outcome(folder: Path, compiler: str, flags: str) -> str:
    """ "equal", or the message of the compiler or the program."""
    done = compiled(folder, compiler, flags)
    if done.returncode:
        return done.stderr
    done = subprocess.run([folder / "vad_test"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else "equal"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("kind", "compiler"), [pair for pair in product(HARMLESS, OPTIMISERS) if pair[0] != "gcc" or pair[1] == "gcc"]
)
def test_harmless_flags_change_no_bit(folder: Path, kind: str, compiler: str, profile: str) -> None:
    for flags in HARMLESS[kind]:
        assert outcome(folder / profile, compiler, flags) == "equal", flags


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("compiler", OPTIMISERS)
@pytest.mark.parametrize("flags", PARTS)
def test_parts_of_fast_math_are_refused_or_change_no_bit(
    folder: Path, flags: str, compiler: str, profile: str
) -> None:
    said = outcome(folder / profile, compiler, f"-O3 -march=native {flags}")
    # GCC defines a macro for each of these flags, Clang for three of them, and the C undoes the others. int16 has no
    # floats.
    refused = profile != "int16" and (compiler == "gcc" or flags in ("-ffast-math", "-Ofast", "-ffinite-math-only"))
    assert ("vad.c computes other numbers under -ffast-math" in said) if refused else said == "equal"


@pytest.mark.skipif("clang-19" not in COMPILERS, reason="needs clang-19")
def test_flags_that_clang_does_not_report_change_no_bit(folder: Path) -> None:
    for flags in ("-freciprocal-math", "-funsafe-math-optimizations", "-fno-signed-zeros", "-fno-honor-nans"):
        assert outcome(folder / "float32", "clang-19", f"-O2 {flags}") == "equal", flags


@pytest.mark.parametrize("profile", ["float32", "int8", "int16"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_the_c_links_without_libm_and_calls_no_fmaf(folder: Path, compiler: str, profile: str) -> None:
    assert outcome(folder / profile, compiler, "-O2") == "equal"


@pytest.mark.parametrize("flags", ["-mfpmath=387", "-mfpmath=387 -std=gnu89", "-m32 -ffreestanding -mno-sse"])
def test_wider_arithmetic_is_refused(folder: Path, flags: str) -> None:
    for profile in ("float32", "int8"):
        done = subprocess.run(["gcc", "-O2", *flags.split(), "-c", "vad.c"], cwd=folder / profile,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert "vad.c needs float arithmetic in float: on 32-bit x86 compile with -msse2 -mfpmath=sse" in done.stderr


@pytest.mark.skipif(not shutil.which("avr-gcc"), reason="needs avr-gcc")
@pytest.mark.parametrize("profile", ["float32", "int8", "int16"])
def test_a_small_int_is_refused(folder: Path, profile: str) -> None:
    command = ["avr-gcc", "-mmcu=atmega328p", "-std=c99", "-Os", "-w", "-ffreestanding", "-c", "vad.c"]
    done = subprocess.run(command, cwd=folder / profile, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "vad.c needs an int of 32 bits, which this target does not have" in done.stderr


def test_a_product_that_rounds_twice_is_caught(tmp_path: Path) -> None:
    """1 + 2^-23 + 2^-24 (1 - 2^-36) lies below a tie, and on it once it is rounded to double."""
    one = pyrnn.Linear(1, 1)
    one.load_state_dict({"weight": [[2.0**-12 * (1 + 2.0**-18)]], "bias": [1 + 2.0**-23]})
    x = np.array([[2.0**-12 * (1 - 2.0**-18)]], np.float32)
    export.c(one, "vad", tmp_path)
    assert in_c(tmp_path, x, 1, "-mno-fma").view(np.uint32) == one(x).view(np.uint32) == 0x3F800001


# -- the fused multiply-add itself, against exact fractions ------------------------------------------------------

FORMATS = {
    "float": (np.float32, 24, -149, 127),
    "integers": (np.float32, 24, -149, 127),  # float without an FPU
    "double": (np.float64, 53, -1074, 1023),
}  # digits, least, most exponent


def rounded(exact: Fraction, kind: str) -> float:
    """Rounds a number other than 0 to the nearest of that type, ties to even, by integers alone."""
    _, digits, least, most = FORMATS[kind]
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    step = Fraction(2) ** max(exponent - digits + 1, least)
    steps = round(size / step)  # Python's rounds ties to even
    value = float("inf") if steps * step >= Fraction(2) ** (most + 1) else float(steps * step)
    return value if exact > 0 else -value


def numbers(draw: random.Random, kind: str) -> list[float]:
    """Draws x, y, z of few or many bits and of all sizes; z is often near x y, where ties and cancellation happen."""
    dtype, digits, least, most = FORMATS[kind]

    def number(exponent: int) -> float:
        bits = draw.choice([1, 2**digits - 1, 2 ** draw.randrange(digits), draw.getrandbits(digits) | 1,
                            2 ** draw.randrange(digits) + 2 ** draw.randrange(digits)])  # fmt: skip
        exponent = min(max(exponent - digits + 1, least), most - digits + 1)
        with np.errstate(all="ignore"):
            return float(dtype(draw.choice([-1, 1]) * float(bits) * 2.0**exponent))

    ends = [least + digits, 0, most, draw.randrange(least, most), draw.randrange(-20, 20), draw.randrange(-20, 20)]
    x, y = number(draw.choice(ends)), number(draw.choice(ends))
    if not x or not y or draw.random() < 0.2:
        return [x, y, number(draw.choice(ends))]
    exponent = int(np.log2(abs(x))) + int(np.log2(abs(y)))
    near = exponent + draw.choice([0, 1, -1, digits, digits + 1, -digits, -digits - 1, draw.randrange(-120, 120)])
    near = number(near)
    with np.errstate(all="ignore"):
        return [x, y, draw.choice([near, near, near, -float(dtype(x) * dtype(y))])]


SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-149), 3.4028234663852886e38, -3.4028234663852886e38, 5e-324,
           1.7976931348623157e308, float("inf"), float("-inf"), float("nan")]  # fmt: skip


def expected(x: float, y: float, z: float, kind: str) -> float:
    if not all(map(np.isfinite, (x, y, z))) or not (x and y):
        with np.errstate(all="ignore"):  # the product is exact, infinite or NaN, or only z is not finite
            return z if np.isfinite(x) and np.isfinite(y) and not np.isfinite(z) else float(np.float64(x) * y + z)
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact:
        return rounded(exact, kind)
    return 0.0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder, csrc = tmp_path_factory.mktemp("fma"), Path(__file__).parents[2] / "csrc"
    (folder / "it.cpp").write_text("""
#include "simd/fma64.h"
extern "C" void of_float(const float* x, int n, float* y) {
  for (; n; --n, x += 3) *y++ = PYRNN_FMA(x[0], x[1], x[2]);
}
extern "C" void of_integers(const float* x, int n, float* y) {
  for (; n; --n, x += 3) *y++ = pyrnn_fma_in_integers(x[0], x[1], x[2]);
}
extern "C" void of_double(const double* x, int n, double* y) {
  for (; n; --n, x += 3) *y++ = pyrnn::fused(x[0], x[1], x[2]);
}
""")
    run("g++", "-std=c++20", "-O2", "-mno-fma", "-ffp-contract=off", "-I", csrc, "-shared", "-fPIC", "it.cpp",
        TARGETS / "wrong_fma.c", "-o", "it.so", cwd=folder)  # fmt: skip
    return ctypes.CDLL(str(folder / "it.so"))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_software_fma_is_correctly_rounded(library: ctypes.CDLL, kind: str) -> None:
    dtype, *_ = FORMATS[kind]
    draw = random.Random(0)
    with np.errstate(over="ignore"):
        special = {float(dtype(value)) for value in SPECIAL if not np.isnan(value)} | {float("nan")}
    special = [-0.0, *special - {0.0}, 0.0]
    cases = [[x, y, z] for x in special for y in special for z in special]
    cases += [numbers(draw, kind) for _ in range(20_000)]
    x = np.array(cases, dtype)
    found = np.empty(len(x), dtype)
    getattr(library, f"of_{kind}")(ctypes.c_void_p(x.ctypes.data), len(x), ctypes.c_void_p(found.ctypes.data))
    right = np.array([expected(*case, kind) for case in x.tolist()], dtype)
    there = ~np.isnan(right)
    np.testing.assert_array_equal(np.isnan(found), ~there)
    bits = np.uint32 if dtype is np.float32 else np.uint64
    wrong = np.flatnonzero(found[there].view(bits) != right[there].view(bits))
    assert not len(wrong), [(x[there][i].tolist(), found[there][i], right[there][i]) for i in wrong[:5]]
