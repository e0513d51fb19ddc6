"""HDF5 files of Keras with damaged bytes are refused in a sentence within seconds, or read."""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("keras")

import h5py
import numpy as np
from hdf5_files import DAMAGED, packed, sound
from keras_files import refused

from pyrnn.io.keras import load


def strings(path: Path, change: Callable[[bytearray, int], None]) -> Path:
    """Damages the heap of HDF5's strings of variable length; `change` gets the bytes and the heap's place."""
    content = bytearray(sound(path).read_bytes())
    change(content, content.index(b"GCOL"))
    path.write_bytes(content)
    return path


def free_space(content: bytearray, place: int) -> int:
    """The place of the header of the heap's free space, which follows the strings."""
    place += 16
    while content[place : place + 2] != b"\0\0":
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    return place


def test_free_space_of_size_zero_which_would_loop_for_ever_is_refused(tmp_path: Path) -> None:
    def zeroed(content: bytearray, place: int) -> None:
        place = free_space(content, place)
        content[place + 8 : place + 16] = bytes(8)

    refused(strings(tmp_path / "model.h5", zeroed), DAMAGED, "strings of attributes overlap")


@pytest.mark.parametrize("name", ["model_config", "keras_version", "backend"])
def test_a_string_that_claims_gigabytes_is_refused(name: str, tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    with h5py.File(path) as file:
        size = len(file.attrs[name])
    content = path.read_bytes()
    start = content.index(name.encode() + b"\0")
    place = content.index(struct.pack("<I", size), start + 24)  # behind the datatype and the dataspace
    path.write_bytes(content[:place] + struct.pack("<I", 2**31 + size) + content[place + 4 :])
    refused(path, f"a string claims to have {2**31 + size} bytes, and {size} are there")


@pytest.mark.parametrize("keep", [0, 3, 8, 100, 3000, -8])
def test_an_hdf5_file_cut_short_is_refused(keep: int, tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, DAMAGED if keep else "it is empty")


def test_a_header_that_continues_in_itself_is_refused_at_once(tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[64:72], "little")  # the superblock says where the root group's header is
    first = header + 16
    content[header + 2 : header + 4] = b"\xff\xff"  # the number of messages
    content[first : first + 24] = struct.pack("<HHI", 16, 16, 0) + struct.pack("<QQ", first, 24)
    content[header + 8 : header + 12] = struct.pack("<I", 24)
    path.write_bytes(content)
    start = time.process_time()
    refused(path, DAMAGED, "again and again")
    assert time.process_time() - start < 1


def mutated(content: bytes, random: np.random.Generator) -> bytes:
    """A copy with some bytes changed, zeroed, grown, swapped, cut out or repeated."""
    new = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place, size = int(random.integers(len(new) - 16)), int(random.choice([1, 2, 4, 8]))
        other = int(random.integers(len(new) - 16))
        kind = random.integers(7)
        if kind == 0:
            new[place : place + size] = bytes(size)
        elif kind == 1:
            new[place] ^= 1 << int(random.integers(8))
        elif kind == 2:
            new[place : place + size] = random.bytes(size)
        elif kind == 3:
            new[place : place + size] = b"\xff" * size
        elif kind == 4:
            new[place : place + 8], new[other : other + 8] = new[other : other + 8], new[place : place + 8]
        elif kind == 5:
            new[place : place + size] = other.to_bytes(8, "little")[:size]
        else:
            del new[place : place + size]
    return bytes(new)


def test_every_damaged_file_is_refused_or_read(tmp_path: Path) -> None:
    """The environment variable PYRNN_FUZZ_SECONDS sets how long this runs."""
    path = sound(tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        packed(file, compression="gzip", shuffle=True, fletcher32=True, maxshape=None)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    read, tried, end = 0, 0, time.monotonic() + float(os.environ.get("PYRNN_FUZZ_SECONDS", 3))
    while time.monotonic() < end or tried < 300:
        tried += 1
        damaged = mutated(content, random)
        path.write_bytes(damaged)
        start = time.process_time()
        try:
            load(path)
            read += 1
        except ValueError as error:
            assert re.match(rf"{re.escape(str(path))} cannot be loaded: ", str(error))  # noqa: PT017
        assert time.process_time() - start < 5, damaged[:64].hex()
    assert 0 < read < tried  # a change of padding or of a weight leaves a sound file
