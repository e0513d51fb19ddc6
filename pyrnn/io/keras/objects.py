"""The objects of an HDF5 file, groups and datasets, as pyfive parses them, within limits of time and memory.

pyfive trusts the file: where a count, a size or an address is a lie it may take memory or go round without end. Each
override here closes one such way. `Bounded` closes those in which it reads; the limits below are for work that it does
on what it has read.
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

MAX_HEADER = 2**19  # bytes of an object's messages; an attribute has at most 2^16
MAX_BLOCKS = 100  # that they are scattered over
MAX_NAME = 1000  # bytes
MAX_STRINGS = 10_000  # in one attribute
DENSE = 12_000  # reads of a fractal heap and its B-tree: pyfive looks for each entry in a list of all blocks
MAX_DEPTH = 8  # of a B-tree: each level has hundreds of times as many entries as the one above


class NoText:
    """In place of the value of an attribute that is neither a string nor an array of strings."""


class Objects(DataObjects):  # type: ignore[misc]  # pyfive has no types
    """The messages of one object: a group or a dataset.

    Args:
        file: what it is read from.
        address: of its header.
        wanted: a regular expression's `fullmatch`, which says the names of attributes that are parsed.
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
        with warnings.catch_warnings(action="ignore"):  # pyfive warns of a datatype that it does not know
            found: tuple[str, Any] = super()._parse_attribute_msg(buffer, offset)
        return found

    def _attr_value(self, ptype: Any, buf: bytes, count: int, offset: int) -> Any:
        """The strings as a list of bytes; NoText for all else."""
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
    """The file while pyfive collects the messages of an object, which it does by adding to one string."""

    def __init__(self, file: Bounded) -> None:
        self._file, self._left = file, MAX_HEADER
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise ValueError(f"the description of an object takes more than {MAX_HEADER} bytes")
        return self._file.read(size)


class _Shallow:
    """The file while pyfive reads a fractal heap or a B-tree of version 2, whose depth it computes with."""

    def __init__(self, file: Bounded) -> None:
        self._file = file
        self.seek = file.seek

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if data.startswith(b"BTHD") and len(data) > 14 and int.from_bytes(data[12:14], "little") > MAX_DEPTH:
            raise ValueError(f"a B-tree of it is more than {MAX_DEPTH} deep")
        return data


class _Names(Heap):  # type: ignore[misc]
    """The names of a group."""

    def get_object_name(self, offset: int) -> bytes:
        end = self.data.find(b"\0", offset, offset + MAX_NAME + 1)
        if end < 0:
            raise ValueError(f"a name of it has more than {MAX_NAME} bytes")
        return bytes(self.data[offset:end])


class _Strings(GlobalHeap):  # type: ignore[misc]
    """The strings of varying length that lie together; what is free behind them says how much that is."""

    def __init__(self, file: Bounded, address: int) -> None:
        super().__init__(file, address)
        used = sum(16 + -(-len(data) // 8) * 8 for data in self.objects.values())
        free = self.heap_data[used : used + 16]
        if len(free) == 16 and int.from_bytes(free[8:], "little") != len(self.heap_data) - used:
            raise ValueError("its HDF5 data are damaged (strings of attributes overlap)")


@contextmanager
def _dense(objects: Objects) -> Iterator[None]:
    """While many attributes or links are read, which new files keep in fractal heaps."""
    objects.fh = _Shallow(objects.reading)
    try:
        with objects.reading.at_most(DENSE):
            yield
    finally:
        objects.fh = objects.reading


def root_address(file: Bounded) -> int:
    """The address of the root group."""
    file.seek(0)
    if file.read(8) != FORMAT_SIGNATURE:
        raise ValueError("its HDF5 data are damaged (it does not begin as HDF5 files do)")
    block = SuperBlock(file, 0)
    if block._contents["base_address"]:
        raise ValueError("its addresses do not count from its start")
    if block._contents["end_of_file_address"] > file.length:
        raise ValueError("its HDF5 data are damaged (it is cut short)")
    return int(block.offset_to_dataobjects)
