"""pyrnn.load reads every format, finds the layer in a checkpoint, and takes the options that weights do not tell."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
import torch
from keras_files import described, keras2_file

import pyrnn
from pyrnn import nn
from pyrnn.io import notebook, onnx

X = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
STATE_DICTS = ["model.pt", "model.pth", "model.npz", "model.safetensors", "MODEL.PT"]


def network() -> nn.Sequential:
    lstm = pyrnn.LSTM(3, 5, batch_first=True, seed=0)
    return nn.Sequential(lstm, nn.LastStep(batch_first=True), nn.Linear(5, 2, seed=1)).eval()


@pytest.mark.parametrize("name", STATE_DICTS)
def test_a_state_dict_loads_as_its_layer(tmp_path: Path, name: str) -> None:
    saved = pyrnn.GRU(3, 5, num_layers=2, bidirectional=True, seed=0)
    pyrnn.save_state_dict(saved.state_dict(), tmp_path / name)
    loaded = pyrnn.load(tmp_path / name)
    assert repr(loaded) == repr(saved)
    assert not loaded.training
    np.testing.assert_array_equal(loaded(X)[0], saved(X)[0])


def test_options_of_load_complete_the_weights(tmp_path: Path) -> None:
    saved = pyrnn.GRU(3, 5, reset_after=False, batch_first=True, seed=0)
    pyrnn.save_state_dict(saved.state_dict(), tmp_path / "model.pt")
    loaded = pyrnn.load(tmp_path / "model.pt", reset_after=False, batch_first=True)
    np.testing.assert_array_equal(loaded(X)[0], saved(X)[0])


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda model, path: model.save(path), "model.safetensors"),
        (onnx.save, "model.onnx"),
        (lambda model, path: notebook.save(model, path), "model.json"),
    ],
    ids=["safetensors", "onnx", "json"],
)
def test_a_saved_model_loads_whole(tmp_path: Path, write: Any, name: str) -> None:
    model = network()
    write(model, tmp_path / name)
    loaded = pyrnn.load(tmp_path / name, **({"dtype": "float32"} if name.endswith("json") else {}))
    assert isinstance(loaded, nn.Sequential)
    assert not loaded.training
    np.testing.assert_array_equal(loaded(X), model(X))


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.keras"])
def test_a_file_of_keras_is_loaded(tmp_path: Path, name: str) -> None:
    arrays = {"out/out/kernel:0": np.eye(3), "out/out/bias:0": [0, 0, 1]}
    path = keras2_file(tmp_path / name, [described("Dense", "out", units=3)], arrays)
    np.testing.assert_array_equal(pyrnn.load(path)(X[0]), X[0] + np.float32([0, 0, 1]))


# -- checkpoints -------------------------------------------------------------------------------------------


class Tagger(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.GRU(3, 5)
        self.decoder = torch.nn.LSTM(5, 4)
        self.out = torch.nn.Linear(4, 2)


def test_a_checkpoint_is_searched_for_its_layer(tmp_path: Path) -> None:
    gru = torch.nn.GRU(3, 5)
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in gru.state_dict().items()}}, tmp_path / "a.pt")
    loaded = pyrnn.load(tmp_path / "a.pt")
    assert repr(loaded) == "GRU(3, 5)"
    np.testing.assert_array_equal(loaded.weight_hh_l0, gru.weight_hh_l0.detach().numpy())


def test_a_file_of_several_layers_needs_a_prefix(tmp_path: Path) -> None:
    torch.save({"model": Tagger().state_dict()}, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"holds 2 recurrent layers") as caught:
        pyrnn.load(tmp_path / "a.pt")
    assert 'prefix="model.encoder."' in str(caught.value)
    assert 'prefix="model.decoder."' in str(caught.value)
    assert repr(pyrnn.load(tmp_path / "a.pt", prefix="model.decoder.")) == "LSTM(5, 4)"


def test_a_recurrent_layer_among_others_needs_a_prefix(tmp_path: Path) -> None:
    state = {k: v for k, v in Tagger().state_dict().items() if not k.startswith("decoder")}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"2 arrays of others \(.out.weight., .out.bias.\)") as caught:
        pyrnn.load(tmp_path / "a.pt")
    assert 'prefix="encoder."' in str(caught.value)
    assert repr(pyrnn.load(tmp_path / "a.pt", prefix="encoder.")) == "GRU(3, 5)"


# -- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors", ".keras", ".h5", ".onnx", ".json"])
def test_a_missing_or_damaged_file_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        pyrnn.load(tmp_path / f"none{suffix}")
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"\x07 no file of any kind" * 20)
    with pytest.raises(ValueError, match="cannot be loaded: ") as caught:
        pyrnn.load(path)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize(
    ("name", "head", "known"),
    [
        ("a.json", b"[]", "return_sequences, dtype, recurrent"),
        ("a.onnx", b"\x08\x0a\x3a\x00", "output"),
        ("a.keras", b"\x89HDF\r\n\x1a\n", "no options"),
    ],
)
def test_an_option_that_the_format_has_not_is_refused(tmp_path: Path, name: str, head: bytes, known: str) -> None:
    (tmp_path / name).write_bytes(head)
    with pytest.raises(TypeError, match=rf"takes (only )?{known}, got batch_first="):
        pyrnn.load(tmp_path / name, batch_first=True)


def test_arrays_without_a_recurrent_layer_are_refused(tmp_path: Path) -> None:
    pyrnn.save_state_dict({"weight": np.eye(2)}, tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"expected weight_ih_l0 and weight_hh_l0 .* which has: .weight"):
        pyrnn.load(tmp_path / "a.npz")


def test_arrays_that_do_not_fit_raise_value_error(tmp_path: Path) -> None:
    state = {**pyrnn.GRU(3, 5).state_dict(), "bias_hh_l0": np.zeros(4)}
    pyrnn.save_state_dict(state, tmp_path / "a.npz")
    with pytest.raises(ValueError, match="size mismatch for bias_hh_l0"):
        pyrnn.load(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("package", "name", "head"),
    [
        ("pyfive", "a.h5", b"\x89HDF\r\n\x1a\n"),
        ("onnx", "a.onnx", b"\x08\x0a\x3a\x00"),
        ("safetensors", "a.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
    ],
)
def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str, name: str, head: bytes
) -> None:
    (tmp_path / name).write_bytes(head)
    for loaded in [one for one in sys.modules if one == package or one.startswith(f"{package}.")]:
        monkeypatch.setitem(sys.modules, loaded, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"pip install \"pyrnn-cpu\["):
        pyrnn.load(tmp_path / name)
