"""The code keeps the rules of its maps: includes, imports, exported symbols, stub, versions, lengths of files."""

from __future__ import annotations

import ast
import io
import platform
import re
import subprocess
import sys
import tokenize
import tomllib
from importlib.util import resolve_name
from pathlib import Path

import pytest
from layer_picture import map_of

import pyrnn
from pyrnn import _core

ROOT = Path(__file__).parents[2]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "pyrnn"

PER_ISA = ("simd", "kernels", "cells")  # compiled once per ISA, into the one file of isa/ that may include them
BUILD = CSRC / "isa" / "build.cpp"


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def project_files(*endings: str) -> list[Path]:
    """The files that git tracks or would track, without build outputs."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    return [ROOT / name for name in names if name.endswith(endings) and (ROOT / name).is_file()]


# -- the maps: one way down --------------------------------------------------------------------------------


@pytest.mark.parametrize("tree", [CSRC, PACKAGE], ids=lambda path: path.name)
def test_the_map_shows_every_folder_from_the_ground_up(tree: Path) -> None:
    uses = map_of(tree)
    assert set(uses) == {path.name for path in tree.iterdir() if path.is_dir() and path.name[0] != "_"}
    known = ["_core"]
    for folder, used in uses.items():
        assert set(used) <= set(known), f"{folder} uses what stands below it in the map"
        known.append(folder)


# -- csrc --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", map_of(CSRC))
def test_includes_point_down_as_the_map_shows(folder: str) -> None:
    found: dict[str, set[str]] = {}
    for path in (CSRC / folder).rglob("*.[hc]*"):
        for quote, included in re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', path.read_text(), re.M):
            # Ours are quoted and written from csrc; all others stand in angle brackets.
            assert (quote == '"') == (CSRC / included).is_file(), f"{path.name}: {included}"
            if quote == '"':
                found.setdefault(included.split("/")[0], set()).add(path.name)
    found.pop(folder, None)
    assert set(found) == set(map_of(CSRC)[folder]), found


def test_only_the_build_of_an_isa_includes_what_is_compiled_for_it() -> None:
    includes = re.compile(rf'^#include "({"|".join(PER_ISA)})/', re.M)
    outside = [path for path in CSRC.rglob("*.[hc]*") if path.relative_to(CSRC).parts[0] not in PER_ISA]
    assert [path for path in outside if includes.search(path.read_text())] == [BUILD]


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


# If an object exported an inline function, the linker could use it for another ISA, which crashes on a CPU without
# AVX-512. At -O0 the compiler inlines nothing, so every such function would show. .ci/native.sh checks what is linked.
@pytest.mark.slow
@pytest.mark.native
@pytest.mark.parametrize("isa", isa_flags())
def test_an_isa_object_exports_its_tables_and_nothing_else(isa: str, tmp_path: Path) -> None:
    flags = ["-std=c++20", "-fPIC", "-fno-exceptions", "-fno-rtti", "-Wno-psabi", *isa_flags()[isa]]
    run("c++", "-O0", *flags, "-I", str(CSRC), "-c", str(BUILD), "-o", str(tmp_path / "isa.o"))
    kinds = [line.split()[-2:] for line in run("nm", str(tmp_path / "isa.o")).splitlines()]
    visible = [name for kind, name in kinds if kind == "u" or (kind.isupper() and kind != "U")]
    isas = [isa, "avx512vnni"] if isa == "avx512" else [isa]
    tables = [f"{kind}_{name}" for kind in ("inference", "isa") for name in isas]  # that of the C library, and all
    assert sorted(visible) == sorted(f"_ZN5pyrnn{len(table)}{table}E" for table in tables)


# -- pyrnn -------------------------------------------------------------------------------------------------


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported_by(name: str) -> set[str]:
    """The modules of pyrnn that a module imports, at its top or in a function; not those for types alone."""
    package = SOURCES[name] if SOURCES[name].name == "__init__.py" else SOURCES[name].parent / "__init__.py"
    found, nodes = set(), [ast.parse(SOURCES[name].read_text())]
    while nodes:
        node = nodes.pop()
        nodes += [child for child in ast.iter_child_nodes(node) if not is_for_types(child)]
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            start = resolve_name("." * node.level + (node.module or ""), name_of(package))
            inside = {alias.name: f"{start}.{alias.name}" for alias in node.names}
            found |= {inside[each] if inside[each] in {*SOURCES, "pyrnn._core"} else start for each in inside}
    return {each for each in found if each.partition(".")[0] == "pyrnn"}


def folder_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "core"  # pyrnn itself hands out the names of core


@pytest.mark.parametrize("folder", map_of(PACKAGE))
def test_imports_of_python_point_down_as_the_map_shows(folder: str) -> None:
    found: dict[str, set[str]] = {}
    for name in SOURCES:
        if name.split(".")[1:2] == [folder]:
            for used in map(folder_of, imported_by(name)):
                found.setdefault(used, set()).add(name)
    found.pop(folder, None)
    uses = map_of(PACKAGE)[folder]
    assert {used: names for used, names in found.items() if used not in uses} == {}
    assert set(uses) - set(found) == set(), "the map names more than is used"


def test_no_modules_import_each_other_in_a_circle() -> None:
    left, size = {name: imported_by(name) - {name} for name in SOURCES if name != "pyrnn"}, 0
    while size != (size := len(left)):  # who imports nobody that is left, or is imported by none, is in no circle
        imported = set().union(*left.values())
        left = {name: found & set(left) for name, found in left.items() if name in imported and found & set(left)}
    assert left == {}


def test_no_module_has_the_name_of_a_function_that_comes_later() -> None:
    # An import of that module would put it in place of the function.
    assert {path.stem for path in PACKAGE.iterdir()} & set(pyrnn._LATER) == set()


# -- the package -------------------------------------------------------------------------------------------


# A stub cannot express pybind11's metaclass, nor the __init__ that refuses on classes without one.
PYBIND11 = (r"pyrnn\._core\.(Cell|Linear|Spec|Stream|Tape|Weights)(\.__init__)?",)


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


def test_each_test_file_lies_in_a_folder_that_says_what_it_tests() -> None:
    assert [path.name for path in (ROOT / "tests").glob("*.py")] == ["conftest.py"]


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
    """Whether a file that a comment of `path` names exists, beside or above it, or anywhere if it has a folder."""
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
