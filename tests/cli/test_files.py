"""`pyrnn inspect` prints what a file holds, and `pyrnn convert` writes it in another format or refuses."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")
pytest.importorskip("typer")

import numpy as np
from command_files import call, checkpoint, keras_model, network
from keras_files import KERAS_WARNS, described, keras2_file, keras2_weights, sequences

import pyrnn
from pyrnn import nn
from pyrnn.io import notebook

pytestmark = [*KERAS_WARNS, pytest.mark.usefixtures("wide")]

Capture = pytest.CaptureFixture[str]


# -- help --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "example"),
    [
        ("inspect", "pyrnn inspect model.keras"),
        ("convert", "pyrnn convert model.keras model.onnx"),
        ("verify", "pyrnn verify model.keras --against keras --data x.npy"),
    ],
)
def test_help_shows_examples(capsys: Capture, command: str, example: str) -> None:
    assert call(command, "--help") == 0
    printed = capsys.readouterr().out
    assert example in [line.strip() for line in printed.splitlines()]
    assert call("--help") == 0
    assert f"  {command} " in capsys.readouterr().out


# -- inspect -----------------------------------------------------------------------------------------------


def inspected(capsys: Capture, path: Path) -> dict[str, Any]:
    assert call("inspect", path, "--json") == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_inspect_lists_a_model_layer_by_layer(tmp_path: Path, capsys: Capture) -> None:
    found = inspected(capsys, keras_model(tmp_path / "model.keras"))
    assert found["holds"] == "a model"
    assert [(part["name"], part["kind"]) for part in found["layers"]] == [
        ("rnn", "LSTM"), ("rnn_last_step", "LastStep"), ("out", "Linear"), ("out_softmax", "Softmax"),
    ]  # fmt: skip
    assert found["layers"][0]["shapes"]["weight_ih_l0"] == [20, 4]
    assert found["parameters"] == sum(part["parameters"] for part in found["layers"])
    assert (found["dtypes"], found["notes"]) == (["float32"], [])


def test_inspect_prints_a_table_of_shapes_and_counts(tmp_path: Path, capsys: Capture) -> None:
    network().save(tmp_path / "model.safetensors")
    assert call("inspect", tmp_path / "model.safetensors") == 0
    printed = capsys.readouterr().out
    assert "GRU(3, 5, batch_first=True)" in printed
    assert "weight_hh_l0 [15, 5]" in printed
    assert printed.splitlines()[0] == f"{tmp_path / 'model.safetensors'}: a model, float32"
    assert ["total", "162"] in [line.split() for line in printed.splitlines()]  # 15*3 + 15*5 + 2*15, 5*2 + 2


def test_inspect_finds_the_layers_of_a_torch_checkpoint(tmp_path: Path, capsys: Capture) -> None:
    found = inspected(capsys, checkpoint(tmp_path / "model.pt"))
    assert found["holds"] == "weights alone"
    assert [(part["name"], part["kind"]) for part in found["layers"]] == [
        ("model.encoder", "GRU"), ("model.decoder", "RNN"), ("model.out", "arrays"),
    ]  # fmt: skip
    assert found["layers"][2]["shapes"] == {"weight": [2, 4], "bias": [2]}
    encoder, decoder, advice = found["notes"]
    assert "GRU model.encoder.: the weights do not tell reset_after" in encoder
    assert "nonlinearity (tanh or relu)" in decoder
    assert 'prefix="model.encoder.", prefix="model.decoder."' in advice


def test_inspect_lists_arrays_that_belong_to_no_layer(tmp_path: Path, capsys: Capture) -> None:
    pyrnn.save_state_dict({"conv.weight": np.zeros((2, 3)), "conv.bias": np.zeros(2)}, tmp_path / "a.npz")
    found = inspected(capsys, tmp_path / "a.npz")
    assert found["layers"] == [
        {"name": "conv", "kind": "arrays", "options": "", "shapes": {"weight": [2, 3], "bias": [2]}, "parameters": 8}
    ]
    assert found["notes"][0].startswith("no recurrent layer in torch's names")


def test_weights_of_keras_alone_say_what_is_open(tmp_path: Path, capsys: Capture) -> None:
    arrays = {"lstm/lstm/kernel:0": np.zeros((3, 8)), "lstm/lstm/recurrent_kernel:0": np.zeros((2, 8))}
    found = inspected(capsys, keras2_weights(tmp_path / "model.h5", ["lstm"], arrays))
    assert found["holds"] == "weights alone"
    assert [part["shapes"] for part in found["layers"]] == [{"kernel:0": [3, 8], "recurrent_kernel:0": [2, 8]}]
    assert "recurrent_activation of LSTM and GRU (sigmoid, or hard_sigmoid" in found["notes"][1]


def test_a_model_that_is_not_supported_shows_its_arrays_and_why(tmp_path: Path, capsys: Capture) -> None:
    arrays = {"odd/odd/kernel:0": np.zeros((3, 8))}
    path = keras2_file(tmp_path / "model.h5", [described("Capsule", "odd")], arrays)
    found = inspected(capsys, path)
    assert found["holds"] == "a model not supported"
    assert found["layers"][0]["shapes"] == {"kernel:0": [3, 8]}
    assert 'layer "odd" (Capsule): Capsule is not supported' in found["notes"][0]


def test_inspect_names_the_node_that_is_not_supported(tmp_path: Path, capsys: Capture) -> None:
    from onnx_models import write

    path = write(tmp_path / "a.onnx", "(float[n,3] x) => (float[n,3] y) {a = Det(w)\ny = Mul(x, x)}", {"w": np.eye(2)})
    found = inspected(capsys, path)
    assert found["layers"][0]["shapes"] == {"w": [2, 2]}
    assert "the Mul node" in found["notes"][0]


def test_a_notebook_says_which_equation(tmp_path: Path, capsys: Capture) -> None:
    model = nn.Sequential(pyrnn.LSTM(3, 4, batch_first=True), nn.LastStep(batch_first=True))
    notebook.save(model, tmp_path / "a.json")
    assert "c' = f c + i g" in inspected(capsys, tmp_path / "a.json")["notes"][0]


def test_without_rich_the_table_says_how_to_get_it(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    network().save(tmp_path / "model.safetensors")
    for name in [name for name in sys.modules if name == "rich" or name.startswith("rich.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert call("inspect", tmp_path / "model.safetensors") == 2
    assert re.fullmatch(
        r'pyrnn: pyrnn inspect needs rich[\w.]*: pip install "pyrnn-cpu\[cli\]"\n', capsys.readouterr().err
    )
    assert call("inspect", tmp_path / "model.safetensors", "--json") == 0


# -- convert -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pt", ".npz"])
def test_convert_writes_a_keras_model_in_another_format(tmp_path: Path, capsys: Capture, suffix: str) -> None:
    source, target = keras_model(tmp_path / "model.keras"), tmp_path / f"model{suffix}"
    assert call("convert", source, target) == 0
    assert capsys.readouterr().out.startswith(f"{target}: ")
    model = pyrnn.load(source)
    if suffix in (".pt", ".npz"):
        found = pyrnn.load_state_dict(target)
        assert list(found) == list(model.state_dict())
        np.testing.assert_array_equal(found["rnn.weight_hh_l0"], model["rnn"].weight_hh_l0)
    else:
        np.testing.assert_array_equal(pyrnn.load(target)(sequences()), model(sequences()))


def test_convert_to_the_json_of_notebooks_and_back_keeps_the_outputs(tmp_path: Path) -> None:
    model = nn.Sequential(pyrnn.LSTM(3, 4, batch_first=True, seed=0), nn.LastStep(batch_first=True), nn.Linear(4, 1))
    model.save(tmp_path / "a.safetensors")
    assert call("convert", tmp_path / "a.safetensors", tmp_path / "b.json") == 0
    assert call("convert", tmp_path / "b.json", tmp_path / "c.safetensors") == 0
    x = np.ones((2, 7, 3))
    # The notebook computes in float64; its one bias is the sum of two, rounded to float32.
    np.testing.assert_allclose(pyrnn.load(tmp_path / "c.safetensors")(x), model(x.astype("f4")), atol=1e-6)


def test_convert_keeps_all_arrays_of_a_state_dict(tmp_path: Path) -> None:
    arrays = {"rnn.weight_ih_l0": np.ones((3, 1)), "steps": np.arange(4)}
    pyrnn.save_state_dict(arrays, tmp_path / "a.pt")
    assert call("convert", tmp_path / "a.pt", tmp_path / "b.safetensors") == 0
    assert call("convert", tmp_path / "b.safetensors", tmp_path / "c.npz") == 0
    found = pyrnn.load_state_dict(tmp_path / "c.npz")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("target", ["b.onnx", "b.safetensors", "b.npz"])
def test_convert_takes_one_layer_out_of_a_checkpoint(tmp_path: Path, target: str) -> None:
    source = checkpoint(tmp_path / "a.pt")
    assert call("convert", source, tmp_path / target, "--prefix", "model.encoder.", "--batch-first") == 0
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    layer = pyrnn.load(source, prefix="model.encoder.", batch_first=True)
    again = pyrnn.load(tmp_path / target, **({"batch_first": True} if target == "b.npz" else {}))
    found = again(x)
    np.testing.assert_array_equal(found[0] if isinstance(found, tuple) else found, layer(x)[0])


@pytest.mark.parametrize(
    ("source", "target", "because"),
    [
        ("gru.safetensors", "out.json", "layer 'rnn' is a GRU"),
        ("gru.safetensors", "out.keras", "is read and not written"),
        ("gru.safetensors", "out.txt", "should end in one of .pt, .pth, .safetensors, .npz, .onnx, .json, got .txt"),
        ("gru.safetensors", "nowhere/out.onnx", "there is no folder"),
        ("original.safetensors", "out.pt", "layer 'rnn' has reset_after=False, and torch, which reads"),
        ("original.safetensors", "out.npz", "would compute reset_after=True"),
        ("model.pt", "out.npz", "only .pt and .pth files can hold nested state dicts"),
        ("model.pt", "out.onnx", "it holds 2 recurrent layers; say which with"),
        ("none.pt", "out.npz", "No such file"),
    ],
    ids=str,
)
def test_a_file_that_cannot_be_written_is_refused_in_one_sentence(
    tmp_path: Path, capsys: Capture, source: str, target: str, because: str
) -> None:
    network().save(tmp_path / "gru.safetensors")
    nn.Sequential({"rnn": pyrnn.GRU(3, 5, reset_after=False)}).save(tmp_path / "original.safetensors")
    checkpoint(tmp_path / "model.pt")
    before = sorted(tmp_path.rglob("*"))
    assert call("convert", tmp_path / source, tmp_path / target) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("pyrnn: ")
    assert printed.err.count("\n") == 1
    assert because in printed.err
    assert sorted(tmp_path.rglob("*")) == before
