"""Zip archives from strangers: all records of one, or a ValueError before memory is taken for them."""

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

LOCAL_HEADER = 30  # bytes in front of a record's name and extra field; it ends with their lengths
AT_ONCE = 2**20  # bytes of a record that are unpacked in one go
DESCRIPTOR = 24  # bytes, at most, that may follow a record

# What zipfile raises at damaged, encrypted and unknown archives, and at names that are no UTF-8.
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
    """Contents of every record by name, checksums verified.

    Args:
        source: path of the archive, or a file that can seek.
        check_names: called with the names before anything else is looked at; raises to refuse the file.
        compressed: whether records may be deflated.
        budget: what the records may take; by default, what the length of the file allows.
    """
    with opened(source) as (file, archive):
        return dict(each_record(file, archive, check_names, compressed, budget or Budget(file.seek(0, 2))))


@contextmanager
def opened(source: str | BinaryIO) -> Iterator[tuple[BinaryIO, zipfile.ZipFile]]:
    """The file and its archive; inside the block, what zipfile says of damage becomes a ValueError."""
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
        if error.errno != errno.EINVAL:  # a seek to a negative offset; the rest is the disk's
            raise
        raise ValueError("its zip archive is damaged (an offset is out of range)") from error


def each_record(
    file: BinaryIO,
    archive: zipfile.ZipFile,
    check_names: Callable[[list[str]], None],
    compressed: bool,
    budget: Budget,
) -> Iterator[tuple[str, bytes | bytearray]]:
    """Name and contents of one record after the other. All are checked before the first is read."""
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
    """The records should fill the file up to the directory: none overlaps, and the directory misses none."""
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
    """At most `size` bytes of a deflated record, held once: `record.read(size)` would hold them twice on the way."""
    data = bytearray(size)
    end = 0
    while part := record.read(min(AT_ONCE, size - end)):
        data[end : end + len(part)] = part
        end += len(part)
    del data[end:]
    return data
