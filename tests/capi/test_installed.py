"""The installed C library, of the package and by CMake alone, has its files and names, and compilers find it."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from capi_models import saved
from capi_programs import CXX, PROGRAMS, ROOT, WARNINGS, C, compiled, run

import pyrnn
from pyrnn.__main__ import main
from pyrnn.cli import c_library


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds and installs a library of the scalar ISA alone by CMake, and returns its folder."""
    folder = tmp_path_factory.mktemp("capi")
    options = ["-DPYRNN_PYTHON=OFF", "-DPYRNN_C=ON", "-DPYRNN_ONLY=scalar", "-DCMAKE_INSTALL_LIBDIR=lib"]
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder / "build", *options)
    run("cmake", "--build", folder / "build")
    run("cmake", "--install", folder / "build", "--prefix", folder / "installed")
    return folder / "installed"


@pytest.fixture(params=["package", "plain"])
def prefix(request: pytest.FixtureRequest) -> Path:
    return c_library.folder() if request.param == "package" else request.getfixturevalue("plain")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


CMAKE = {f"lib/cmake/pyrnn/pyrnn{name}.cmake" for name in ("Config", "ConfigVersion", "Targets", "Targets-release")}
BOTH = {
    "include/pyrnn.h",
    "include/pyrnn.hpp",
    "lib/libpyrnn.so",
    "lib/libpyrnn.so.0",
    "lib/pkgconfig/pyrnn.pc",
} | CMAKE


def test_the_package_has_what_a_program_needs_and_no_more() -> None:
    assert files(c_library.folder()) == BOTH
    recorded = {str(path) for path in metadata.files("pyrnn-cpu") or [] if path.suffix != ".pyc"}
    strays = {name for name in recorded if not re.match(r"pyrnn/c/|pyrnn_cpu-.*/|.*bin/pyrnn$|pyrnn/.*\.pyi?$", name)}
    assert {re.sub(r"\..*", "", name) for name in strays} == {
        "pyrnn/_core",
        "pyrnn/py",
        "pyrnn/export/fma",
    }  # .so, .typed and .h


def test_cmake_alone_installs_the_static_library_too(plain: Path) -> None:
    assert files(plain) == BOTH | {"lib/libpyrnn.so.0.1.0", "lib/libpyrnn.a"}


def test_the_header_compiles_alone_in_c99_and_cpp(prefix: Path) -> None:
    for language in ([*C, "-x", "c"], [*CXX, "-x", "c++"]):
        run(*language, *WARNINGS, "-fsyntax-only", prefix / "include" / "pyrnn.h")


def names_in(*nm: object) -> set[str]:
    """The names that a linker sees."""
    words = [line.split() for line in run("nm", "--defined-only", *nm).splitlines()]
    return {entry[2] for entry in words if len(entry) == 3}


def declared() -> set[str]:
    return set(re.findall(r"\b(pyrnn_\w+)\(", (ROOT / "csrc" / "capi" / "pyrnn.h").read_text()))


def test_the_shared_library_shows_its_own_names_and_no_other(prefix: Path) -> None:
    library = prefix / "lib" / "libpyrnn.so.0"
    assert names_in("-D", library) == declared()
    assert "[libpyrnn.so.0]" in run("readelf", "-d", library)  # SONAME


def test_the_static_library_shows_its_own_names_and_no_other(plain: Path) -> None:
    assert names_in("-g", plain / "lib" / "libpyrnn.a") == declared()


def test_the_static_library_keeps_the_promises_of_the_wrapper(plain: Path, tmp_path: Path) -> None:
    library = ["-I", plain / "include", plain / "lib" / "libpyrnn.a", "-pthread"]
    run(compiled(PROGRAMS / "wrapper.cpp", tmp_path, *library), saved("chain", tmp_path)[1])


CONSUMER = """
cmake_minimum_required(VERSION 3.21)
project(consumer LANGUAGES C CXX)
find_package(pyrnn 0.1 REQUIRED)
add_executable(in_c {folder}/names.c)
target_link_libraries(in_c PRIVATE pyrnn::pyrnn)
add_executable(in_cpp {folder}/wrapper.cpp)
target_compile_features(in_cpp PRIVATE cxx_std_17)
target_link_libraries(in_cpp PRIVATE pyrnn::pyrnn)
if(TARGET pyrnn::pyrnn_static)
  add_executable(static {folder}/names.c)
  target_link_libraries(static PRIVATE pyrnn::pyrnn_static)
  set_target_properties(static PROPERTIES LINKER_LANGUAGE CXX)
endif()
"""


def test_find_package_gives_the_libraries(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER.format(folder=PROGRAMS))
    run("cmake", "-G", "Ninja", "-B", "build", f"-Dpyrnn_DIR={prefix / 'lib/cmake/pyrnn'}", cwd=tmp_path)
    run("cmake", "--build", "build", cwd=tmp_path)
    run(tmp_path / "build" / "in_cpp", saved("chain", tmp_path)[1])
    kinds = ["in_c", "static"] if (prefix / "lib" / "libpyrnn.a").exists() else ["in_c"]
    assert {run(tmp_path / "build" / kind).strip() for kind in kinds} == {pyrnn.__version__}


def test_the_pkg_config_file_names_folders_that_are_there(prefix: Path) -> None:
    text = (prefix / "lib" / "pkgconfig" / "pyrnn.pc").read_text()
    assert f"Version: {pyrnn.__version__}\n" in text
    up = re.search(r"^prefix=\$\{pcfiledir\}/(.*)$", text, re.M)
    assert up
    for name, there in (("include", "pyrnn.h"), ("lib", "libpyrnn.so")):
        below = re.search(rf"^{name}dir=\$\{{prefix\}}/(.*)$", text, re.M)
        assert below
        assert (prefix / "lib" / "pkgconfig" / up[1] / below[1] / there).samefile(prefix / name / there)


# -- python -m pyrnn ---------------------------------------------------------------------------------------


def test_a_shell_builds_a_program_with_the_flags(tmp_path: Path) -> None:
    flags = f"$({sys.executable} -m pyrnn --cflags --libs)"
    run("sh", "-euc", f"{' '.join(C)} {PROGRAMS / 'names.c'} -o names {flags} && ./names", cwd=tmp_path)


def test_cmake_finds_the_package_by_its_folder(tmp_path: Path) -> None:
    assert run(sys.executable, "-m", "pyrnn", "--cmake-dir").splitlines() == [
        str(c_library.folder() / "lib/cmake/pyrnn")
    ]


def test_the_options_need_no_typer_and_print_a_line_each() -> None:
    code = "import sys; sys.modules['typer'] = None; from pyrnn.__main__ import main; main()"
    printed = run(sys.executable, "-c", code, "--libs", "--cmake-dir", "--cflags")
    assert printed == f"{c_library.libs()}\n{c_library.cmake_dir()}\n{c_library.cflags()}\n"


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs the command, asserts exit code 2, and returns its error message."""
    monkeypatch.setattr(sys, "argv", ["pyrnn", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_without_the_c_library_the_options_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(pyrnn, "__path__", [str(tmp_path)])
    assert refusal(monkeypatch, capsys, "--libs").startswith("pyrnn: this pyrnn was built without its C library; ")


def test_other_options_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --static" in refusal(monkeypatch, capsys, "--libs", "--static")
    assert "No such option: --cxxflags" in refusal(monkeypatch, capsys, "--cxxflags")
