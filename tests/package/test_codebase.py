"""What holds of the code as a text and as objects: includes, exported symbols, stub, versions, imports, README."""

from __future__ import annotations

import io
import platform
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

import pyrnn
from pyrnn import _core

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "csrc"

# From the top down: a room may include itself and what stands below it.
ROOMS = ("bindings", "capi", "runtime", "isa", "cells", "kernels", "simd")
DOOR = "isa/ops.h"  # plain data, shared by both sides
BELOW_THE_DOOR = ("cells", "kernels", "simd")
BEHIND_IT = CSRC / "isa" / "build.cpp"  # compiled once per ISA: the one file of isa/ that sees what is below


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def project_files(*endings: str) -> list[Path]:
    """What git tracks or would track, so no build outputs."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return [ROOT / name for name in names if name.endswith(endings) and (ROOT / name).is_file()]


# -- csrc: one way down ------------------------------------------------------------------------------------


def may_include(path: Path, included: str) -> bool:
    room, target = path.parent.name, included.split("/")[0]
    if included == DOOR:
        return True
    if target in BELOW_THE_DOOR and room not in BELOW_THE_DOOR:
        return path == BEHIND_IT
    return ROOMS.index(room) <= ROOMS.index(target)


@pytest.mark.parametrize("path", sorted(CSRC.rglob("*.[hc]*")), ids=lambda path: str(path.relative_to(CSRC)))
def test_includes_point_down(path: Path) -> None:
    includes = re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', path.read_text(), re.M)
    for quote, included in includes:
        # Ours are quoted and written from csrc; all others stand in angle brackets.
        assert (quote == '"') == (CSRC / included).is_file(), included
        assert quote == "<" or may_include(path, included), included


def isa_flags() -> dict[str, list[str]]:
    """The flags of each ISA object of this CPU family, read out of CMakeLists.txt."""
    text = (ROOT / "CMakeLists.txt").read_text()
    isas = ("scalar", "avx2", "avx512") if platform.machine() == "x86_64" else ("scalar", "neon")
    found = {}
    for isa in isas:
        size = re.search(rf"set\(PYRNN_BYTES_{isa} (\d+)\)", text)
        assert size, isa
        flags = re.search(rf"set\(PYRNN_FLAGS_{isa} ([^)]+)\)", text)
        names = [f"-DPYRNN_ISA={isa}", f"-DPYRNN_VECTOR_BYTES={size[1]}", "-ffp-contract=off"]
        found[isa] = names + (flags[1].split() if flags else [])
    return found


# An inline function that the linker can see may replace the same function of another ISA: on a CPU without
# AVX-512 that is a crash. Without optimisation nothing is inlined away.
@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("isa", isa_flags())
def test_an_isa_object_exports_its_tables(isa: str, level: str, tmp_path: Path) -> None:
    flags = ["-std=c++20", "-fPIC", "-fno-exceptions", "-fno-rtti", "-Wno-psabi", *isa_flags()[isa]]
    run("c++", level, *flags, "-I", str(CSRC), "-c", str(BEHIND_IT), "-o", str(tmp_path / "isa.o"))
    kinds = [line.split()[-2:] for line in run("nm", str(tmp_path / "isa.o")).splitlines()]
    visible = [name for kind, name in kinds if kind == "u" or (kind.isupper() and kind != "U")]
    isas = [isa, "avx512vnni"] if isa == "avx512" else [isa]
    tables = [f"{kind}_{name}" for kind in ("inference", "isa") for name in isas]  # that of the C library, and all
    assert sorted(visible) == sorted(f"_ZN5pyrnn{len(table)}{table}E" for table in tables)


# -- the package -------------------------------------------------------------------------------------------


# pybind11's own doing, which no stub can say: its metaclass, and an __init__ that refuses on classes without one.
PYBIND11 = (r"pyrnn\._core\.(Linear|Spec|Stream|Tape|Weights)(\.__init__)?",)


def test_the_stub_matches_the_module(tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text("\n".join(PYBIND11))
    run(sys.executable, "-m", "mypy.stubtest", "pyrnn._core", "--allowlist", str(tmp_path / "allowed"))


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    top = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert top
    assert {project["version"], top[1], _core.__version__, pyrnn.__version__} == {project["version"]}


def test_importing_pyrnn_imports_numpy_and_nothing_else() -> None:
    code = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import pyrnn
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*new - {"numpy"} - set(sys.stdlib_module_names))
"""
    assert run(sys.executable, "-c", code).split() == ["pyrnn"]


def test_no_test_file_imports_from_another() -> None:
    imports = re.compile(r"^\s*(?:from|import) (test_\w+)", re.M)
    found = {path.name: imports.findall(path.read_text()) for path in (ROOT / "tests").rglob("*.py")}
    assert {
        name: imported for name, imported in found.items() if imported not in ([], [name.removesuffix(".py")])
    } == {}


# -- the text ----------------------------------------------------------------------------------------------


def remarks(path: Path) -> str:
    """The comments of a file of C++ or Python, and the texts in three quotes, docstrings among them."""
    text = path.read_text()
    if path.suffix != ".py":
        return "\n".join(re.findall(r"//[^\n]*|/\*.*?\*/", text, re.S))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    kept = (token.string for token in tokens if token.type == tokenize.COMMENT or token.string.startswith('"""'))
    return "\n".join(kept)


def is_there(name: str, path: Path) -> bool:
    """Whether a file that a comment of `path` names exists: beside it or above it; in any place with such a folder."""
    if "/" in name:
        return any(str(known).endswith(f"/{name}") for known in project_files(Path(name).suffix))
    return any((folder / name).is_file() for folder in path.parents)


def test_files_that_comments_name_exist() -> None:
    sources = dict.fromkeys(project_files(".py"), "cpp|py")  # the package writes programs that include foreign headers
    sources |= dict.fromkeys(project_files(".h", ".cpp"), "h|cpp|py")
    stale = [
        f"{path.relative_to(ROOT)}: {name}"
        for path, endings in sources.items()
        for name in re.findall(rf"(?<![\w./*{{-])\w[\w/]*\.(?:{endings})\b(?!\()", remarks(path))
        if not is_there(name, path)
    ]
    assert stale == []


def test_no_file_is_longer_than_300_lines() -> None:
    files = project_files(".py", ".pyi", ".h", ".cpp", ".txt", ".toml", ".md")
    assert len(files) > 80
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 300} == {}


def test_no_file_names_a_path_of_a_machine() -> None:
    machine = re.compile(r"(?<![\w.:/])/(?:work|root|home|opt)/\w")
    found = {str(path.relative_to(ROOT)): machine.findall(path.read_text()) for path in project_files("")}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_code_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    readme = (ROOT / "README.md").read_text()
    blocks = list(re.finditer(r"^```python\n(.*?)^```", readme, re.M | re.S))
    assert len(blocks) >= 3
    names = {"__name__": "readme"}  # later blocks go on with what earlier ones made
    for block in blocks:
        line = readme.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], "README.md", "exec"), names)
