"""Parses the objects of an HDF5 file, groups and datasets, with pyfive, within limits of time and memory.

pyfive trusts the file: a wrong count, size or address may make it allocate without limit or loop without end. Each
override here closes one such way. `Bounded` limits what pyfive reads; the limits below bound its work on what it has
read.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyfive.btree import BTreeV1Groups
from pyfive.dataobjects import DataObjects
from pyfive.misc_low_level import FORMAT_SIGNATURE, GlobalHeap, Heap, SuperBlock, SymbolTable
from pyfive.p5t import P5StringType, P5VlenStringType

from pyrnn.checks.quoting import quoted

from .bounded import Bounded

MAX_HEADER = 2**19  # An object's messages take at most this many bytes; an attribute has at most 2^16.
MAX_BLOCKS = 100  # The messages lie in at most this many blocks.
MAX_NAME = 1000  # A name has at most this many bytes.
MAX_STRINGS = 10_000  # One attribute has at most this many strings.
# A fractal heap and its B-tree take at most this many reads: pyfive searches a list of all blocks for each entry.
DENSE = 12_000
MAX_DEPTH = 8  # A B-tree has at most this many levels: each has hundreds of times as many entries as the one above.


class NoText:
    """Replaces the value of an attribute that is neither a string nor an array of strings."""


class Objects(DataObjects):  # type: ignore[misc]  # pyfive has no types
    """Holds the messages of one object: a group or a dataset.

    Args:
        file: the file to read.
        address: the address of the object's header.
        wanted: a regular expression's `fullmatch`; only attributes whose names it accepts are parsed.
    """

    def __init__(self, file: Bounded, address: int, wanted: Any) -> None:
        self._wanted, self._named = wanted, set[str]()
        self.reading = file
        with file.at_most(MAX_BLOCKS):
            super().__init__(_Header(file), address)
        self.fh: Any = file
        for message in self.msgs:
            if message["flags"] & 2:
                raise ValueError("an object of it shares its description with another (a committed datatype)")

    def _parse_attribute_msg(self, buffer: bytes, offset: int) -> tuple[str, Any]:
        version, _, size = struct.unpack_from("<BBH", buffer, offset)
        start = offset + (9 if version == 3 else 8)
        name = buffer[start : start + min(size, MAX_NAME)].strip(b"\0").decode()
        if not self._wanted(name):
            return "", None
        if name in self._named:
            raise ValueError(f"two attributes have the name {quoted(name)}")
        self._named.add(name)
        with warnings.catch_warnings(action="ignore"):  # pyfive warns of a datatype that it does not know.
            found: tuple[str, Any] = super()._parse_attribute_msg(buffer, offset)
        return found

    def _attr_value(self, ptype: Any, buf: bytes, count: int, offset: int) -> Any:
        """Returns the strings as a list of bytes, and NoText for any other value."""
        if not count:
            return []
        if not isinstance(ptype, P5StringType):
            return [NoText()]
        varies = isinstance(ptype, P5VlenStringType)
        size = 16 if varies else ptype.fixed_size
        if not 0 <= count <= MAX_STRINGS or count * size > len(buf) - offset:
            raise ValueError(f"an attribute claims to have {count} strings, which are not there")
        places = range(offset, offset + count * size, size) if size else [offset] * count
        if varies:
            return [self._varying(buf, place) for place in places]
        return [buf[place : place + size].rstrip(b"\0") for place in places]

    def _varying(self, buf: bytes, place: int) -> bytes:
        (address,) = struct.unpack_from("<Q", buf, place + 4)
        if address and address not in self._global_heaps:
            self._global_heaps[address] = _Strings(self.fh, address)
        size, data = self._vlen_size_and_data(buf, place)
        if size > len(data or b""):
            raise ValueError(f"a string claims to have {size} bytes, and {len(data or b'')} are there")
        return bytes(data[:size]) if size else b""

    def _get_attributes_from_attr_info(self, attrs: Any, attr_info: Any) -> Any:
        with _dense(self):
            return super()._get_attributes_from_attr_info(attrs, attr_info)

    def _iter_links_btree_v1(self, btree_address: int, heap_address: int) -> Iterator[tuple[str, Any]]:
        tree, heap = BTreeV1Groups(self.fh, btree_address), _Names(self.fh, heap_address)
        for address in tree.symbol_table_addresses():
            table = SymbolTable(self.fh, address)
            table.assign_name(heap)
            yield from table.get_links(heap).items()

    def _iter_links_btree_v2(self, *addresses: Any) -> Iterator[tuple[str, Any]]:
        with _dense(self):
            yield from super()._iter_links_btree_v2(*addresses)

    @staticmethod
    def _decode_link_msg(data: bytes, offset: int) -> Any:
        has_kind, kind = data[offset + 1] & 8, data[offset + 2]
        if has_kind and kind > 1:
            raise ValueError("an entry of it is a link to another file, which is not followed")
        found = DataObjects._decode_link_msg(data, offset)
        if len(found[1][0]) > MAX_NAME:
            raise ValueError(f"a name of it has more than {MAX_NAME} letters")
        return found


class _Header:
    """Wraps the file while pyfive collects the messages of an object, which it appends to one growing string."""

    def __init__(self, file: Bounded) -> None:
        self._file, self._left = file, MAX_HEADER
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"the description of an object takes more than {MAX_HEADER} bytes")
        return self._file.read(size)


class _Shallow:
    """Wraps the file while pyfive reads a fractal heap or a B-tree of version 2, and limits the depth of trees."""

    def __init__(self, file: Bounded) -> None:
        self._file = file
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if data.startswith(b"BTHD") and len(data) > 14 and int.from_bytes(data[12:14], "little") > MAX_DEPTH:
            raise ValueError(f"a B-tree of it is more than {MAX_DEPTH} deep")
        return data


class _Names(Heap):  # type: ignore[misc]
    """Holds the names of a group."""

    def get_object_name(self, offset: int) -> bytes:
        end = self.data.find(b"\0", offset, offset + MAX_NAME + 1)
        if end < 0:
            raise ValueError(f"a name of it has more than {MAX_NAME} bytes")
        return bytes(self.data[offset:end])


class _Strings(GlobalHeap):  # type: ignore[misc]
    """Holds strings of varying length that lie together, and checks the size of the free space behind them."""

    def __init__(self, file: Bounded, address: int) -> None:
        super().__init__(file, address)
        used = sum(16 + -(-len(data) // 8) * 8 for data in self.objects.values())
        free = self.heap_data[used : used + 16]
        if len(free) == 16 and int.from_bytes(free[8:], "little") != len(self.heap_data) - used:
            raise ValueError("its HDF5 data are damaged (strings of attributes overlap)")


@contextmanager
def _dense(objects: Objects) -> Iterator[None]:
    """Limits the reads inside the block, in which many attributes or links are read from fractal heaps (new files)."""
    objects.fh = _Shallow(objects.reading)
    try:
        with objects.reading.at_most(DENSE):
            yield
    finally:
        objects.fh = objects.reading


def root_address(file: Bounded) -> int:
    """Returns the address of the root group."""
    file.seek(0)
    if file.read(8) != FORMAT_SIGNATURE:
        raise ValueError("its HDF5 data are damaged (it does not begin as HDF5 files do)")
    block = SuperBlock(file, 0)
    if block._contents["base_address"]:
        raise ValueError("its addresses do not count from its start")
    if block._contents["end_of_file_address"] > file.length:
        raise ValueError("its HDF5 data are damaged (it is cut short)")
    return int(block.offset_to_dataobjects)
