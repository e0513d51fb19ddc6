"""A failed save is explained in a sentence and leaves the old file as it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyrnn.weights.files import FORMATS, load_state_dict, save_state_dict

SAFETENSORS = pytest.param(".safetensors", marks=pytest.mark.safetensors)
SUFFIXES = [SAFETENSORS if suffix == ".safetensors" else suffix for suffix in FORMATS]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "value",
    [
        np.ones(1, np.complex64),
        np.array(["text"]),
        pytest.param(object(), id="object"),
        {1},
        b"bytes",
        np.ones(1, np.longdouble),
    ],
    ids=repr,
)
def test_a_value_that_no_file_can_hold_raises_type_error(value: Any, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"layer\.weight|layer"):
        save_state_dict({"layer.weight": value}, tmp_path / f"model{suffix}")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("state_dict", [[("weight", np.ones(1))], {1: np.ones(1)}], ids=repr)
def test_an_argument_that_is_no_state_dict_raises_type_error(state_dict: Any, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"mapping of names|should be strings"):
        save_state_dict(state_dict, tmp_path / f"model{suffix}")


@pytest.mark.parametrize("suffix", [".npz", SAFETENSORS])
def test_only_pt_holds_nested_dicts(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"model is a mapping: only \.pt"):
        save_state_dict({"model": {"weight": np.ones(1)}}, tmp_path / f"model{suffix}")


def test_endless_nesting_and_odd_keys_are_refused(tmp_path: Path) -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        save_state_dict(endless, tmp_path / "model.pt")
    with pytest.raises(TypeError, match='keys of "nested" should be strings or numbers'):
        save_state_dict({"nested": {(1, 2): 3}}, tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("name", "suffix"),
    [pytest.param("__metadata__", ".safetensors", marks=pytest.mark.safetensors), ("nul\0", ".npz")],
)
def test_names_that_a_format_cannot_hold_are_refused(name: str, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        save_state_dict({name: np.ones(1)}, tmp_path / f"model{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        save_state_dict({"fine": np.ones(1), "wrong": object()}, path)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_of_the_disk_leaves_the_old_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        save_state_dict({"fine": np.ones(1)}, path)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_replaced_file_keeps_its_mode_and_links_to_it(suffix: str, tmp_path: Path) -> None:
    path, link = tmp_path / f"model{suffix}", tmp_path / f"link{suffix}"
    path.touch(mode=0o600)
    link.symlink_to(path)
    save_state_dict({"weight": np.ones(1)}, link)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_state_dict(path)["weight"] == 1


@pytest.mark.parametrize("name", ["model.bin", "model", "model.pt.gz"])
def test_writing_to_an_unknown_suffix_names_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.pt, \.pth, \.safetensors, \.npz"):
        save_state_dict({}, tmp_path / name)


@pytest.mark.parametrize("suffix", [*FORMATS, ".PT"])
def test_a_missing_file_or_folder_raises_file_not_found(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="model"):
        load_state_dict(tmp_path / f"model{suffix}")
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_state_dict({}, tmp_path / "missing" / f"model{suffix}")


@pytest.mark.safetensors
def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state_dict({}, tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    for call in (load_state_dict, lambda path: save_state_dict({}, path)):
        with pytest.raises(ImportError, match=r'pip install "pyrnn-cpu\[safetensors\]"'):
            call(tmp_path / "model.safetensors")
