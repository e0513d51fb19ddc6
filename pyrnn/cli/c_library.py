"""Where the C library lies in the package, as compilers and CMake want to be told: `python -m pyrnn --cflags --libs`.

On the command line of a compiler, and for find_package(pyrnn):

    gcc program.c $(python -m pyrnn --cflags --libs)
    cmake -Dpyrnn_DIR=$(python -m pyrnn --cmake-dir) ...
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import pyrnn


def folder() -> Path:
    """The folder of include/ and lib/.

    Raises:
        FileNotFoundError: pyrnn was built without the C library.

    Example:
        >>> from pyrnn.cli import c_library
        >>> sorted(path.name for path in c_library.folder().glob("include/*"))
        ['pyrnn.h', 'pyrnn.hpp']
    """
    for place in pyrnn.__path__:  # two, of the source and of what was built, in an editable install
        if (Path(place) / "c" / "include" / "pyrnn.h").is_file():
            return Path(place) / "c"
    raise FileNotFoundError(
        "this pyrnn was built without its C library; pip install pyrnn-cpu again, without -Ccmake.define.PYRNN_C=OFF"
    )


def cflags() -> str:
    """For the compiler.

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.cflags()  # doctest: +ELLIPSIS
        '-I...c/include'
    """
    return shlex.join([f"-I{folder() / 'include'}"])


def libs() -> str:
    """For the linker. No loader looks into Python's folders by itself, so the program keeps the path (rpath).

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.libs()  # doctest: +ELLIPSIS
        '-L...c/lib -lpyrnn -Wl,-rpath,...c/lib'
    """
    lib = folder() / "lib"
    return shlex.join([f"-L{lib}", "-lpyrnn", f"-Wl,-rpath,{lib}"])


def cmake_dir() -> str:
    """For find_package, as pyrnn_DIR.

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.cmake_dir()  # doctest: +ELLIPSIS
        '...c/lib/cmake/pyrnn'
    """
    return str(folder() / "lib" / "cmake" / "pyrnn")


OPTIONS = {"--cflags": cflags, "--libs": libs, "--cmake-dir": cmake_dir}


def main(arguments: Sequence[str]) -> None:
    """Prints what the options ask for, a line each in their order."""
    parser = argparse.ArgumentParser("pyrnn", description="What a program needs that is built with pyrnn's C library.")
    for option, function in OPTIONS.items():
        about = (function.__doc__ or "").partition("\n")[0]
        parser.add_argument(option, dest="asked", action="append_const", const=function, help=about)
    for function in parser.parse_args(arguments).asked:
        print(function())
