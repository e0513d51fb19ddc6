"""Recognises files by their first bytes: as a format that pyrnn reads, or by a sentence on what to do with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

from pyrnn.checks.quoting import listed, quoted

HEAD = 2048  # So many bytes of a file are looked at.

# This maps each format to the module that reads it. The formats in pyrnn.io hold the layers as well as the weights,
# and their modules have read(path, limit, ...); those in pyrnn.weights have load(file, budget).
READERS = {
    "pt": "pyrnn.weights.pt",
    "npz": "pyrnn.weights.npz",
    "safetensors": "pyrnn.weights.safetensors",
    "keras": "pyrnn.io.keras.convert",
    "onnx": "pyrnn.io.onnx.importing",
    "json": "pyrnn.io.notebook",
}
SUFFIXES = {
    ".pt": "pt",
    ".pth": "pt",
    ".npz": "npz",
    ".safetensors": "safetensors",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".onnx": "onnx",
    ".json": "json",
}
READ = "pyrnn reads .pt, .pth, .npz, .safetensors, .keras, .h5, .onnx and .json files, whatever their names"

_OLD_TORCH = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # Before 1.6 torch.save wrote this number first, pickled.
_ONNX_FIELDS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)  # One of these bytes follows ir_version in an ONNX file.


def _starts(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _at(place: int, text: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[place : place + len(text)] == text


def _text(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(starts)


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 2**40


def _is_onnx(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 8 and 3 <= head[1] < 32 and head[2] in _ONNX_FIELDS


# Each entry has the test that recognises the first bytes, and a format of READERS or a sentence; the first match
# counts.
_KINDS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: not head, "it is empty (an open file is read from its position on: file.seek(0))"),
    (_starts(b"version https://git-lfs"), "it is a pointer of Git LFS; get the file with git lfs pull"),
    (
        _text(b"<!doctype html", b"<html", b"<head", b"<body", b"<script"),
        "it is a web page (HTML), as a failed download leaves it; download the file itself",
    ),
    (_text(b"<?xml", b"<error", b"<svg"), "it is XML, and no weights; was it the answer of a failed download?"),
    (_starts(b"\x89HDF\r\n\x1a\n"), "keras"),
    (_is_safetensors, "safetensors"),
    (
        _at(4, b"TFL3"),
        "it is a model of TensorFlow Lite, which keeps no layers to read; load the model it was made of (.keras, .h5)",
    ),
    (_starts(b"GGUF", b"GGML", b"ggml", b"lmgg", b"tjgg"), "it is a GGUF or GGML file, as llama.cpp reads; take the "
     "model's .safetensors or .pt"),
    (_starts(b"\x93NUMPY"), "it is a .npy file, one array without a name; read it with numpy.load, and write "
     "names and arrays with pyrnn.save_state_dict"),
    (
        lambda head: head[:1] == b"\x80" and _OLD_TORCH in head[:20],
        "it was written by torch before 1.6, or with _use_new_zipfile_serialization=False; if you trust it, convert "
        "it with a current torch: torch.save(torch.load(path), new_path)",
    ),
    (
        lambda head: head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"),
        "it is a bare pickle, which is code, and no file of torch; if you trust it, load it where it was written and "
        "save the arrays: pyrnn.save_state_dict(arrays, new_path)",
    ),
    (
        _at(257, b"ustar"),
        "it is a tar archive: unpack it and give the file in it. If torch before 1.6 wrote it, convert it with a "
        "current torch: torch.save(torch.load(path), new_path)",
    ),
    (_starts(b"\x1f\x8b"), "it is compressed by gzip; unpack it (gunzip, or tar -xzf) and give the file in it"),
    (_starts(b"BZh"), "it is compressed by bzip2; unpack it and give the file in it"),
    (_starts(b"\xfd7zXZ\x00"), "it is compressed by xz; unpack it and give the file in it"),
    (_starts(b"\x28\xb5\x2f\xfd"), "it is compressed by zstd; unpack it and give the file in it"),
    (_starts(b"7z\xbc\xaf\x27\x1c", b"Rar!"), "it is a 7z or rar archive; unpack it and give the file in it"),
    (_starts(b"MATLAB 5.0"), "it is a .mat file of MATLAB; read it with scipy.io.loadmat, and write names and "
     "arrays with pyrnn.save_state_dict"),
    (_starts(b"\x7fELF", b"MZ"), "it is a program or a shared library, and no weights"),
    (_starts(b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"OggS", b"fLaC"), "it is a document, an image "
     "or a sound, and no weights"),
    (_starts(b"\x08\x01\x12"), "it is a SavedModel of TensorFlow; load it with Keras, and save it as .keras"),
    (_text(b"{", b"["), "json"),
    (_is_onnx, "onnx"),
)  # fmt: skip


def foreign(head: bytes) -> str:
    """Returns a sentence about a file of another kind; "" if pyrnn reads it or does not know it."""
    found = next((found for recognised, found in _KINDS[1:] if recognised(head)), "")
    return "" if found in READERS else found


def kind_of(head: bytes, file: BinaryIO, suffix: str = "") -> tuple[str, str]:
    """Returns a format of READERS and "", or "" and a sentence about what the file is.

    If the content does not tell the format, the suffix does, and the reader of that format says what is wrong.
    """
    if head.startswith(b"PK\x03\x04") or (head.startswith(b"PK\x05\x06") and len(head) < 100):
        return _kind_of_zip_head(head, suffix) or _kind_of_zip(file, suffix)
    for recognised, found in _KINDS:
        if recognised(head):
            return (found, "") if found in READERS else ("", found)
    # Both formats are zip archives, which the lines above recognise.
    if SUFFIXES.get(suffix, "pt") not in ("pt", "npz"):
        return SUFFIXES[suffix], ""
    start = quoted(head[:20].decode("latin1"))
    return "", f"it is of no known format: it begins with {start}. {READ}"


def folder(path: str | os.PathLike[str]) -> str:
    """Returns a sentence that says what a folder is and what to give in its place; "" if the path is not a folder."""
    if not os.path.isdir(path):
        return ""
    try:
        names = sorted(os.fsdecode(name) for name in os.listdir(path))
    except OSError:  # The folder cannot be read.
        names = []
    for marks, sentence in _FOLDERS:
        if all(mark in names for mark in marks):
            return f"it is a folder, {sentence}"
    files = [name for name in names if os.path.splitext(name)[1].lower() in SUFFIXES]
    return f"it is a folder; give the file of weights in it{', ' + listed(files) if files else ''}"


# A folder is of the first kind here all of whose names it has.
_FOLDERS = (
    (
        ("saved_model.pb",),
        'a SavedModel of TensorFlow; load it with tf.keras.models.load_model, and save it as one file: model.save("'
        'model.keras")',
    ),
    (
        ("config.json", "model.weights.h5"),
        'a model that Keras 3 saved with zipped=False; save it as one file: model.save("model.keras")',
    ),
    (("data.pkl",), "what a .pt or .pth file of torch holds; give that file as it was, without unpacking it"),
)


def refusal(path: str) -> str:
    """Returns a sentence about a file that pyrnn does not read; "" if it may read it."""
    with open(path, "rb") as file:
        return kind_of(file.read(HEAD), file, ".pt")[1]


def _kind_of_zip_head(head: bytes, suffix: str) -> tuple[str, str] | None:
    """Tells the kind by the name of the first record; reading the zip directory would take 0.1 ms."""
    first = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if first.endswith(b"/data.pkl"):
        return "pt", ""
    return ("npz", "") if first.endswith(b".npy") and suffix == ".npz" else None


def _kind_of_zip(file: BinaryIO, suffix: str) -> tuple[str, str]:
    import zipfile  # Importing it takes as long as the rest of `import pyrnn`.

    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # zipfile raises many exceptions for damage; the reader meets the damage again and describes it.
        if SUFFIXES.get(suffix) in ("pt", "npz", "keras"):
            return SUFFIXES[suffix], ""
        return "", "it is a zip archive, and cut off or damaged; copy or download it again"
    if any(name.endswith("/data.pkl") or name == "data.pkl" for name in names):
        return "pt", ""
    if "config.json" in names or "model.weights.h5" in names:
        return "keras", ""
    if any(name.endswith(".npy") for name in names):
        return "npz", ""
    if any(name.startswith("word/") or name.startswith("xl/") for name in names):
        return "", "it is a document of an office program, and no weights"
    if SUFFIXES.get(suffix) in ("pt", "npz", "keras"):
        return SUFFIXES[suffix], ""
    return "", f"it is a zip archive of other files ({listed(names)}); unpack it and give the file of weights in it"
