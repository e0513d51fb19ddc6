"""Files that the C library refuses: a function that writes each, and a part of the message."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

import pyrnn
from pyrnn import nn


def layer(model: pyrnn.Module) -> Callable[[Path], None]:
    return lambda path: nn.Sequential(model).save(path)


def crafted(layers: str, **shapes: tuple[int, ...]) -> Callable[[Path], None]:
    """Writes a file with these layers, as JSON, and arrays of zeros; __ in a name stands for a dot."""
    arrays = {name.replace("__", "."): np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return lambda path: safetensors.numpy.save_file(arrays, path, metadata={"pyrnn": layers})


def described(kind: str, **config: Any) -> str:
    return json.dumps([{"name": "0", "type": kind, "config": config}])


def conv(**config: Any) -> str:
    inner = {"in_channels": 1, "out_channels": 1, **config}
    return described("ChannelsLast", layer={"type": "Conv1d", "config": inner})


def raw(**arrays: tuple[list[int], list[int]]) -> Callable[[Path], object]:
    """Writes a file of four bytes of data, with arrays of these shapes at these offsets."""
    header = json.dumps(
        {name: {"dtype": "F32", "shape": shape, "data_offsets": at} for name, (shape, at) in arrays.items()}
    )
    return lambda path: path.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))


def bytes_of(contents: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(contents)


def other_format(suffix: str) -> Callable[[Path], object]:
    """Writes weights in another format under the name of a .safetensors file."""

    def write(path: Path) -> None:
        other = path.with_suffix(suffix)
        pyrnn.save_state_dict(pyrnn.GRU(3, 4, seed=0).state_dict(), other)
        other.rename(path)

    return write


def cut(size: int) -> Callable[[Path], object]:
    """Writes the first `size` bytes of a sound file; a negative size leaves out so many at its end."""

    def write(path: Path) -> None:
        nn.Sequential(pyrnn.GRU(3, 4, seed=0)).save(path)
        path.write_bytes(path.read_bytes()[:size])

    return write


DEEP = '[{"name": "0", "type": "Sequential", "config": {"layers": ' * 5000 + "[]" + "}}]" * 5000
LINEAR = '"type": "Linear", "config": {"in_features": 1, "out_features": 1, "bias": false}}'
NESTED = f'{{"name": "a", "type": "Sequential", "config": {{"layers": [{{"name": "b", {LINEAR}]}}}}'
TWICE = f'[{{"name": "a.b", {LINEAR}, {NESTED}]'
SAVE_IT = r"; load it in Python with pyrnn\.load and save it as an nn\.Sequential to \.safetensors"
SAVE_MODEL = r"; save the model in Python as a pyrnn\.nn\.Sequential to \.safetensors"
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "another layer": (
        layer(nn.LayerNorm(4)),
        r'UNSUPPORTED: .* layer "0" \(LayerNorm\) is not supported; the C library has RNN, LSTM, GRU, Linear, Embedd',
    ),
    "another activation": (
        layer(nn.Activation("gelu")),
        r'UNSUPPORTED: .* layer "0" is the activation gelu, which needs functions whose bits differ',
    ),
    "an activation of no name": (
        crafted(described("Activation", name="gruss"), a=(1,)),
        r'INVALID_FILE: .* layer "0" \(Activation\): activation should be one of tanh, .*, got "gruss"',
    ),
    "a Conv1d of channels first": (
        layer(nn.Conv1d(3, 4, 5)),
        r'UNSUPPORTED: .* layer "0" is a Conv1d with its channels before the time; wrap it, ChannelsLast\(Conv1d\)',
    ),
    "a Conv1d that shortens": (
        layer(nn.ChannelsLast(nn.Conv1d(3, 4, 5))),
        r'UNSUPPORTED: .* layer "0" gives another number of steps than it takes: the stride should be 1, and the padd',
    ),
    "a Conv1d with a stride": (
        layer(nn.ChannelsLast(nn.Conv1d(3, 4, 5, 2, [(4, 0)]))),
        r'UNSUPPORTED: .* layer "0" gives another number of steps',
    ),
    "a Conv1d of two places": (
        crafted(conv(kernel_size=[2, 3]), a=(1,)),
        r"INVALID_FILE: .* should have kernel_size, a list of one number",
    ),
    "a Conv1d with a negative padding": (
        crafted(conv(kernel_size=[2], padding=[-1]), a=(1,)),
        r"INVALID_FILE: .* should have padding of zero or more",
    ),
    "a Conv1d with a long memory": (
        crafted(conv(kernel_size=[2], dilation=[2**24], padding=[[2**24, 0]]), a=(1,)),
        r'UNSUPPORTED: .* layer "0" looks back at dilation x kernel_size x in_channels = 16777216 x 2 x 1 numbers',
    ),
    "a Conv1d of uneven groups": (
        crafted(conv(kernel_size=[1], groups=2), a=(1,)),
        r"INVALID_FILE: .* groups should divide in_channels and out_channels",
    ),
    "another layer of channels last": (
        layer(nn.ChannelsLast(nn.MaxPool1d(2))),
        r'UNSUPPORTED: .* layer "0" is a ChannelsLast of "MaxPool1d", expected a Conv1d',
    ),
    "an Embedding in the middle": (
        layer(nn.Sequential(nn.Linear(2, 1), nn.Embedding(4, 3))),
        r'INVALID_FILE: .* layer "0\.1" \(Embedding\): it should be the first layer: its input are indices',
    ),
    "an Embedding without rows": (
        crafted(described("Embedding", num_embeddings=0, embedding_dim=1), a=(1,)),
        r'INVALID_FILE: .* layer "0" \(Embedding\): num_embeddings should be from 1 to 2\^24',
    ),
    "a Softmax over time": (
        layer(nn.Sequential(nn.Linear(2, 1), nn.Softmax(0))),
        r'UNSUPPORTED: .* layer "0\.1" should be a Softmax over the last axis, dim -1, got 0',
    ),
    "a layer after the last step": (
        lambda path: nn.Sequential(nn.Linear(2, 3), nn.LastStep(), pyrnn.GRU(3, 2)).save(path),
        r'INVALID_FILE: .* layer "2" \(GRU\): it stands after a LastStep, where there are no steps any more',
    ),
    "float64": (
        layer(pyrnn.GRU(3, 4, dtype=np.float64)),
        r'UNSUPPORTED: .* array "0\.weight_ih_l0" is of dtype F64; the C library takes float32 \(F32\) alone',
    ),
    "a quantized layer": (
        lambda path: pyrnn.GRU(3, 4).quantize("int8").save(path),
        r"UNSUPPORTED: .* the model \(Quantized\) is quantized; the C library computes in float32: save the",
    ),
    "a quantized network": (
        lambda path: nn.Sequential(pyrnn.GRU(3, 4)).quantize("bf16").save(path),
        r"UNSUPPORTED: .* the model \(QuantizedSequential\) is quantized; the C library computes in float32",
    ),
    "a cell alone": (
        lambda path: pyrnn.GRUCell(3, 4).save(path),
        r"UNSUPPORTED: .* the model \(GRUCell\) is not supported; the C library has RNN, LSTM, GRU",
    ),
    "a layer alone of wrong sizes": (
        crafted('{"type": "GRU", "config": {"input_size": 0, "hidden_size": 1}}', a=(1,)),
        r"INVALID_FILE: .* the model \(GRU\): input_size must be greater than zero, got 0",
    ),
    "an architecture that is a number": (crafted("3", a=(1,)), r"INVALID_FILE: .* its layers should be a list"),
    "no sizes": (layer(nn.Tanh()), r"UNSUPPORTED: .* it has no layer that tells its input size"),
    "weights alone": (
        lambda path: pyrnn.save_state_dict(pyrnn.GRU(3, 4).state_dict(), path),
        r"UNSUPPORTED: .* it holds weights alone, and no architecture; save the layer itself in Python, layer\.save",
    ),
    "layers that do not fit": (
        lambda path: nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)).save(path),
        r'INVALID_FILE: .* layer "1" \(Linear\): it takes 5 inputs, and the layer before has 4 outputs',
    ),
    "many layers": (
        crafted(described("GRU", input_size=1, hidden_size=1, num_layers=60000), a=(1,)),
        r'INVALID_FILE: .* layer "0" should have 60000 layers; the file has 1 arrays',
    ),
    "large layer": (
        crafted(described("GRU", input_size=1, hidden_size=10**7), a=(1,)),
        r'INVALID_FILE: .* array "0\.weight_ih_l0" is missing',
    ),
    "size past an int": (
        crafted(described("GRU", input_size=1, hidden_size=2**32 + 1), a=(1,)),
        r'INVALID_FILE: .* layer "0" \(GRU\) should have hidden_size, a whole number of 32 bits, got 4\.29497e\+09',
    ),
    "size of zero": (
        crafted(described("LSTM", input_size=0, hidden_size=1), a=(1,)),
        r'INVALID_FILE: .* layer "0" \(LSTM\): input_size must be greater than zero, got 0',
    ),
    "unknown argument": (
        crafted(described("Linear", in_features=1, out_features=1, bias=False, device="x"), **{"0__weight": (1, 1)}),
        r'INVALID_FILE: .* layer "0" \(Linear\) has an unknown argument, "device"',
    ),
    "wrong shape": (
        crafted(described("Linear", in_features=2, out_features=1), **{"0__weight": (1, 1)}),
        r'INVALID_FILE: .* array "0\.weight" should have shape \(1, 2\), got \(1, 1\)',
    ),
    "an array too many": (
        crafted(described("Linear", in_features=1, out_features=1, bias=False), a=(3,), **{"0__weight": (1, 1)}),
        r'INVALID_FILE: .* array "a" belongs to no layer',
    ),
    "an array of two layers": (
        crafted(TWICE, **{"a__b__weight": (1, 1)}),
        r'INVALID_FILE: .* array "a\.b\.weight" belongs to two layers',
    ),
    "deep": (crafted(DEEP, a=(1,)), r"INVALID_FILE: .* its architecture is no sound JSON: it is nested too deeply"),
    "a key twice": (crafted('{"a": 1, "a": 2}', a=(1,)), r"INVALID_FILE: .* a key stands twice"),
    "an array outside": (
        raw(a=([2], [0, 8])),
        r'INVALID_FILE: .* it is cut short: array "a" ends at byte 8 after the header, and the file has',
    ),
    "an array backwards": (
        raw(a=([1], [4, 0])),
        r'INVALID_FILE: .* array "a" should have data_offsets in order, got 4 and 0',
    ),
    "arrays that overlap": (raw(a=([1], [0, 4]), b=([1], [0, 4])), r"INVALID_FILE: .* its arrays overlap"),
    "a byte too many": (raw(a=([0], [0, 0])), r"INVALID_FILE: .* bytes follow its last array"),
    "another size": (raw(a=([2], [0, 4])), r'INVALID_FILE: .* array "a" should have 8 bytes by its shape, got 4'),
    "2^64 bytes": (raw(a=([2**31, 2**31], [0, 0])), r'INVALID_FILE: .* array "a" is too large'),
    "a text": (bytes_of(b"no model at all"), rf"INVALID_FILE: .* it is no \.safetensors file{SAVE_MODEL}"),
    "nothing": (Path.touch, r"INVALID_FILE: .* it is empty: it has 0 bytes"),
    "a pointer of Git LFS": (
        bytes_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
        r"INVALID_FILE: .* it is a pointer of Git LFS, not the file itself; get the file with git lfs pull",
    ),
    "a .pt": (other_format(".pt"), rf"INVALID_FILE: .* but a PyTorch file \(\.pt, \.pth, \.ckpt\){SAVE_IT}"),
    "an .npz": (other_format(".npz"), rf"INVALID_FILE: .* but a NumPy archive \(\.npz\){SAVE_IT}"),
    "a zip": (bytes_of(b"PK\x03\x04" + bytes(60)), r"INVALID_FILE: .* but a zip archive; unpack it"),
    "an old .pt": (
        bytes_of(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
        r"INVALID_FILE: .* before torch 1\.6; if you trust it, convert it in Python: torch\.save\(torch\.load\(path",
    ),
    "an .h5": (
        bytes_of(b"\x89HDF\r\n\x1a\n" + bytes(90)),
        rf"INVALID_FILE: .* but an HDF5 file, as Keras.s \.h5{SAVE_IT}",
    ),
    "an .onnx": (bytes_of(b"\x08\x08\x12\x07pytorch\x1a\x032.1:"), rf"INVALID_FILE: .* but an ONNX file{SAVE_IT}"),
    "a .tflite": (
        bytes_of(b"\x1c\0\0\0TFL3" + bytes(30)),
        rf"INVALID_FILE: .* but a TensorFlow Lite file.*{SAVE_MODEL}",
    ),
    "JSON": (
        bytes_of(b'\xef\xbb\xbf {"layers": []}'),
        rf"INVALID_FILE: .* but JSON text, and no list of layers{SAVE_MODEL}",
    ),
    "a list in JSON": (bytes_of(b'[{"type": "lstm"}]'), rf"INVALID_FILE: .* but JSON text{SAVE_IT}"),
    "a web page": (
        bytes_of(b"\n<!DOCTYPE HTML><html><title>404</title></html>"),
        r"INVALID_FILE: .* it is a web page, not the file behind it; download the file itself",
    ),
    "a file cut within its header": (
        cut(100),
        r"INVALID_FILE: .* it is cut short: it has 100 bytes, and its header alone should have \d+; get the",
    ),
    "a file cut within its arrays": (
        cut(-1),
        r'INVALID_FILE: .* it is cut short: array "0\.\w+" ends at byte \d+ after the header, and the file has only ',
    ),
    "a name that no terminal prints": (
        crafted(described("\x7f\u4e2d\U0001f600\\"), a=(1,)),
        r'UNSUPPORTED: .* layer "0" \(\\x7f\\u4e2d\\U0001f600\\\\\) is not supported',
    ),
    "a name that is an article": (
        crafted(json.dumps([{"name": "n" * 300, "type": "GRU", "config": {"n" * 300: 0}}]), a=(1,)),
        rf'INVALID_FILE: .* layer "{"n" * 100}\.\.\." \(GRU\) should have input_size, a whole number$',
    ),
    "a name of a book": (
        crafted(json.dumps([{"name": "n" * 2000, "type": "GRU", "config": {}}]), a=(1,)),
        r'INVALID_FILE: .* layer "n*\.\.\." should have a name of at most 1000 bytes',
    ),
}
