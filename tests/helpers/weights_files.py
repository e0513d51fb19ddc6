"""Makes weights files by hand, byte by byte, and asserts that a file is refused."""

from __future__ import annotations

import pickle as op
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn.weights.files import load_state_dict

LITTLE_MEMORY = 2**20  # bytes that the refusal of a file of some kilobytes may take, with imports and messages
DATA = np.arange(4, dtype="<f4").tobytes()


def leaf(value: Any) -> bytes:
    return op.dumps(value, protocol=2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    return op.GLOBAL + f"{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + op.MARK + b"".join(arguments) + op.TUPLE + op.REDUCE


def storage(key: Any = "0", count: Any = 4, kind: Any = "storage", dtype: str = "FloatStorage") -> bytes:
    what = [leaf(kind), name("torch", dtype), leaf(key), leaf("cpu"), leaf(count)]
    return op.MARK + b"".join(what) + op.TUPLE + op.BINPERSID


def tensor(
    size: Any = (4,), stride: Any = (1,), offset: Any = 0, of: bytes | None = None, metadata: Any = None
) -> bytes:
    of = storage() if of is None else of
    function = name("torch._utils", "_rebuild_tensor_v2")
    return call(function, of, leaf(offset), leaf(size), leaf(stride), leaf(False), leaf(None), leaf(metadata))


def entry(value: bytes) -> bytes:
    """The pickle of a state dict with one value."""
    return op.EMPTY_DICT + leaf("weight") + value + op.SETITEM


def dumped(body: bytes) -> bytes:
    return op.PROTO + b"\x02" + body + op.STOP


def archive(path: Path, records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for record, data in records.items():
            file.writestr(record, data)
    return path


def torch_file(path: Path, body: bytes, **more: bytes) -> Path:
    records = {"data.pkl": dumped(body), "data/0": DATA, "version": b"3"} | {
        key.replace("_", "/"): data for key, data in more.items()
    }
    return archive(path / "model.pt", {f"model/{record}": data for record, data in records.items()})


def refused(path: Path, because: str, memory: int = LITTLE_MEMORY) -> None:
    """Asserts that the file is refused in one sentence that names it, with little memory taken."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=because) as caught:
            load_state_dict(path)
        assert tracemalloc.get_traced_memory()[1] < memory
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    assert len(str(caught.value)) < len(str(path)) + 400


def patched(path: Path, offset: int, code: str, *values: int) -> Path:
    """Writes into the last entry of the central directory, `offset` bytes after its start."""
    content = bytearray(path.read_bytes())
    struct.pack_into(code, content, content.rindex(b"PK\x01\x02") + offset, *values)
    path.write_bytes(content)
    return path


SOUND = entry(tensor())
