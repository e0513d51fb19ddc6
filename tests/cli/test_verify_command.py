"""`pyrnn verify` prints the first difference and ends with the exit code that says whether there is one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")
pytest.importorskip("typer")

import h5py
import numpy as np
from command_files import call, checkpoint, keras_model, network
from keras_files import KERAS_WARNS, built, keras, sequences

import pyrnn
from pyrnn.io import onnx

pytestmark = [*KERAS_WARNS, pytest.mark.usefixtures("wide")]

Capture = pytest.CaptureFixture[str]


def data(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def test_agreement_gives_exit_code_0(tmp_path: Path, capsys: Capture) -> None:
    model, x = keras_model(tmp_path / "model.keras"), data(tmp_path / "x.npy", sequences())
    assert call("verify", model, "--against", "keras", "--data", x) == 0
    printed = capsys.readouterr().out
    assert f"{model} agrees with keras to " in printed
    assert [line.split()[:2] for line in printed.splitlines()[3:5]] == [["rnn", "LSTM"], ["out", "Dense"]]


def test_a_difference_is_named_and_gives_exit_code_1(tmp_path: Path, capsys: Capture) -> None:
    layers = [keras.layers.LSTM(5, recurrent_activation="hard_sigmoid", name="hard"), keras.layers.Dense(2)]
    built(layers, sequences()).save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "a") as file:
        file.attrs["keras_version"] = b"2.3.1"  # pyrnn then reads the hard_sigmoid of Keras 2, Keras 3 its own
    x = data(tmp_path / "x.npy", sequences())
    assert call("verify", tmp_path / "model.h5", "--against", "keras", "--data", x) == 1
    assert (
        "differs from keras: the first difference is in layer 'hard', step 0, gate i (row" in capsys.readouterr().out
    )
    assert call("verify", tmp_path / "model.h5", "--against", "keras", "--data", x, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    first = found["first"]
    assert (found["agrees"], first["layer"], first["step"], first["gate"]) == (False, "hard", 0, "i")
    assert call("verify", tmp_path / "model.h5", "--against", "keras", "--data", x, "--tolerance", "1") == 0


def test_verify_compares_a_layer_with_torch(tmp_path: Path, capsys: Capture) -> None:
    x = data(tmp_path / "x.npy", np.ones((2, 7, 3)))
    model = checkpoint(tmp_path / "model.pt")
    options = ["--data", x, "--prefix", "model.encoder.", "--batch-first", "--json"]
    assert call("verify", model, "--against", "torch", *options) == 0
    assert [layer["name"] for layer in json.loads(capsys.readouterr().out)["layers"]] == ["l0"]


def test_verify_compares_a_graph_with_onnxruntime(tmp_path: Path, capsys: Capture) -> None:
    onnx.save(network(), tmp_path / "model.onnx")
    x = data(tmp_path / "x.npy", np.ones((2, 7, 3), np.float32))
    assert call("verify", tmp_path / "model.onnx", "--against", "onnxruntime", "--data", x, "--json") == 0
    assert "GRU" in [layer["kind"] for layer in json.loads(capsys.readouterr().out)["layers"]]


@pytest.mark.parametrize(
    ("model", "against", "values", "because"),
    [
        ("model.pt", "keras", "x.npy", "against keras,"),
        ("model.pt", "torch", "model.pt", "should be a .npy file of numbers"),
        ("model.pt", "torch", "none.npy", "No such file"),
        ("model.pt", "torch", "x.npy", "it holds 2 recurrent layers"),
        ("model.onnx", "onnxruntime", "wide.npy", "index: 2 Got: 4 Expected: 3"),
    ],
    ids=str,
)
def test_a_model_that_cannot_be_verified_gives_exit_code_2(
    tmp_path: Path, capsys: Capture, model: str, against: str, values: str, because: str
) -> None:
    checkpoint(tmp_path / "model.pt")
    onnx.save(network(), tmp_path / "model.onnx")
    data(tmp_path / "x.npy", np.ones((7, 2, 3)))
    data(tmp_path / "wide.npy", np.ones((2, 7, 4), np.float32))
    assert call("verify", tmp_path / model, "--against", against, "--data", tmp_path / values) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pyrnn: ")
    assert printed.err.count("\n") == 1
    assert because in printed.err


@pytest.mark.parametrize(("package", "model"), [("keras", "m.keras"), ("torch", "m.pt"), ("onnxruntime", "m.onnx")])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, package: str, model: str
) -> None:
    keras_model(tmp_path / "m.keras")
    pyrnn.save_state_dict(pyrnn.GRU(3, 5).state_dict(), tmp_path / "m.pt")
    onnx.save(network(), tmp_path / "m.onnx")
    x = data(tmp_path / "x.npy", sequences() if package == "keras" else np.ones((2, 7, 3), np.float32))
    monkeypatch.setitem(sys.modules, package, None)
    assert call("verify", tmp_path / model, "--against", package, "--data", x) == 2
    assert f'verify against {package} needs {package}: pip install "pyrnn-cpu[' in capsys.readouterr().err
