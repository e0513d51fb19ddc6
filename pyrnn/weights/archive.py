"""Zip archives from strangers: all records of one, or a ValueError before memory is taken for them."""

from __future__ import annotations

import errno
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from operator import attrgetter
from typing import BinaryIO

HARMLESS = 2**24  # bytes that any file may take
LOCAL_HEADER = 30  # bytes in front of a record's name and extra field; it ends with their lengths
DESCRIPTOR = 24  # bytes, at most, that may follow a record

# What zipfile raises at damaged, encrypted and unknown archives, and at names that are no UTF-8.
_DAMAGE = (
    zipfile.BadZipFile,
    EOFError,
    OverflowError,
    RuntimeError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
)


def allowance(path: str) -> int:
    """Bytes that the contents of a file may take in memory.

    Compressed zeros and tensors that share a storage honestly take more than the file; 64 times its size is
    beyond any real one.
    """
    return 64 * os.path.getsize(path) + HARMLESS


def read_records(
    path: str, check_names: Callable[[list[str]], None] = lambda names: None, compressed: bool = False
) -> dict[str, bytes]:
    """Contents of every record by name, checksums verified.

    Args:
        path: of the archive.
        check_names: called with the names before anything else is looked at; raises to refuse the file.
        compressed: whether records may be deflated.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                check_names([entry.filename for entry in entries])
                _check(entries, compressed)
                _check_layout(file, entries, archive.start_dir)
                if sum(entry.file_size for entry in entries) > allowance(path):
                    raise ValueError("its records would unpack to more than 64 times the size of the file")
                return {entry.filename: _read(archive, entry) for entry in entries}
        except _DAMAGE as error:
            raise ValueError(f"its zip archive is damaged or encrypted ({error})") from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # a seek to a negative offset; the rest is the disk's
                raise
            raise ValueError("its zip archive is damaged (an offset is out of range)") from error


def _check(entries: list[zipfile.ZipInfo], compressed: bool) -> None:
    if len({entry.filename for entry in entries}) != len(entries):
        raise ValueError("two records of its zip archive have the same name")
    for entry in entries:
        if entry.filename != entry.orig_filename:
            raise ValueError(f"the name of its record {entry.filename[:100]!r} holds a NUL character")
        if compressed and entry.compress_type == zipfile.ZIP_DEFLATED:
            continue
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its record {entry.filename[:100]!r} is compressed in a way this format does not use")
        if entry.compress_size != entry.file_size:
            raise ValueError(f"its record {entry.filename[:100]!r} claims two different sizes")


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


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as record:
        data = record.read(entry.file_size)  # without a size it would unpack a bomb and then cut it
    if len(data) != entry.file_size:
        raise ValueError(f"its record {entry.filename[:100]!r} is cut short")
    return data
