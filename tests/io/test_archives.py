"""Weights files that are damaged, of another kind, or bombs are refused in one sentence and take little memory."""

from __future__ import annotations

import io
import pickle as op
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from weights_files import DATA, SOUND, archive, dumped, patched, refused, torch_file

from pyrnn.weights.files import load_state_dict, save_state_dict

SIZES, OFFSET, FLAGS, VERSION = 20, 42, 8, 6


def swallowed(path: Path) -> None:
    """Lengthens the comment of the directory's last entry but one, so that it hides the last entry."""
    content = bytearray(path.read_bytes())
    last = content.rindex(b"PK\x01\x02")
    struct.pack_into("<H", content, content.rindex(b"PK\x01\x02", 0, last) + 32, content.rindex(b"PK\x05\x06") - last)
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "vast sizes": (
        lambda path: patched(path, SIZES, "<II", 2**32 - 2, 2**32 - 2),
        "raise limit=|cut short|damaged",
    ),
    "vast unpacked size": (lambda path: patched(path, SIZES, "<II", 16, 2**31), "two different sizes"),
    "sizes beyond the end": (lambda path: patched(path, SIZES, "<II", 10**4, 10**4), "cut short|damaged"),
    "another record's data": (lambda path: patched(path, OFFSET, "<I", 0), "overlap"),
    "an offset beyond the end": (lambda path: patched(path, OFFSET, "<I", 10**6), "damaged"),
    "a hidden record": (swallowed, "missing"),
    "encrypted": (lambda path: patched(path, FLAGS, "<H", 1), "damaged or encrypted"),
    "of a future zip": (lambda path: patched(path, VERSION, "<H", 255), "damaged or encrypted"),
    "bzip2": (lambda path: patched(path, 10, "<H", zipfile.ZIP_BZIP2), "compressed in a way"),
    "another checksum": (lambda path: patched(path, 16, "<I", 1), "damaged"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-30]), "damaged"),
    "a head alone": (lambda path: path.write_bytes(b"PK\x03\x04"), "damaged"),
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "text": (lambda path: path.write_bytes(b"<!DOCTYPE html>"), "it is a web page"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_archives_are_refused(damage: str, tmp_path: Path) -> None:
    path = torch_file(tmp_path, SOUND)
    change, because = DAMAGES[damage]
    change(path)
    refused(path, because)


@pytest.mark.parametrize(
    ("record", "because"),
    [
        ("model/../../escape", "no plain path"),
        ("/etc/passwd", "no plain path"),
        ("model/data/", "no plain path"),
        ("model\\escape", "no plain path"),
        ("other/data.pkl", "not all in one folder"),
        ("model/constants.pkl", "TorchScript"),
        ("model/big\0end", "NUL character"),
    ],
)
def test_odd_record_names_are_refused(record: str, because: str, tmp_path: Path) -> None:
    more = {"model/data.pkl": dumped(SOUND), "model/data/0": DATA, record.replace("\0", "-"): b""}
    path = archive(tmp_path / "model.pt", more)
    path.write_bytes(path.read_bytes().replace(b"model/big-end", b"model/big\0end"))
    refused(path, because)


def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    path = torch_file(tmp_path, SOUND, data_1=DATA)
    path.write_bytes(path.read_bytes().replace(b"model/data/1", b"model/data/0"))
    refused(path, "same name")


def test_an_unknown_byte_order_is_refused(tmp_path: Path) -> None:
    refused(torch_file(tmp_path, SOUND, byteorder=b"middle"), "byteorder says b'middle'")


def test_compressed_records_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    records = {"model/data.pkl": dumped(SOUND), "model/data/0": bytes(2**26)}
    refused(archive(tmp_path / "model.pt", records, zipfile.ZIP_DEFLATED), "compressed in a way")


def test_an_archive_without_a_pickle_is_refused(tmp_path: Path) -> None:
    refused(archive(tmp_path / "model.pt", {"model/version": b"3"}), r"no record data\.pkl")


def test_torchscript_is_refused(tmp_path: Path) -> None:
    # Made by hand, because torch.jit.save warns of its own age.
    records = {f"model/{name}": b"" for name in ("data.pkl", "code/__torch__.py", "constants.pkl")}
    archive(tmp_path / "model.pt", records, zipfile.ZIP_DEFLATED)
    refused(tmp_path / "model.pt", r"TorchScript.*torch\.jit\.load\(path\)\.state_dict\(\)")


def test_files_of_torch_before_1_6_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1)}, tmp_path / "bare.pt", _use_new_zipfile_serialization=False)
    with tarfile.open(tmp_path / "tar.pt", "w") as file:
        file.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    for path in (tmp_path / "bare.pt", tmp_path / "tar.pt"):
        refused(path, r"before 1\.6.*torch\.save\(torch\.load\(path\), new_path\)")


def npy(header: str, data: bytes = DATA, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header.encode() + data


HEADER = "{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}"
NPYS = {
    "vast": (npy(HEADER.format((2**40,))), "not the size of its record"),
    "overflow": (npy(HEADER.format((2**62, 4))), "not the size of its record"),
    "negative": (npy(HEADER.format((-2, -2))), "not the size of its record"),
    "short": (npy(HEADER.format((4,)), DATA[:-1]), "not the size of its record"),
    "many axes": (npy(HEADER.format((1,) * 33), DATA[:4]), "not the size of its record"),
    "objects": (npy(HEADER.replace("<f4", "|O").format((2,))), "has dtype object"),
    "text": (npy(HEADER.replace("<f4", "<U1").format((4,))), "has dtype <U1"),
    "code": (npy("__import__('os').system('ls')"), "no .npy array"),
    "parentheses": (npy("(" * 9000), "no .npy array"),
    "signs": (npy("-" * 9000 + "1"), "no .npy array"),
    "no literal": (npy("'"), "no .npy array"),
    "future": (npy(HEADER.format((4,)), version=b"\x09\x00"), "no .npy array"),
    "pickle": (op.dumps([]), "no .npy array"),
    "empty": (b"", "no .npy array"),
}


@pytest.mark.parametrize("kind", NPYS)
def test_npz_records_that_are_no_sound_arrays_are_refused(kind: str, tmp_path: Path) -> None:
    data, because = NPYS[kind]
    path = archive(tmp_path / "model.npz", {"weight.npy": data})
    refused(path, because, memory=2**23)  # Python's parser at 9000 parentheses


@pytest.mark.parametrize("unpacked", [2**26, 2**30])
def test_npz_bombs_are_refused_before_they_are_unpacked(unpacked: int, tmp_path: Path) -> None:
    path = archive(tmp_path / "model.npz", {"weight.npy": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    refused(patched(path, SIZES + 4, "<I", unpacked), "would take .* raise limit=")


def test_an_npz_bomb_that_claims_to_be_small_is_not_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path / "model.npz", {"weight.npy": bytes(2**26)}, zipfile.ZIP_DEFLATED)
    refused(patched(path, SIZES + 4, "<I", 1000), "damaged")


SAFETENSORS = {
    "nothing": (b"", "it is empty"),
    "a head alone": (b"\0" * 5, "header too small"),
    "a vast header": (struct.pack("<Q", 2**60) + b"{}", "header"),
    "no JSON": (struct.pack("<Q", 2) + b"[[", "header"),
    "no bytes": (
        b'{"w":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}',
        "no sound safetensors",
    ),
    "a dtype of none": (b'{"w":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}', '"w" has dtype F8_E4M3'),
    "a complex dtype": (b'{"w":{"dtype":"C64","shape":[0],"data_offsets":[0,0]}}', '"w" has dtype C64'),
}


@pytest.mark.parametrize("kind", SAFETENSORS)
def test_unsound_safetensors_are_refused(kind: str, tmp_path: Path) -> None:
    content, because = SAFETENSORS[kind]
    if content.startswith(b"{"):
        data = b"" if b"[0,0]" in content else bytes(4)
        content = struct.pack("<Q", len(content)) + content + data
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    refused(path, because, memory=2**22)  # the imports of the package


GIVEN = {
    "weight": np.arange(6.0).reshape(2, 3),
    "bias": np.array([1, -2], np.float16),
    "mask": np.array([True]),
}


@pytest.fixture(scope="module", params=["torch.pt", "ours.pt", "model.npz", "deflated.npz", "model.safetensors"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / str(request.param)
    if path.name == "torch.pt":
        torch.save({key: torch.from_numpy(array) for key, array in GIVEN.items()}, path)
    elif path.name == "deflated.npz":
        np.savez_compressed(path, **GIVEN)  # type: ignore[arg-type]
    else:
        save_state_dict(GIVEN, path)
    return path


def loads_or_refuses(path: Path, content: bytes) -> bool:
    """Whether damaged content is loaded, in which case it must be right; it may also raise ValueError."""
    damaged = path.with_stem("damaged")
    damaged.write_bytes(content)
    try:
        loaded = load_state_dict(damaged)
    except ValueError:
        return False
    if path.suffix != ".safetensors":  # this format has no checksums, so damaged numbers go unseen
        assert [*loaded] == [*GIVEN]
        for key, array in GIVEN.items():
            assert loaded[key].dtype == array.dtype
            np.testing.assert_array_equal(loaded[key], array)
    return True


def test_files_cut_anywhere_are_refused(sound: Path) -> None:
    content = sound.read_bytes()
    assert loads_or_refuses(sound, content)
    for length in range(0, len(content), max(1, len(content) // 100)):
        assert not loads_or_refuses(sound, content[:length])


@settings(max_examples=150, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_files_with_changed_bytes_load_right_or_not_at_all(sound: Path, changes: list[tuple[float, int]]) -> None:
    content = bytearray(sound.read_bytes())
    for place, change in changes:
        content[int(place * len(content))] ^= change
    loads_or_refuses(sound, bytes(content))
