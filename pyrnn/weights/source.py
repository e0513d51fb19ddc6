"""Opens a file that is given as a path, an open file or bytes, and recognises its format by its first bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

from pyrnn.checks.arguments import check_int
from pyrnn.checks.budget import Budget

from .kinds import HEAD, READERS, folder, kind_of

MOST_OF_A_PATH = 1000  # A sentence shows at most this many letters of a path.

File = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO


class Source:
    """Represents a file that is open for reading.

    Attributes:
        name: the path, for sentences, or "the file" for bytes and open files.
        path: the path; None for bytes and open files.
        file: the open binary file, which can seek.
        length: the length of the file in bytes.
        kind: the format, a key of READERS.
    """

    def __init__(self, name: str, path: str | None, file: BinaryIO, length: int, kind: str) -> None:
        self.name, self.path, self.file, self.length, self.kind = name, path, file, length, kind

    def budget(self, limit: int | None) -> Budget:
        """Makes the budget of the contents; raises ValueError if the file itself is longer than the limit."""
        budget = Budget(self.length, limit)
        budget.check(self.length, "the file as it is")
        return budget

    @contextmanager
    def on_disk(self) -> Iterator[str]:
        """Yields a path for readers that need one; for bytes and open files it is that of a temporary copy."""
        if self.path is not None:
            yield self.path
            return
        import tempfile  # The import is slow and seldom needed.

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, f"file.{self.kind}")
            with open(path, "wb") as file:
                self.file.seek(0)
                file.write(self.file.read())
            try:
                yield path
            except ValueError as error:
                raise ValueError(str(error).replace(path, self.name)) from error


@contextmanager
def opened(given: Any, limit: int | None = None) -> Iterator[Source]:
    """Opens the file and recognises its kind by its content.

    Args:
        given: a path, a file open in binary mode, or bytes.
        limit: the number of bytes that the file may have if it is open or bytes, or None.

    Raises:
        TypeError: if `given` is not a path, a binary file or bytes, or `limit` is not a number of bytes.
        ValueError: if pyrnn does not read such files; the message says what the file is.
        FileNotFoundError: if the file does not exist.
    """
    if limit is not None:
        check_int("limit", limit, least=0)
    if isinstance(given, (str, os.PathLike)) and isinstance(os.fspath(given), str):
        path = os.fspath(given)
        try:
            file = open(path, "rb")  # noqa: SIM115  (The block below closes it.)
        except OSError:
            if why := folder(path):
                raise ValueError(f"{printable(path)} cannot be loaded: {why}.") from None
            raise
        with file:
            yield _source(printable(path), path, file)
        return
    yield _source("the file", None, BytesIO(_content(given, limit)))


def named(given: File) -> str:
    """Returns what sentences call a file: its path, or "the file" for bytes and open files."""
    return printable(given) if isinstance(given, (str, os.PathLike)) else "the file"


def printable(path: str | os.PathLike[str]) -> str:
    """Returns a path for a sentence: bytes that are not text are escaped, and of a very long path the end is shown."""
    text = os.fspath(path).encode(errors="backslashreplace").decode()
    return text if len(text) <= MOST_OF_A_PATH else f"...{text[-MOST_OF_A_PATH:]}"


def _content(given: Any, limit: int | None) -> Any:
    if isinstance(given, (bytes, bytearray, memoryview)):
        return given
    if not hasattr(given, "read"):
        raise TypeError(
            f"expected a path, a file open for reading in binary mode, or bytes, got {type(given).__name__}"
        )
    try:
        content = given.read() if limit is None else given.read(limit + 1)
    except UnicodeDecodeError:
        content = ""  # The file is open as text.
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise TypeError('the file should be open in binary mode, open(path, "rb"): it gives text')
    try:
        Budget(0, limit if limit is not None else len(content)).check(len(content), "the file as it is")
    except ValueError as error:
        raise ValueError(f"the file cannot be loaded: {error}.") from error
    return content


def _source(name: str, path: str | None, file: BinaryIO) -> Source:
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    suffix = os.path.splitext(path)[1].lower() if path is not None else ""
    kind, refusal = kind_of(head, file, suffix)
    if kind not in READERS:
        raise ValueError(f"{name} cannot be loaded: {refusal}.")
    file.seek(0)
    return Source(name, path, file, length, kind)
