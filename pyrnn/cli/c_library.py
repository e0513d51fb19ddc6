"""Tells compilers and CMake where the C library lies in the package: `python -m pyrnn --cflags --libs`.

These commands use it on a compiler's command line and for find_package(pyrnn):

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
    """Returns the folder that holds include/ and lib/.

    Raises:
        FileNotFoundError: if pyrnn was built without the C library.

    Example:
        >>> from pyrnn.cli import c_library
        >>> sorted(path.name for path in c_library.folder().glob("include/*"))
        ['pyrnn.h', 'pyrnn.hpp']
    """
    for place in pyrnn.__path__:  # In an editable install there are two: that of the source and that of the build.
        if (Path(place) / "c" / "include" / "pyrnn.h").is_file():
            return Path(place) / "c"
    raise FileNotFoundError(
        "this pyrnn was built without its C library; pip install pyrnn-cpu again, without -Ccmake.define.PYRNN_C=OFF"
    )


def cflags() -> str:
    """Returns the flags for the compiler.

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.cflags()  # doctest: +ELLIPSIS
        '-I...c/include'
    """
    return shlex.join([f"-I{folder() / 'include'}"])


def libs() -> str:
    """Returns the flags for the linker.

    The program stores the path (rpath), because no loader searches Python's folders by itself.

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.libs()  # doctest: +ELLIPSIS
        '-L...c/lib -lpyrnn -Wl,-rpath,...c/lib'
    """
    lib = folder() / "lib"
    return shlex.join([f"-L{lib}", "-lpyrnn", f"-Wl,-rpath,{lib}"])


def cmake_dir() -> str:
    """Returns the folder for CMake's find_package, to be set as pyrnn_DIR.

    Example:
        >>> from pyrnn.cli import c_library
        >>> c_library.cmake_dir()  # doctest: +ELLIPSIS
        '...c/lib/cmake/pyrnn'
    """
    return str(folder() / "lib" / "cmake" / "pyrnn")


OPTIONS = {"--cflags": cflags, "--libs": libs, "--cmake-dir": cmake_dir}


def main(arguments: Sequence[str]) -> None:
    """Prints what the options choose, one line each in their order."""
    parser = argparse.ArgumentParser("pyrnn", description="Prints how to build a program with pyrnn's C library.")
    for option, function in OPTIONS.items():
        about = (function.__doc__ or "").partition("\n")[0]
        parser.add_argument(option, dest="asked", action="append_const", const=function, help=about)
    for function in parser.parse_args(arguments).asked:
        print(function())
