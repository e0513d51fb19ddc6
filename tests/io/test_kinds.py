"""The content of a file, not its name, says how it is read, as a path, open file or bytes; other kinds are named."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
import torch
from keras_files import described, keras2_file
from other_files import OTHERS

import pyrnn
from pyrnn import nn
from pyrnn.cli.inspection import inspect
from pyrnn.io import keras, notebook, onnx
from pyrnn.io.conversion import convert
from pyrnn.verify import verify
from pyrnn.weights.files import load_state_dict

GRU = pyrnn.GRU(3, 5, batch_first=True, seed=0)
NAMES = ["model", "model.ckpt", "model.bin", "model.pth.tar", "model.p", "model.pt", "model.npz", "model.onnx",
         "model.h5", "model.json", "model.safetensors", "model.keras", "MODEL.WEIGHTS"]  # fmt: skip


def content(kind: str, folder: Path) -> bytes:
    path = folder / f"written.{kind}"
    if kind == "torch":
        torch.save({"state_dict": {k: torch.from_numpy(v) for k, v in GRU.state_dict().items()}}, path)
    elif kind == "deflated.npz":
        np.savez_compressed(path, **GRU.state_dict())
    else:
        pyrnn.save_state_dict(GRU.state_dict(), path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["torch", "pt", "npz", "deflated.npz", "safetensors"])
@pytest.mark.parametrize("name", NAMES)
def test_a_state_dict_is_read_whatever_its_name(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content(kind, tmp_path))
    loaded: Any = pyrnn.load(tmp_path / name, batch_first=True)
    assert repr(loaded) == repr(GRU)
    np.testing.assert_array_equal(loaded.weight_hh_l0, GRU.weight_hh_l0)
    assert len(load_state_dict(tmp_path / name)) == (1 if kind == "torch" else 4)


@pytest.mark.parametrize("kind", ["torch", "npz", "safetensors"])
def test_bytes_and_open_files_are_read(kind: str, tmp_path: Path) -> None:
    data = content(kind, tmp_path)
    shifted = io.BytesIO(b"before" + data)
    shifted.seek(6)
    path = tmp_path / f"written.{kind}"
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for given in (data, bytearray(data), memoryview(data), io.BytesIO(data), file, raw, shifted, str(path)):
            assert repr(pyrnn.load(given, batch_first=True)) == repr(GRU)
    assert list(load_state_dict(io.BytesIO(data)))


@pytest.mark.parametrize("form", ["safetensors", "onnx", "json", "h5"])
def test_models_are_read_whatever_their_name_and_from_bytes(form: str, tmp_path: Path) -> None:
    lstm = pyrnn.LSTM(3, 5, batch_first=True, seed=0)
    model = nn.Sequential(lstm, nn.LastStep(batch_first=True), nn.Linear(5, 2, seed=1)).eval()
    path = tmp_path / f"written.{form}"
    if form == "safetensors":
        model.save(path)
    elif form == "onnx":
        onnx.save(model, path)
    elif form == "json":
        notebook.save(model, path)
    else:
        arrays = {"out/out/kernel:0": np.eye(3), "out/out/bias:0": [0, 0, 1]}
        keras2_file(path, [described("Dense", "out", units=3)], arrays)
    expected = pyrnn.load(path)
    (tmp_path / "model.bin").write_bytes(path.read_bytes())
    x = np.ones((2, 7, 3), np.float32 if form != "json" else np.float64)
    for given in (tmp_path / "model.bin", path.read_bytes(), io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(pyrnn.load(given)(x), expected(x))  # type: ignore[operator]
    if form != "safetensors":
        with pytest.raises(ValueError, match=r"holds a model \(.*read it with pyrnn\.load\(path\)"):
            load_state_dict(path)


@pytest.mark.parametrize(
    "given", [None, 3, ["m.pt"], {"a": 1}, np.ones(3), io.StringIO("text")], ids=lambda value: type(value).__name__
)
def test_an_argument_that_is_no_file_raises_type_error(given: Any) -> None:
    for read in (pyrnn.load, load_state_dict):
        with pytest.raises(TypeError, match=r"expected a path, a file open|in binary mode"):
            read(given)


# -- files that are not read -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("suffix", ["", ".ckpt", ".pt", ".npz", ".safetensors", ".h5", ".keras", ".onnx", ".json"])
def test_a_file_of_an_unsupported_kind_is_named(suffix: str, kind: str, tmp_path: Path) -> None:
    data, said = OTHERS[kind]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(data)
    by_suffix = kind in ("noise", "text") and suffix not in ("", ".ckpt", ".pt", ".npz")
    by_suffix |= kind in ("zip of others", "cut zip") and suffix not in ("", ".ckpt")
    for read in (pyrnn.load, load_state_dict):
        with pytest.raises(ValueError, match=r"cannot be loaded: |" if by_suffix else said) as caught:
            read(path)
        text = str(caught.value)
        assert text.startswith(str(path))
        assert len(text) < len(str(path)) + 500
        text.encode()
        assert "\x1b" not in text
    if not by_suffix:
        with pytest.raises(ValueError, match=rf"the file cannot be loaded: .*{said}"):
            pyrnn.load(io.BytesIO(data))


FOLDERS: dict[str, tuple[tuple[str, ...], str]] = {
    "empty": ((), r"it is a folder; give the file of weights in it\.?$"),
    "with files": (
        ("notes.txt", "B.safetensors", "a.pt"),
        r'it is a folder; give the file of weights in it, "B\.safetensors", "a\.pt"\.?$',
    ),
    "SavedModel": (
        ("saved_model.pb", "fingerprint.pb"),
        r"it is a folder, a SavedModel of TensorFlow; load it with .*, and save it as one file: model\.save\(",
    ),
    "Keras 3": (
        ("config.json", "metadata.json", "model.weights.h5"),
        r"it is a folder, a model that Keras 3 saved with zipped=False; save it as one file: model\.save",
    ),
    "unpacked .pt": (
        ("data.pkl", "version"),
        "it is a folder, what a .pt or .pth file of torch holds; give that file",
    ),
}
READ: dict[str, Callable[[Path], Any]] = {
    "load": pyrnn.load,
    "load_state_dict": load_state_dict,
    "keras": keras.load,
    "weights of keras": lambda path: keras.load_weights(path, nn.Sequential(nn.Linear(3, 2))),
    "onnx": onnx.load,
    "notebook": notebook.load,
    "Sequential": nn.Sequential.load,
    "inspect": inspect,
    "convert": lambda path: convert(path, path / "new.npz"),
    "verify": lambda path: verify(path, "onnxruntime", np.ones((1, 2, 3), np.float32)),
}


@pytest.mark.parametrize("reader", READ)
@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_is_named_with_what_to_give(kind: str, reader: str, tmp_path: Path) -> None:
    names, sentence = FOLDERS[kind]
    path = tmp_path / "model.onnx"
    path.mkdir()
    for name in names:
        (path / name).touch()
    with pytest.raises(ValueError, match=sentence):
        READ[reader](path)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(path: Any) -> Any:
        raise PermissionError

    monkeypatch.setattr(os, "listdir", refuses)
    with pytest.raises(ValueError, match=r"it is a folder; give the file of weights in it\.$"):
        pyrnn.load(tmp_path)


def test_a_header_of_npz_that_is_no_shape_is_named(tmp_path: Path) -> None:
    for shape in ("(True, 2)", "(2, False)", "(True,)"):
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
        with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
            archive.writestr("w.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8))
        with pytest.raises(ValueError, match=r'record "w\.npy" has a shape that is not made of integers'):
            load_state_dict(tmp_path / "m.npz")


# -- the budget --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["torch", "npz", "safetensors"])
def test_a_limit_bounds_what_a_file_may_take(kind: str, tmp_path: Path) -> None:
    data = content(kind, tmp_path)
    for read in (pyrnn.load, load_state_dict):
        for limit in (0, 100, len(data) - 1):
            with pytest.raises(ValueError, match=r"would take .* bytes.*raise limit="):
                read(data, limit=limit)
            with pytest.raises(ValueError, match=r"would take .* bytes.*raise limit="):
                read(io.BytesIO(data), limit=limit)
        read(data, limit=2**20)
    with pytest.raises(TypeError, match="limit should be of type int"):
        pyrnn.load(data, limit="1 GB")


def test_a_limit_allows_more_than_the_files_length_would(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "m.npz", zeros=np.zeros(2**23, np.float32))
    expanded = torch.zeros(1).expand(2**23)
    torch.save({"zeros": expanded}, tmp_path / "m.pt")
    for path in (tmp_path / "m.npz", tmp_path / "m.pt"):
        with pytest.raises(ValueError, match="raise limit="):
            load_state_dict(path)
        assert load_state_dict(path, limit=2**27)["zeros"].shape == (2**23,)


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o027])
def test_a_new_file_has_the_mode_of_the_umask(umask: int, suffix: str, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        pyrnn.save_state_dict(GRU.state_dict(), tmp_path / f"m{suffix}")
        nn.Sequential(GRU).save(tmp_path / "n.safetensors")
    finally:
        os.umask(before)
    for name in (f"m{suffix}", "n.safetensors"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("reader", ["keras", "onnx", "notebook"])
def test_each_reader_names_a_pointer_of_git_lfs(reader: str, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    with pytest.raises(ValueError, match="it is a pointer of Git LFS; get the file with git lfs pull"):
        import_module(f"pyrnn.io.{reader}").load(tmp_path / "model")
