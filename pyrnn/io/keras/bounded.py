"""Bounds how often and how much a parser that trusts its input reads from a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

READS = 5000  # A parser may read any file this often, and once more for every DENSITY bytes.
DENSITY = 16  # Files of Keras need one read for every 90 to 170 of their bytes.
COPIES = 4  # A parser may read the whole file this often: it reads some headers twice.


class Bounded:
    """Wraps a file opened for reading, so that wrong addresses and sizes in it cannot make a parser run without end.

    A pure-Python parser that follows addresses and sizes in a file reads before it does anything else. A limit on the
    number of reads therefore bounds its time, and one on their total length bounds its memory. A read beyond the end
    of the file raises ValueError instead of returning fewer bytes.

    Args:
        stream: the open file, which the caller closes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.length = stream, stream.seek(0, 2)
        self._reads, self._bytes = READS + self.length // DENSITY, COPIES * self.length + 2**20

    def seek(self, place: int) -> None:
        """Moves to a place that counts from the start of the file."""
        if not 0 <= place <= self.length:
            raise _damaged("an address lies outside the file")
        self._stream.seek(place)

    def tell(self) -> int:
        """Returns the current place, which counts from the start of the file."""
        return self._stream.tell()

    def read(self, size: int) -> bytes:
        """Reads exactly `size` bytes."""
        if not 0 <= size <= self.length - self._stream.tell():
            raise _damaged("a part of it reaches beyond the end of the file")
        self._reads -= 1
        self._bytes -= size
        if self._reads < 0 or self._bytes < 0:
            raise _damaged("its parts point at each other again and again")
        return self._stream.read(size)

    @contextmanager
    def at_most(self, reads: int) -> Iterator[None]:
        """Allows at most this many reads inside the block."""
        held = max(self._reads - reads, 0)
        self._reads -= held
        try:
            yield
        finally:
            self._reads += held


def _damaged(why: str) -> ValueError:
    return ValueError(f"its HDF5 data are damaged ({why})")
