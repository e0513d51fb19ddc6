"""State dicts in files: `.pt` and `.pth` (torch's own, without torch), `.safetensors`, `.npz`.

Files may come from strangers: nothing in them is executed, the memory they take is bounded by their size, and
what is wrong with one is said in a ValueError that names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

# To add a format: a module with load(path) and save(state_dict, path), and its suffix here. It is imported at its
# first use: together they would double the time of `import pyrnn`.
FORMATS = {".pt": "pt", ".pth": "pt", ".safetensors": "safetensors", ".npz": "npz"}


def load_state_dict(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads the arrays of a weights file, by name; the suffix tells the format.

    Args:
        path: a `.pt` or `.pth` file as torch.save (1.6 and later) writes it, `.safetensors`, or `.npz`.

    Returns:
        Names to arrays: writable, contiguous, sharing no memory. bfloat16, which NumPy lacks, becomes float32
        (exactly); other dtypes stay. A nested `.pt` checkpoint comes back nested, as dicts, lists, tuples,
        numbers, strings and None.

    Raises:
        ValueError: if the suffix is unknown, or the file is damaged or holds more than numbers and names.
        FileNotFoundError: if there is no such file.
        ImportError: if a `.safetensors` file is asked for and that package is not installed.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict({"weight": np.eye(2)}, f"{folder}/model.pt")
    ...     load_state_dict(f"{folder}/model.pt")
    {'weight': array([[1., 0.],
           [0., 1.]])}
    """
    file_format = _format(path)
    try:
        state_dict: dict[str, Any] = file_format.load(os.fspath(path))
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)} cannot be loaded: {error}.") from error
    return state_dict


def save_state_dict(state_dict: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes arrays by name to a file; the suffix tells the format.

    The file appears whole or not at all: on an error an older file of that name stays as it was.

    Args:
        state_dict: names to array-likes (NumPy, torch tensors) of floats, ints or bools. torch's bfloat16 is
            stored as float32. For `.pt` it may hold dicts, lists, tuples, numbers, strings and None as well.
        path: ends in `.pt` or `.pth` (which torch.load reads, with weights_only=True as well), `.safetensors`
            or `.npz`.

    Raises:
        ValueError: if the suffix is unknown.
        TypeError: if `state_dict` is no mapping of strings, or a value or its dtype cannot be stored.
        OSError: if the file cannot be written.
        ImportError: if `.safetensors` is asked for and that package is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict({"bias": [0.5, 1.5]}, f"{folder}/model.npz")
    ...     load_state_dict(f"{folder}/model.npz")
    {'bias': array([0.5, 1.5])}
    """
    file_format = _format(path)
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict should be a mapping of names to arrays, got {type(state_dict).__name__}")
    for name in state_dict:
        if not isinstance(name, str):
            raise TypeError(f"the names in a state_dict should be strings, got {name!r}")
    with replaced(path) as unfinished:
        file_format.save(state_dict, unfinished)


def _format(path: str | os.PathLike[str]) -> ModuleType:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"{os.fspath(path)} should end in one of {known}; got {suffix or 'no suffix'}")
    return import_module(f"pyrnn.weights.{FORMATS[suffix]}")


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path beside `path` to write to, which takes its place if the block succeeds and vanishes if not."""
    target = os.path.realpath(path)  # a symbolic link stays a link
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)} cannot be written: there is no folder {folder}")
    unfinished = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    try:
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        if os.path.exists(target):
            os.chmod(unfinished, os.stat(target).st_mode & 0o7777)
        os.replace(unfinished, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
