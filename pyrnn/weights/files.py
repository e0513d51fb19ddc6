"""Reads and writes state dicts: `.pt` and `.pth` (torch's own format, without torch), `.safetensors`, `.npz`.

The suffix chooses the format of a file that is written; the content tells that of a file that is read (kinds.py).
Files may come from strangers: the readers execute nothing in them and bound the memory they take by their size. A
ValueError names the file and says what is wrong with it.
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

# To add a format, write a module with load(file, budget) and save(state_dict, path), add its suffix here and its first
# bytes to kinds.py. The modules are imported at their first use: together they would double the time of `import
# pyrnn`.
FORMATS = {".pt": "pt", ".pth": "pt", ".safetensors": "safetensors", ".npz": "npz"}


def load_state_dict(path: File, *, limit: int | None = None) -> dict[str, Any]:
    """Reads the arrays of a weights file, by name; the content tells the format.

    Args:
        path: a file that torch.save (1.6 or later) wrote, whatever its name, or a `.safetensors` or `.npz` file. It is
            given as a path, as a file open in binary mode, or as bytes.
        limit: the number of bytes that its contents may take in memory; by default 64 times its length, and 16 MiB.

    Returns:
        A dict of names to arrays, which are writable and contiguous and share no memory. bfloat16, which NumPy lacks,
        becomes float32 (exactly); other dtypes stay. A nested `.pt` checkpoint comes back nested, as dicts, lists,
        tuples, sets, numbers, strings, bytes and None. Every other object becomes a `Placeholder`: nothing of it is
        executed or imported. The attribute `_metadata` holds the options that weights do not tell, if the file has
        them.

    Raises:
        ValueError: if the file is damaged, would take more than the limit, or has another format, which the message
            names.
        TypeError: if `path` is not a path, a binary file or bytes.
        FileNotFoundError: if the file does not exist.
        ImportError: if it is a `.safetensors` file and that package is not installed.

    >>> import numpy as np, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict({"weight": np.eye(2)}, f"{folder}/model.pt")
    ...     load_state_dict(f"{folder}/model.pt")
    {'weight': array([[1., 0.],
           [0., 1.]])}

    Source: https://docs.pytorch.org/docs/stable/generated/torch.load.html
    """
    with opened(path, limit) as source:
        if source.kind not in FORMATS.values():
            raise ValueError(
                f"{source.name} cannot be loaded: it holds a model ({source.kind}), and no state dict alone; read it "
                "with pyrnn.load(path), whose state_dict() has the arrays."
            )
        return arrays_of(source, limit)


def arrays_of(source: Source, limit: int | None) -> dict[str, Any]:
    """Reads the arrays of a file whose kind is one of FORMATS."""
    try:
        state_dict: dict[str, Any] = _module(source.kind).load(source.file, source.budget(limit))
    except ValueError as error:
        raise ValueError(f"{source.name} cannot be loaded: {error}.") from error
    return state_dict


def save_state_dict(state_dict: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes arrays by name to a file; the suffix chooses the format.

    The file appears whole or not at all: after an error an older file of that name is unchanged.

    Args:
        state_dict: maps names to array-likes (NumPy, torch tensors) of floats, ints or bools. torch's bfloat16 is
            stored as float32. For `.pt` it may also hold dicts, lists, tuples, numbers, strings and None.
        path: ends in `.pt` or `.pth` (which torch.load reads, also with weights_only=True), `.safetensors` or `.npz`.

    Raises:
        ValueError: if the suffix is unknown, or a name is too long or not valid Unicode.
        TypeError: if `state_dict` is not a mapping of strings, or a value or its dtype cannot be stored.
        OSError: if the file cannot be written.
        ImportError: if the suffix is `.safetensors` and that package is not installed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_state_dict({"bias": [0.5, 1.5]}, f"{folder}/model.npz")
    ...     load_state_dict(f"{folder}/model.npz")
    {'bias': array([0.5, 1.5])}

    Source: https://docs.pytorch.org/docs/stable/generated/torch.save.html
    """
    file_format = _format(path)
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict should be a mapping of names to arrays, got {type(state_dict).__name__}")
    check_keys(state_dict)
    with replaced(path) as unfinished:
        file_format.save(state_dict, unfinished)


MAX_NAME = 10_000  # A name has at most this many letters; a zip archive has room for 65,535 bytes.


def check_keys(arrays: Mapping[str, Any]) -> None:
    """Raises TypeError or ValueError for a name of an array that a file cannot hold."""
    for name in arrays:
        if not isinstance(name, str):
            raise TypeError(f"the names in a state_dict should be strings, got {quoted(name)}")
        if len(name) > MAX_NAME or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise ValueError(f"the name {quoted(name)} should have at most {MAX_NAME} letters, and no lone surrogate")


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
    """Yields a path beside `path` to write to; it replaces `path` if the block succeeds, and is deleted otherwise."""
    target = os.path.realpath(path)  # A symbolic link stays a link.
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{os.fspath(path)} cannot be written: there is no folder {folder}")
    unfinished = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    try:
        with open(unfinished, "xb") as file:
            mode = os.fstat(file.fileno()).st_mode  # The umask sets this mode; safetensors would write 0600.
        if os.path.exists(target):
            mode = os.stat(target).st_mode
        yield unfinished
        with open(unfinished, "rb+") as file:
            os.fsync(file.fileno())  # Without it, a power cut could leave an empty file under the new name.
        os.chmod(unfinished, mode & 0o7777)
        os.replace(unfinished, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
