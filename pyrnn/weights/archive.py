"""Reads untrusted zip archives: returns all records, or raises ValueError before it allocates memory for them."""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import IO, BinaryIO

from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import escaped, quoted

# A record's header has this many bytes before its name and extra field, and ends with the lengths of these two.
LOCAL_HEADER = 30
AT_ONCE = 2**20  # A deflated record is unpacked in parts of this many bytes.
DESCRIPTOR = 24  # At most this many bytes follow a record.

# zipfile raises these for archives that are damaged, encrypted or of an unknown kind, and for names not in UTF-8.
_DAMAGE = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
)


def read_records(
    source: str | BinaryIO,
    check_names: Callable[[list[str]], None] = lambda names: None,
    compressed: bool = False,
    budget: Budget | None = None,
) -> dict[str, bytes | bytearray]:
    """Reads the contents of every record, by name, and verifies the checksums.

    Args:
        source: the path of the archive, or a seekable binary file.
        check_names: is called with the names first, and raises to refuse the file.
        compressed: whether records may be deflated.
        budget: limits what the records may take; by default the length of the file sets the limit.

    Raises:
        ValueError: if the archive is damaged, or its records would take more than the budget.
    """
    with opened(source) as (file, archive):
        return dict(each_record(file, archive, check_names, compressed, budget or Budget(file.seek(0, 2))))


@contextmanager
def opened(source: str | BinaryIO) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
    """Yields the file and its archive; an error of zipfile inside the block becomes a ValueError."""
    if isinstance(source, str):
        with open(source, "rb") as file, opened(file) as both:
            yield both
        return
    try:
        with zipfile.ZipFile(source) as archive:
            yield source, archive
    except _DAMAGE as error:
        raise ValueError(f"its zip archive is damaged or encrypted ({escaped(error)})") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # A seek to a negative offset gives EINVAL; other errors come from the disk.
            raise
        raise ValueError("its zip archive is damaged (an offset is out of range)") from error


def each_record(
    file: BinaryIO,
    archive: zipfile.ZipFile,
    check_names: Callable[[list[str]], None],
    compressed: bool,
    budget: Budget,
) -> Iterator[tuple[str, bytes | bytearray]]:
    """Yields the name and contents of each record, after checking all of them."""
    entries = archive.infolist()
    check_names([entry.filename for entry in entries])
    _check(entries, compressed)
    _check_layout(file, entries, archive.start_dir)
    budget.spend(sum(entry.file_size for entry in entries), "the records of its zip archive")
    budget.check(max((entry.file_size for entry in entries), default=0), "a copy of its largest record")
    for entry in entries:
        yield entry.filename, _read(archive, entry)


def _check(entries: list[zipfile.ZipInfo], compressed: bool) -> None:
    if len({entry.filename for entry in entries}) != len(entries):
        raise ValueError("two records of its zip archive have the same name")
    for entry in entries:
        if entry.filename != entry.orig_filename:
            raise ValueError(f"the name of its record {quoted(entry.filename)} holds a NUL character")
        if compressed and entry.compress_type == zipfile.ZIP_DEFLATED:
            continue
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its record {quoted(entry.filename)} is compressed in a way this format does not use")
        if entry.compress_size != entry.file_size:
            raise ValueError(f"its record {quoted(entry.filename)} claims two different sizes")


def _check_layout(file: BinaryIO, entries: list[zipfile.ZipInfo], directory: int) -> None:
    """Checks that the records fill the file up to the directory: none overlaps, and the directory lists all."""
    end = 0
    for entry in sorted(entries, key=attrgetter("header_offset")):
        if not 0 <= entry.header_offset - end <= DESCRIPTOR:
            raise ValueError("records of its zip archive overlap or are missing")
        file.seek(entry.header_offset + LOCAL_HEADER - 4)
        name, extra = struct.unpack("<HH", file.read(4))
        end = entry.header_offset + LOCAL_HEADER + name + extra + entry.compress_size
    if not 0 <= directory - end <= DESCRIPTOR:
        raise ValueError("records of its zip archive overlap its directory or are missing")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes | bytearray:
    with archive.open(entry) as record:
        if entry.compress_type == zipfile.ZIP_STORED:
            data: bytes | bytearray = record.read(entry.file_size)
        else:
            data = _unpacked(record, entry.file_size)
    if len(data) != entry.file_size:
        raise ValueError(f"its record {quoted(entry.filename)} is cut short")
    return data


def _unpacked(record: IO[bytes], size: int) -> bytearray:
    """Unpacks at most `size` bytes of a deflated record, in one buffer: `record.read(size)` would need two."""
    data = bytearray(size)
    end = 0
    while part := record.read(min(AT_ONCE, size - end)):
        data[end : end + len(part)] = part
        end += len(part)
    del data[end:]
    return data
