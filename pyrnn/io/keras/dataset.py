"""Reads HDF5 datasets: contiguous, compact, or in chunks packed by deflate, shuffle and fletcher32."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from pyfive.btree import BTreeV1RawDataChunks

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.quoting import quoted

from .objects import Objects

# HDF5 numbers the types of an object's messages like this.
DATASPACE, DATATYPE, FILL_VALUE, EXTERNAL, LAYOUT, FILTERS = 1, 3, 5, 7, 8, 11
COMPACT, CONTIGUOUS, CHUNKED = 0, 1, 2  # These are HDF5's layouts of an array.
DEFLATE, KNOWN = 1, {1, 2, 3}  # These number filters: deflate, shuffle and fletcher32 are 1 to 3.
OTHERS = {4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle",
          32013: "zfp", 32015: "zstd", 32026: "blosc2"}  # fmt: skip
MAX_FILTERS = 8
MAX_AXES = 32  # HDF5 allows arrays of this many axes.
NOWHERE = 2**64 - 1  # An array that was never written has this address.

# This maps the size in bytes to IEEE's format: the place of the sign; then the bit offset, the bits, the place and
# width of the exponent, the place and width of the mantissa, and the bias of the exponent.
FLOATS = {
    2: (15, (0, 16, 10, 5, 0, 10, 15)),
    4: (31, (0, 32, 23, 8, 0, 23, 127)),
    8: (63, (0, 64, 52, 11, 0, 52, 1023)),
}


def is_dataset(objects: Objects) -> bool:
    """Tells whether an object is a dataset and not a group."""
    return bool(objects.find_msg_type(DATASPACE))


def read_array(objects: Objects, path: str, budget: Budget) -> Array:
    """Reads the numbers of a dataset.

    Args:
        objects: the messages of the dataset.
        path: its name in sentences.
        budget: is spent before memory is allocated.

    Returns:
        The array, in the byte order of the file.

    Raises:
        ValueError: if it does not hold real numbers, lies in another file, is packed by an unknown filter, or has
            parts of a wrong length.
    """
    dtype, shape = _dtype(objects, path), objects.shape
    if shape is None or len(shape) > MAX_AXES:
        raise ValueError(f"its array {quoted(path)} should have 0 to {MAX_AXES} axes")
    what = f"its array {quoted(path)} of shape {tuple(shape)}"
    if objects.find_msg_type(EXTERNAL):
        raise ValueError(f"{what} lies in another file")
    version, kind, where = _layout(objects)
    if kind > CHUNKED:
        raise ValueError(f"{what} lies in another file")
    if version != 3 and (version != 4 or kind == CHUNKED):
        raise ValueError(
            f"{what} lies in chunks of the newer kind of HDF5, which Keras does not write: save it again, with "
            'libver="earliest" of h5py.File'
        )
    if kind == CHUNKED:
        return _Chunks(objects, dtype, shape, what).array(where, budget)
    budget.spend(_taken(shape, dtype), what)
    data = _plain(objects, kind, where)
    if data is None:
        return _filled(objects, dtype, shape)
    if len(data) != prod(shape) * dtype.itemsize:
        raise ValueError(f"{what} should have {prod(shape) * dtype.itemsize} bytes, and {len(data)} are there")
    return np.frombuffer(data, dtype).reshape(shape)


def _dtype(objects: Objects, path: str) -> np.dtype[Any]:
    """Returns the NumPy dtype of real numbers of 1 to 8 bytes."""
    place = objects.find_msg_type(DATATYPE)[0]["offset_to_message"]
    kind, bits, sign, _, size = struct.unpack_from("<BBBBI", objects.msg_data, place)
    is_float, is_int = kind & 15 == 1, kind & 15 == 0
    rest = struct.unpack_from("<HHBBBBI" if is_float else "<HH", objects.msg_data, place + 8)
    fits = is_int and bits & ~9 == 0 and size in (1, 2, 4, 8) and rest == (0, 8 * size)
    if is_float:
        fits = bits & ~1 == 0x20 and FLOATS.get(size) == (sign, rest)
    if not fits:
        raise ValueError(f"its array {quoted(path)} is of another type; only real numbers of IEEE are loaded")
    letter = "f" if is_float else "i" if bits & 8 else "u"
    return np.dtype(f"{'>' if bits & 1 else '<'}{letter}{size}")


def _taken(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Counts the bytes that an array takes as it is read and in its layer."""
    return prod(shape) * (dtype.itemsize + max(dtype.itemsize, 4))


def _layout(objects: Objects) -> tuple[int, int, int]:
    """Returns the version, the class, and the offset of the rest in the message."""
    place = objects.find_msg_type(LAYOUT)[0]["offset_to_message"]
    version, kind = struct.unpack_from("<BB", objects.msg_data, place)
    return version, kind, place + 2


def _plain(objects: Objects, kind: int, where: int) -> bytes | None:
    """Returns the bytes of an array in one piece; None if they were never written."""
    if kind == COMPACT:
        (size,) = struct.unpack_from("<H", objects.msg_data, where)
        return bytes(objects.msg_data[where + 2 : where + 2 + size])
    address, size = struct.unpack_from("<QQ", objects.msg_data, where)
    if address == NOWHERE:
        return None
    objects.reading.seek(address)
    return objects.reading.read(size)


def _filled(objects: Objects, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Makes an array of the value that stands for numbers that were never written."""
    value = objects.fillvalue if objects.find_msg_type(FILL_VALUE) else 0
    return np.full(shape, value, dtype)


class _Chunks:
    """Reads a dataset in chunks of one shape, which may reach beyond its edges.

    Args:
        objects: the messages of the dataset.
        dtype: its dtype.
        shape: its shape.
        what: its name in sentences.
    """

    def __init__(self, objects: Objects, dtype: np.dtype[Any], shape: tuple[int, ...], what: str) -> None:
        self._objects, self._dtype, self._shape, self._what = objects, dtype, shape, what
        self._filters = [entry["filter_id"] for entry in objects.filter_pipeline or ()]
        if len(self._filters) > MAX_FILTERS:
            raise ValueError(f"{what} is packed by {len(self._filters)} filters; at most {MAX_FILTERS} are undone")
        for number in self._filters:
            if number not in KNOWN:
                raise ValueError(
                    f"{what} is packed by {OTHERS.get(number, f'the filter {number} of HDF5')}; deflate (gzip), "
                    'shuffle and fletcher32 are undone: write it again with compression="gzip" of h5py, or with none'
                )

    def array(self, where: int, budget: Budget) -> Array:
        """Reads all chunks into one array."""
        axes, address = struct.unpack_from("<BQ", self._objects.msg_data, where)
        *chunk, size = struct.unpack_from(f"<{axes}I", self._objects.msg_data, where + 9)
        if len(chunk) != len(self._shape) or size != self._dtype.itemsize or not all(chunk):
            raise ValueError(f"{self._what} does not fit its chunks of {chunk}")
        length = prod(chunk) * size
        found = [] if address == NOWHERE else list(self._found(address, axes))
        # A chunk at an edge counts as a whole one, since it is unpacked as a whole.
        taken = max(_taken(self._shape, self._dtype), len(found) * length)
        budget.spend(taken, f"{self._what} in chunks of {chunk}")
        array = _filled(self._objects, self._dtype, self._shape)
        for start, mask, place, packed in found:
            self._objects.reading.seek(place)
            data = self._unpacked(self._objects.reading.read(packed), mask, length)
            target = array[tuple(slice(begin, begin + n) for begin, n in zip(start, chunk, strict=True))]
            whole = np.frombuffer(data, self._dtype).reshape(chunk)
            target[...] = whole[tuple(map(slice, target.shape))]
        return array

    def _found(self, address: int, axes: int) -> Iterator[tuple[tuple[int, ...], int, int, int]]:
        """Yields (start in the array, mask of filters, place in the file, bytes there) of every chunk."""
        tree = BTreeV1RawDataChunks(self._objects.reading, address, axes)
        seen = set()
        for node in tree.all_nodes[0]:
            for key, place in zip(node["keys"], node["addresses"], strict=True):
                start = key["chunk_offset"][:-1]
                if start in seen or any(begin >= n for begin, n in zip(start, self._shape, strict=True)):
                    raise ValueError(f"{self._what} has a chunk at {start} that does not belong there")
                seen.add(start)
                yield start, key["filter_mask"], place, key["chunk_size"]

    def _unpacked(self, data: bytes, mask: int, length: int) -> bytes:
        """Undoes the filters of a chunk; raises ValueError unless the result has `length` bytes."""
        for place in reversed(range(len(self._filters))):
            if mask >> place & 1:
                continue
            name = self._filters[place]
            if name == DEFLATE:
                # Another filter may have added bytes of its own.
                data = self._inflated(data, length + length // 1000 + 1024)
            else:
                data = self._filtered(data, name)
        if len(data) != length:
            raise ValueError(f"{self._what} has a chunk of {len(data)} bytes, where {length} are expected")
        return data

    def _filtered(self, data: bytes, name: int) -> bytes:
        """Undoes shuffle or fletcher32."""
        try:
            return bytes(BTreeV1RawDataChunks._filter_chunk(data, 0, [{"filter_id": name}], self._dtype.itemsize))
        except ValueError as error:
            raise ValueError(f"{self._what} has a chunk whose checksum is wrong") from error

    def _inflated(self, data: bytes, most: int) -> bytes:
        stream = zlib.decompressobj()
        found = stream.decompress(data, most + 1)
        if len(found) > most or not stream.eof or stream.unused_data:
            raise ValueError(f"{self._what} has a chunk that does not unpack to its size")
        return found
