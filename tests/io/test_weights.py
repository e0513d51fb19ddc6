"""Weights files keep every bit there and back, and are exchanged with the libraries that own the formats."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

from pyrnn.weights.files import FORMATS, load_state_dict, save_state_dict

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16"]
DTYPES += ["uint8", "bool"]

ARRAYS = {dtype: (np.arange(6).reshape(2, 3) % 2).astype(dtype) for dtype in DTYPES} | {
    "odd values": np.array([-0.0, 1e-40, np.inf, -np.inf, np.nan], np.float32),
    "0-d": np.array(2.5),
    "empty": np.zeros((0, 3), np.float32),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "big-endian": np.arange(3, dtype=">f8"),
    "every second": np.arange(6.0)[::2],
    "backwards": np.arange(6.0)[::-1],
    "one backwards": np.arange(1.0)[::-1],
    "a/b.npy": np.ones(1),
    "file": np.ones(1),
    "größe": np.ones(1),
    "": np.ones(1),
}


def assert_same(ours: Any, given: Any) -> None:
    """Asserts equal structure and bits, in plain containers and independent writable arrays."""
    if isinstance(given, torch.Tensor):
        tensor = given.detach()
        given = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    if isinstance(given, np.ndarray):
        assert type(ours) is np.ndarray
        assert ours.dtype == given.dtype.newbyteorder("=")
        assert ours.shape == given.shape
        assert ours.tobytes() == given.astype(ours.dtype).tobytes()
        assert ours.flags.c_contiguous
        assert ours.flags.writeable
        assert ours.dtype.isnative
    elif isinstance(given, dict):
        assert type(ours) is dict
        assert [*ours] == [*given]
        for name in given:
            assert_same(ours[name], given[name])
    elif isinstance(given, (list, tuple)):
        assert type(ours) is (list if isinstance(given, list) else tuple)
        assert len(ours) == len(given)
        for our, other in zip(ours, given, strict=True):
            assert_same(our, other)
    else:
        assert type(ours) is type(given)
        assert ours == given


def trained() -> dict[str, Any]:
    """A usual checkpoint: state dicts of model, optimizer and schedule after some steps, and numbers."""
    model = torch.nn.GRU(3, 4, num_layers=2, bidirectional=True)
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 2, 3])
    for _ in range(3):
        model(torch.ones(5, 2, 3))[0].sum().backward()
        optimizer.step()
        schedule.step()
    states: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    numbers = {"epoch": 3, "loss": 0.25, "best": None, "done": True, "far": -(2**70), "note": "größe\n"}
    return {name: part.state_dict() for name, part in states.items()} | numbers


# Functions that make the values for torch.save, by name.
TORCH_VALUES: dict[str, Callable[[], dict[str, Any]]] = {
    "lstm": torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2).state_dict,
    "gru": torch.nn.GRU(3, 5, dtype=torch.float64).state_dict,
    "layer norm and embedding": torch.nn.Sequential(torch.nn.Embedding(3, 4), torch.nn.LayerNorm(4)).state_dict,
    "dtypes": lambda: {name: torch.arange(3).to(getattr(torch, name)) for name in [*DTYPES, "bfloat16"]},
    "bfloat16": lambda: {"": torch.tensor([1.5, -0.0, torch.inf, 1e-40, 3.1]).bfloat16()},
    "bfloat16 0-d": lambda: {"": torch.tensor(1.5).bfloat16()},
    "half strided": lambda: {"": torch.arange(12).half().reshape(3, 4).T[::2, 1:]},
    "0-d": lambda: {"float": torch.tensor(1.5), "bool": torch.tensor(True)},
    "empty": lambda: {"": torch.empty(0, 3), "end of storage": torch.ones(4)[4:]},
    "views": lambda: {"": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1)[1:, :, ::2]},
    "expanded": lambda: {"": torch.arange(3.0).expand(4, 3)},
    "parameters": lambda: {
        "": torch.nn.Parameter(torch.ones(2)),
        "frozen": torch.nn.Parameter(torch.ones(1), False),
    },
    "size, device": lambda: {"device": "cuda:1", "cpu": "cpu", "size": (2, 3)},
    "numbers": lambda: {
        "": [1, 2**31, -(2**31) - 1, 10**30, 0.1, (), {}, [], [None, True]],
        "x": {1: 2, None: 3},
    },
    "checkpoint": trained,
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", TORCH_VALUES)
def test_files_of_torch_are_read_bit_for_bit(value: str, protocol: int, tmp_path: Path) -> None:
    given = TORCH_VALUES[value]()
    torch.save(given, tmp_path / "model.pt", pickle_protocol=protocol)
    assert_same(load_state_dict(tmp_path / "model.pt"), given)


def test_torch_values_without_a_plain_type_are_read(tmp_path: Path) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.note = "kept by _rebuild_parameter_with_state"  # type: ignore[attr-defined]
    given = {
        "parameter": parameter,
        "device": torch.device("cuda:1"),
        "cpu": torch.device("cpu"),
        "size": torch.Size([2, 3]),
        "dtype": torch.float32,
        "counter": collections.Counter("aab"),
    }
    torch.save(given, tmp_path / "model.pt")
    plain = {
        "device": "cuda:1",
        "cpu": "cpu",
        "size": (2, 3),
        "dtype": "torch.float32",
        "counter": {"a": 2, "b": 1},
    }
    assert_same(load_state_dict(tmp_path / "model.pt"), {"parameter": parameter} | plain)


def test_tensors_on_one_storage_are_read_as_independent_arrays(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    given = {"whole": whole, "again": whole, "head": whole[:2], "list": [whole, whole], "tail": whole[2:]}
    torch.save(given, tmp_path / "model.pt")
    loaded = load_state_dict(tmp_path / "model.pt")
    assert_same(loaded, given)
    loaded["whole"][:] = -1
    del given["whole"], loaded["whole"]
    assert_same(loaded, given)


def test_a_file_of_a_big_endian_machine_is_read(tmp_path: Path) -> None:
    given = TORCH_VALUES["dtypes"]()
    torch.save(given, tmp_path / "little.pt")
    sizes = [tensor.element_size() for tensor in given.values()]
    with zipfile.ZipFile(tmp_path / "little.pt") as little, zipfile.ZipFile(tmp_path / "big.pt", "w") as big:
        for name in little.namelist():
            data = b"big" if name.endswith("byteorder") else little.read(name)
            if "/data/" in name:
                size = sizes[int(name.rpartition("/")[2])]
                data = np.frombuffer(data, f"V{size}").view(np.uint8).reshape(-1, size)[:, ::-1].tobytes()
            big.writestr(name, data)
    loaded = load_state_dict(tmp_path / "big.pt")
    assert_same(loaded, given)
    for name, tensor in torch.load(tmp_path / "big.pt").items():
        if name not in {"uint64", "uint32", "uint16"}:  # torch 2.13 forgets to swap the bytes of these
            assert_same(loaded[name], tensor)


@pytest.mark.parametrize("options", [{"weights_only": True}, {"weights_only": False}, {"mmap": True}], ids=str)
def test_torch_reads_the_files_of_pyrnn(options: dict[str, Any], tmp_path: Path) -> None:
    numbers = {"numbers": TORCH_VALUES["numbers"](), "tuple": (1, "two")}
    save_state_dict(ARRAYS | {"nested": {"list": [ARRAYS, 1.5]}} | numbers, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", **options)
    assert loaded.pop("numbers") == numbers["numbers"]
    assert loaded.pop("tuple") == numbers["tuple"]
    nested = loaded.pop("nested")["list"]
    assert nested[1] == 1.5
    for tensors in (loaded, nested[0]):
        assert_same({name: tensor.numpy() for name, tensor in tensors.items()}, ARRAYS)


def test_records_are_aligned_as_torch_aligns_them(tmp_path: Path) -> None:
    save_state_dict(ARRAYS, tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "model.pt") as archive:
        for entry in archive.infolist():
            start = entry.header_offset
            name, extra = np.frombuffer(content, "<u2", count=2, offset=start + 26)
            assert (start + 30 + int(name) + int(extra)) % 64 == 0


@pytest.mark.parametrize("model", [torch.nn.LSTM(3, 5, 2), torch.nn.GRU(3, 5, bidirectional=True)], ids=str)
@pytest.mark.parametrize("suffix", FORMATS)
def test_state_dicts_of_torch_layers_go_there_and_back(model: torch.nn.Module, suffix: str, tmp_path: Path) -> None:
    save_state_dict(model.state_dict(), tmp_path / f"model{suffix}")
    loaded = load_state_dict(tmp_path / f"model{suffix}")
    given = model.state_dict()
    assert [*loaded] == (sorted(given) if suffix == ".safetensors" else [*given])
    assert_same({name: loaded[name] for name in given}, dict(given))


def test_a_checkpoint_goes_there_and_back_through_torch(tmp_path: Path) -> None:
    checkpoint = trained()
    save_state_dict(checkpoint, tmp_path / "ours.pt")
    model = torch.nn.GRU(3, 4, num_layers=2, bidirectional=True)
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=True)
    loaded = torch.load(tmp_path / "ours.pt", weights_only=True)
    model.load_state_dict(loaded["model"])
    optimizer.load_state_dict(loaded["optimizer"])
    assert_same(load_state_dict(tmp_path / "ours.pt"), checkpoint)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    assert_same(load_state_dict(tmp_path / "optimizer.pt"), checkpoint["optimizer"])


@pytest.mark.parametrize("suffix", FORMATS)
def test_arrays_go_there_and_back(suffix: str, tmp_path: Path) -> None:
    save_state_dict(ARRAYS, tmp_path / f"model{suffix}")
    loaded = load_state_dict(str(tmp_path / f"model{suffix}"))
    assert_same({name: loaded[name] for name in ARRAYS}, ARRAYS)  # safetensors sorts the names
    assert len(loaded) == len(ARRAYS)


def test_npz_files_are_exchanged_with_numpy_both_ways(tmp_path: Path) -> None:
    save_state_dict(ARRAYS, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as archive:
        for name in ARRAYS:
            np.testing.assert_array_equal(archive[f"{name}.npy"], ARRAYS[name])
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    given: dict[str, Any] = {"fortran": fortran, "bool": np.array([True, False])}
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "theirs.npz", **given)
        assert_same(load_state_dict(tmp_path / "theirs.npz"), given)


def test_safetensors_files_are_exchanged_with_its_library_both_ways(tmp_path: Path) -> None:
    save_state_dict(ARRAYS, tmp_path / "ours.safetensors")
    theirs = safetensors.numpy.load_file(tmp_path / "ours.safetensors")
    assert_same({name: theirs[name] for name in ARRAYS}, ARRAYS)
    given = TORCH_VALUES["dtypes"]()
    safetensors.torch.save_file(given, tmp_path / "theirs.safetensors", metadata={"format": "pt"})
    loaded = load_state_dict(tmp_path / "theirs.safetensors")
    assert_same({name: loaded[name] for name in given}, given)


def test_array_likes_are_saved(tmp_path: Path) -> None:
    given = {"list": [[1.0, 2.0]], "tensor": torch.ones(2, requires_grad=True), "mask": torch.tensor([True])}
    given |= {"scalar": np.float32(2), "half": torch.tensor([1.5]).bfloat16()}
    save_state_dict(given, tmp_path / "model.npz")
    arrays = {name: np.asarray(given[name]) for name in ("list", "scalar")}
    arrays |= {
        "tensor": np.ones(2, np.float32),
        "mask": np.array([True]),
        "half": np.array([1.5], np.float32),
    }
    assert_same(load_state_dict(tmp_path / "model.npz"), {name: arrays[name] for name in given})


def test_neither_torch_nor_an_optional_package_is_imported(tmp_path: Path) -> None:
    torch.save(trained(), tmp_path / "model.pt")
    program = """
import sys
from pyrnn import load_state_dict, save_state_dict
for path in sys.argv[1:]:
    save_state_dict(load_state_dict(path), path)
assert not {"torch", "safetensors"} & set(sys.modules), "imported"
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, str(tmp_path / "model.pt")]
    subprocess.run(command, check=True, env=environment, timeout=60)
    assert_same(load_state_dict(tmp_path / "model.pt")["epoch"], 3)
