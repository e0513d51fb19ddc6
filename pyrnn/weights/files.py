"""State dicts in files: `.pt` and `.pth` (torch's own, without torch), `.safetensors`, `.npz`.

A file that is written has the format of its suffix; of one that is read, the content tells it (kinds.py). Files may
come from strangers: nothing in them is executed, the memory they take is bounded by their size, and what is wrong with
one is said in a ValueError that names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from pyrnn.checks.placeholder import Placeholder
from pyrnn.checks.quoting import escaped, quoted

from .kinds import READERS
from .source import File, Source, opened, printable

__all__ = ["FORMATS", "Placeholder", "arrays_of", "load_state_dict", "replaced", "save_state_dict"]

# To add a format: a module with load(file, budget) and save(state_dict, path), its suffix here, and how it is
# recognised in kinds.py. It is imported at its first use: together they would double the time of `import pyrnn`.
FORMATS = {".pt": "pt", ".pth": "pt", ".safetensors": "safetensors", ".npz": "npz"}


def load_state_dict(path: File, *, limit: int | None = None) -> dict[str, Any]:
    """Reads the arrays of a weights file, by name; its content tells the format.

    Args:
        path: a file as torch.save (1.6 and later) writes it, `.pt` or whatever its name, `.safetensors`, or `.npz`:
            its path, the file open in binary mode, or its bytes.
        limit: bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.

    Returns:
        Names to arrays: writable, contiguous, sharing no memory. bfloat16, which NumPy lacks, becomes float32
        (exactly); other dtypes stay. A nested `.pt` checkpoint comes back nested, as dicts, lists, tuples, sets,
        numbers, strings, bytes and None, with a `Placeholder` for each object that is none of these; nothing of such
        an object is executed or imported. Options that weights do not tell stand in the attribute `_metadata`, if the
        file has them.

    Raises:
        ValueError: if the file is of another format, which is named, or damaged, or would take more than the limit.
        TypeError: if `path` is no path, binary file or bytes.
        FileNotFoundError: if there is no such file.
        ImportError: if it is a `.safetensors` file and that package is not installed.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict({"weight": np.eye(2)}, f"{folder}/model.pt")
    ...     load_state_dict(f"{folder}/model.pt")
    {'weight': array([[1., 0.],
           [0., 1.]])}
    """
    with opened(path, limit) as source:
        if source.kind not in FORMATS.values():
            raise ValueError(
                f"{source.name} cannot be loaded: it holds a model ({source.kind}), and no state dict alone; read it "
                "with pyrnn.load(path), whose state_dict() has the arrays."
            )
        return arrays_of(source, limit)


def arrays_of(source: Source, limit: int | None) -> dict[str, Any]:
    """The arrays of a file whose kind is one of FORMATS."""
    try:
        state_dict: dict[str, Any] = _module(source.kind).load(source.file, source.budget(limit))
    except ValueError as error:
        raise ValueError(f"{source.name} cannot be loaded: {error}.") from error
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
            raise TypeError(f"the names in a state_dict should be strings, got {quoted(name)}")
        if len(name) > MAX_NAME or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"the name {quoted(name)} should have at most {MAX_NAME} letters, and no lone surrogate")
    with replaced(path) as unfinished:
        file_format.save(state_dict, unfinished)


MAX_NAME = 10_000  # letters; a zip archive has room for 65,535 bytes


def _format(path: str | os.PathLike[str]) -> ModuleType:
    suffix = os.path.splitext(os.fsdecode(path))[1].lower()
    if suffix not in FORMATS:
        known = ", ".join(FORMATS)
        raise ValueError(f"{printable(path)} should end in one of {known}; got {escaped(suffix) or 'no suffix'}")
    return _module(FORMATS[suffix])


def _module(kind: str) -> ModuleType:
    return import_module(READERS[kind])


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[str]:
    """A path beside `path` to write to, which takes its place if the block succeeds and vanishes if not."""
    target = os.path.realpath(path)  # a symbolic link stays a link
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)} cannot be written: there is no folder {folder}")
    unfinished = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    try:
        with open(unfinished, "xb") as file:
            mode = os.fstat(file.fileno()).st_mode  # what the umask gives; safetensors would make it 0600
        if os.path.exists(target):
            mode = os.stat(target).st_mode
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave the new name on an empty file
        os.chmod(unfinished, mode & 0o7777)
        os.replace(unfinished, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
