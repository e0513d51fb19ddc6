"""Turns what a pickle describes into plain data, in new containers and arrays that share no memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pyrnn.checks.arrays import Array
from pyrnn.checks.budget import Budget
from pyrnn.checks.placeholder import Placeholder
from pyrnn.checks.quoting import brief, quoted

from ..arrays import MAX_AXES, STORED, decoded
from ..state_dict import as_state_dict, checked
from .objects import DICTS, SETS, Bytes, Made, Name, NumPyArray, NumPyType, Storage, Tensor
from .unpickled import MAX_DEPTH

OBJECT = 100  # A small object takes this many bytes; a few bytes of pickle can describe 2^100 of them.
REAL = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")  # These are NumPy's codes.


class Tree:
    """Makes the values of one file, whose records hold the numbers of its tensors."""

    def __init__(self, records: Mapping[str, bytes], budget: Budget) -> None:
        order = records.get("byteorder", b"little")
        if order not in (b"little", b"big"):
            raise ValueError(f"its record byteorder says {brief(order[:20])} where little or big was expected")
        self.byteorder: Literal["<", ">"] = "<" if order == b"little" else ">"
        self.records = records
        self.budget = budget
        self._open: set[int] = set()  # These are the containers around the value that is being made.

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Returns dicts, lists, tuples, sets, numbers, texts, bytes, arrays, and placeholders for other values."""
        self._spend(OBJECT)
        if isinstance(value, (Made, list, tuple)):
            return self._container(value, depth)
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, NumPyArray):
            return self._numpy(value)
        if isinstance(value, (Bytes, bytearray)):
            return self._bytes(value)
        if isinstance(value, Name):
            return Placeholder(value.text)
        if isinstance(value, (Storage, NumPyType)):
            return Placeholder(value.name if isinstance(value, Storage) else "numpy.dtype")
        return value

    def _container(self, value: Any, depth: int) -> Any:
        """Makes a container; one that contains itself or is nested too deeply becomes a placeholder."""
        kind = value.name if isinstance(value, Made) else type(value).__name__
        if id(value) in self._open:
            return Placeholder(f"a {kind} that contains itself")
        if depth > MAX_DEPTH:
            return Placeholder(f"a {kind} nested more than {MAX_DEPTH} deep")
        self._open.add(id(value))
        try:
            if isinstance(value, Made):
                return self._object(value, depth)
            return type(value)(self.plain(item, depth + 1) for item in value)
        finally:
            self._open.remove(id(value))

    def _object(self, made: Made, depth: int) -> Any:
        if made.items is not None or made.name in DICTS:
            items = made.items or []
            keys, values = items[::2], (self.plain(item, depth + 1) for item in items[1::2])
            found = {self._key(key, depth + 1): value for key, value in zip(keys, values, strict=True)}
            metadata = {} if made.metadata is None else checked(self.plain(made.metadata, depth + 1))
            return as_state_dict(found, metadata) if metadata else found
        if made.name in SETS:
            return SETS[made.name](self._key(item, depth + 1) for item in made.elements or ())
        if made.elements is not None:
            return [self.plain(item, depth + 1) for item in made.elements]
        return Placeholder(made.name)

    def _key(self, value: Any, depth: int) -> Any:
        """Returns the value as a key, or a placeholder if it cannot be hashed."""
        if isinstance(value, str):
            return value
        key = self.plain(value, depth)
        try:
            hash(key)
        except TypeError:
            return Placeholder(f"{type(key).__name__} as a key")
        return key

    def _bytes(self, value: Bytes | bytearray) -> bytes | bytearray:
        text, kind = (value.text, value.kind) if isinstance(value, Bytes) else (value, bytearray)
        self._spend(2 * len(text))
        try:
            return kind(text.encode("latin1") if isinstance(text, str) else text)  # type: ignore[no-any-return]
        except UnicodeEncodeError as error:
            raise ValueError("its pickle writes bytes as a text that holds others") from error

    def _numpy(self, value: NumPyArray) -> Any:
        dtype, shape = value.dtype, value.shape
        if not isinstance(dtype, NumPyType) or dtype.code not in REAL:
            return Placeholder("numpy.ndarray" if not value.is_number else "a NumPy scalar that is no real number")
        data = self._bytes(value.data) if isinstance(value.data, Bytes) else value.data
        stored = np.dtype("u1" if dtype.code == "b1" else dtype.code)
        whole = isinstance(shape, tuple) and all(type(length) is int and length >= 0 for length in shape)
        if not whole or len(shape) > MAX_AXES or not isinstance(data, (bytes, bytearray)):
            raise ValueError("a NumPy array in its pickle is described by something else than shape and bytes")
        if math.prod(shape) * stored.itemsize != len(data):
            raise ValueError("a NumPy array in its pickle claims a shape that is not the size of its bytes")
        self._spend(2 * len(data))
        stored = stored.newbyteorder(">" if dtype.order == ">" else "<")
        flat = np.frombuffer(data, stored) if data else np.empty(0, stored)
        array = decoded(flat.reshape(shape, order="F" if value.fortran else "C"), np.dtype(dtype.code).name)
        return array.item() if value.is_number else array

    def _tensor(self, tensor: Tensor) -> Array:
        key = tensor.storage.key
        data = self.records.get(f"data/{key}")
        if data is None:
            raise ValueError(f"the record {quoted(f'data/{key}')} of a tensor is missing")
        stored = np.dtype(STORED[tensor.dtype]).newbyteorder(self.byteorder)
        if len(data) != tensor.storage.count * (stored.itemsize if tensor.storage.dtype else 1):
            raise ValueError(
                f"its record {quoted(f'data/{key}')} has {len(data)} bytes, and its pickle claims another size"
            )
        if 0 in tensor.size:
            return decoded(np.empty(tensor.size, stored), tensor.dtype)
        steps = [step if n > 1 else 0 for n, step in zip(tensor.size, tensor.stride, strict=True)]
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, steps, strict=True))
        if (last + 1) * stored.itemsize > len(data):
            raise ValueError(f"a tensor reaches beyond the end of its record {quoted(f'data/{key}')}")
        self._spend(2 * stored.itemsize * math.prod(tensor.size))
        start, strides = tensor.offset * stored.itemsize, [step * stored.itemsize for step in steps]
        return decoded(np.ndarray(tensor.size, stored, data, start, strides), tensor.dtype)

    def _spend(self, size: int) -> None:
        self.budget.spend(size, "what its pickle describes")
