"""Files that hold no weights: a name, the content, and a part of the sentence that refuses them."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch


def tarred() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        file.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return stream.getvalue()


def saved(save: Callable[[Any], Any]) -> bytes:
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


STATE = torch.nn.GRU(3, 5).state_dict()
OTHERS: dict[str, tuple[bytes, str]] = {
    "Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n",
        "it is a pointer of Git LFS; get the file with git lfs pull",
    ),
    "HTML": (b"\n<!DOCTYPE html>\n<html lang='en'>", "web page.*failed download"),
    "html": (b"\xef\xbb\xbf<HTML><head><title>404", "web page.*failed download"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML.*failed download"),
    "nothing": (b"", "it is empty"),
    "gzip": (gzip.compress(b"x" * 100), "gzip; unpack it"),
    "bzip2": (bz2.compress(b"x"), "bzip2; unpack it"),
    "xz": (lzma.compress(b"x"), "xz; unpack it"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "zstd; unpack it"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(20), "archive; unpack it"),
    "tar": (tarred(), r"tar archive.*torch\.save\(torch\.load\(path\), new_path\)"),
    "zip of others": (zipped("a/readme.txt", "weights.dat"), r'zip archive of other files \("a/readme\.txt"'),
    "cut zip": (zipped("model/data.pkl")[:40], "cut off or damaged"),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(40), "GGUF"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(40), "TensorFlow Lite"),
    "SavedModel": (b"\x08\x01\x12\xa8\x01" + bytes(40), "SavedModel"),
    "one array": (saved(lambda file: np.save(file, np.ones(3))), r"\.npy file.*numpy\.load"),
    "pickle": (pickle.dumps({"weight_ih_l0": [1.0]}), r"bare pickle.*if you trust it"),
    "old torch": (
        saved(lambda file: torch.save(STATE, file, _use_new_zipfile_serialization=False)),
        r"before 1\.6.*torch\.save\(torch\.load\(path\), new_path\)",
    ),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: PCWIN64" + bytes(100), r"\.mat file"),
    "PDF": (b"%PDF-1.7\n", "document"),
    "program": (b"\x7fELF\x02\x01\x01" + bytes(50), "program"),
    "noise": (b"\x07\xfe\x9d\x1b[31m" + bytes(range(200, 250)), "of no known format"),
    "text": (b"weights of my model, version 3", "of no known format.*weights of my"),
}
