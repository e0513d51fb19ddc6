"""Bounded: a file for a parser that trusts what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

READS = 5000  # of any file, and one more for every DENSITY bytes
DENSITY = 16  # bytes; files of Keras take a read for every 90 to 170 bytes of theirs
COPIES = 4  # of the whole file: a parser looks at some headers twice


class Bounded:
    """A file opened for reading, in which neither a loop nor a size out of the file goes on without end.

    A pure-Python parser that follows addresses and sizes out of a file reads before it does anything else. So a limit
    on the number of reads bounds its time, and one on their total bounds its memory. A read beyond the end of the file
    raises ValueError instead of giving fewer bytes.

    Args:
        stream: the file; it stays the caller's to close.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.length = stream, stream.seek(0, 2)
        self._reads, self._bytes = READS + self.length // DENSITY, COPIES * self.length + 2**20

    def seek(self, place: int) -> None:
        """Goes to a place, counted from the start of the file."""
        if not 0 <= place <= self.length:
            raise _damaged("an address lies outside the file")
        self._stream.seek(place)

    def tell(self) -> int:
        """The place, counted from the start of the file."""
        return self._stream.tell()

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        if not 0 <= size <= self.length - self._stream.tell():
            raise _damaged("a part of it reaches beyond the end of the file")
        self._reads -= 1
        self._bytes -= size
        if self._reads < 0 or self._bytes < 0:
            raise _damaged("its parts point at each other again and again")
        return self._stream.read(size)

    @contextmanager
    def at_most(self, reads: int) -> Iterator[None]:
        """Inside the block only so many reads are allowed."""
        held = max(self._reads - reads, 0)
        self._reads -= held
        try:
            yield
        finally:
            self._reads += held


def _damaged(why: str) -> ValueError:
    return ValueError(f"its HDF5 data are damaged ({why})")
