"""HDF5 files of Keras with damaged bytes: a sentence within seconds, or what is still sound in them."""

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
    """Changes the collection in which strings of varying length lie, from the given place on."""
    content = bytearray(sound(path).read_bytes())
    change(content, content.index(b"GCOL"))
    path.write_bytes(content)
    return path


def free_space(content: bytearray, place: int) -> int:
    """Where the header of what is free behind the strings is."""
    place += 16
    while content[place : place + 2] != b"\0\0":
        place += 16 + -(-int.from_bytes(content[place + 8 : place + 16], "little") // 8) * 8
    return place


def test_free_space_of_no_size_at_which_hdf5_goes_round_for_ever(tmp_path: Path) -> None:
    def zeroed(content: bytearray, place: int) -> None:
        place = free_space(content, place)
        content[place + 8 : place + 16] = bytes(8)

    refused(strings(tmp_path / "model.h5", zeroed), DAMAGED, "strings of attributes overlap")


@pytest.mark.parametrize("name", ["model_config", "keras_version", "backend"])
def test_a_string_that_claims_gigabytes(name: str, tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    with h5py.File(path) as file:
        size = len(file.attrs[name])
    content = path.read_bytes()
    start = content.index(name.encode() + b"\0")
    place = content.index(struct.pack("<I", size), start + 24)  # behind the datatype and the dataspace
    path.write_bytes(content[:place] + struct.pack("<I", 2**31 + size) + content[place + 4 :])
    refused(path, f"a string claims to have {2**31 + size} bytes, and {size} are there")


@pytest.mark.parametrize("keep", [0, 3, 8, 100, 3000, -8])
def test_hdf5_cut_short(keep: int, tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, DAMAGED)


def test_a_header_that_goes_on_in_itself(tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[64:72], "little")  # of the root group, out of the superblock
    first = header + 16
    content[header + 2 : header + 4] = b"\xff\xff"  # messages
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
    """PYRNN_FUZZ_SECONDS sets how long; places that have a value are tried more often than the padding."""
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
    assert 0 < read < tried  # many bytes are padding, or a weight
