"""torch's .pt and .pth, without torch: a zip of one pickle and a record of raw bytes per storage."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pyrnn.module import Array
from pyrnn.weights.archive import LOCAL_HEADER, allowance, read_records
from pyrnn.weights.arrays import STORED, decoded
from pyrnn.weights.pickled import dumps
from pyrnn.weights.unpickled import MAX_DEPTH, Name, Storage, Tensor, loads

MAX_PICKLE = 2**24  # bytes: 100 000 tensors; the worst that so many can describe takes about a gigabyte
ALIGNMENT = 64  # of the records in the file, as torch's


def load(path: str) -> dict[str, Any]:
    """Reads what torch.save (1.6 and later) was given: a state dict, or a checkpoint that holds some."""
    _refuse_older_formats(path)
    records = {name.partition("/")[2]: data for name, data in read_records(path, _check_names).items()}
    pickled = records["data.pkl"]
    if len(pickled) > MAX_PICKLE:
        raise ValueError(f"its pickle has {len(pickled)} bytes; more than {MAX_PICKLE} are not taken")
    tree = _Tree(records, allowance(path)).plain(loads(pickled))
    if not isinstance(tree, dict) or not all(isinstance(name, str) for name in tree):
        raise ValueError(f"it holds a {type(tree).__name__} where a dict of names to tensors was expected")
    return tree


def save(state_dict: Mapping[str, Any], path: str) -> None:
    """Writes a file that torch.load reads."""
    pickled, arrays = dumps(state_dict)
    with open(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:

        def record(name: str, data: Any) -> None:
            entry = zipfile.ZipInfo(f"archive/{name}")
            start = file.tell() + LOCAL_HEADER + len(entry.filename) + 4
            padding = -start % ALIGNMENT
            entry.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
            archive.writestr(entry, data)

        record("data.pkl", pickled)
        record("byteorder", b"little")
        for key, array in enumerate(arrays):
            record(f"data/{key}", array.reshape(-1).view(np.uint8).data)
        record("version", b"3\n")


def _refuse_older_formats(path: str) -> None:
    with open(path, "rb") as file:
        head = file.read(512)
    if head.startswith(b"PK\x03\x04"):
        return
    if head[257:262] == b"ustar" or head.startswith(b"\x80"):
        raise ValueError(
            "it is a bare pickle or a tar file, as torch wrote before 1.6; if you trust it, convert it "
            "with a current torch: torch.save(torch.load(path), new_path)"
        )
    raise ValueError("it is no torch file (those are zip archives)")


def _check_names(names: list[str]) -> None:
    parts = [name.split("/") for name in names]
    if any("\\" in name for name in names) or any({"", ".", ".."} & set(part) for part in parts):
        raise ValueError("a record of its zip archive has a name that is no plain path")
    if len({part[0] for part in parts}) > 1:
        raise ValueError("the records of its zip archive are not all in one folder, as torch.save puts them")
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside:
        raise ValueError(
            "it is a TorchScript program, which is code; with torch, save its weights: "
            "torch.save(torch.jit.load(path).state_dict(), new_path)"
        )
    if "data.pkl" not in inside:
        raise ValueError("it has no record data.pkl, so torch.save did not write it")


class _Tree:
    """Turns what the pickle describes into plain containers and arrays, all of them new and unshared."""

    def __init__(self, records: Mapping[str, bytes], allowed: int) -> None:
        order = records.get("byteorder", b"little")
        if order not in (b"little", b"big"):
            raise ValueError(f"its record byteorder says {order[:20]!r} where little or big was expected")
        self.byteorder: Literal["<", ">"] = "<" if order == b"little" else ">"
        self.records = records
        self.allowed = allowed

    def plain(self, value: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError(f"its dicts and lists are nested more than {MAX_DEPTH} deep")
        self.spend(100)  # what a small object takes; a few bytes of pickle can describe 2^100 of them
        if isinstance(value, dict):
            return {key: self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.plain(item, depth + 1) for item in value)
        if isinstance(value, Tensor):
            return self.array(value)
        if isinstance(value, (Name, Storage)):
            raise ValueError("it holds a class or a bare storage where a value was expected")
        return value

    def array(self, tensor: Tensor) -> Array:
        key = tensor.storage.key
        data = self.records.get(f"data/{key}")
        if data is None:
            raise ValueError(f"the record data/{key[:40]} of a tensor is missing")
        stored = np.dtype(STORED[tensor.dtype]).newbyteorder(self.byteorder)
        if len(data) != tensor.storage.count * (stored.itemsize if tensor.storage.dtype else 1):
            raise ValueError(f"its record data/{key} has {len(data)} bytes, and its pickle claims another size")
        if 0 in tensor.size:
            return decoded(np.empty(tensor.size, stored), tensor.dtype)
        steps = [step if n > 1 else 0 for n, step in zip(tensor.size, tensor.stride, strict=True)]
        last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.size, steps, strict=True))
        if (last + 1) * stored.itemsize > len(data):
            raise ValueError(f"a tensor reaches beyond the end of its record data/{key}")
        self.spend(2 * stored.itemsize * math.prod(tensor.size))
        start, strides = tensor.offset * stored.itemsize, [step * stored.itemsize for step in steps]
        return decoded(np.ndarray(tensor.size, stored, data, start, strides), tensor.dtype)

    def spend(self, size: int) -> None:
        self.allowed -= size
        if self.allowed < 0:
            raise ValueError("its tensors and lists, by sharing, would take more than 64 times the size of the file")
