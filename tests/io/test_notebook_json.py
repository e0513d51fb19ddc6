"""The JSON of from-scratch notebooks computes their equations, survives load and save, or is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from notebooks import RANDOM, dense, lstm

import pyrnn
from pyrnn import nn
from pyrnn.io import notebook

STACK = [lstm(3, 5), lstm(5, 4, column=True), dense(4, 6), dense(6, 2)]


def written(path: Path, entries: Any) -> Path:
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    return path


def plain_lstm(params: dict[str, Any], x: np.ndarray) -> np.ndarray:
    """All outputs [B,T,H] of an LSTM with the input gate that the notebooks leave out."""
    p = {name: np.array(value) for name, value in params.items()}
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    h = c = np.zeros((len(x), p["U_f"].shape[0]))
    steps = []
    for x_t in x.swapaxes(0, 1):
        a = {gate: x_t @ p[f"W_{gate}"] + h @ p[f"U_{gate}"] + p[f"b_{gate}"].reshape(-1) for gate in "fico"}
        c = sigmoid(a["f"]) * c + sigmoid(a["i"]) * np.tanh(a["c"])
        h = sigmoid(a["o"]) * np.tanh(c)
        steps.append(h)
    return np.stack(steps, axis=1)


def plain(entries: list[dict[str, Any]], x: np.ndarray) -> np.ndarray:
    """Computes a stack of LSTMs, the last one's last step, and dense layers."""
    for place, entry in enumerate(entries):
        if entry["type"] == "lstm":
            x = plain_lstm(entry["params"], x)
            if entries[place + 1]["type"] == "dense":
                x = x[:, -1]
        else:
            x = x @ np.array(entry["params"]["kernel"]) + np.array(entry["params"]["bias"])
    return x


def test_a_loaded_notebook_computes_its_equations(tmp_path: Path) -> None:
    model = pyrnn.load(written(tmp_path / "model.json", STACK))
    x = RANDOM.normal(size=(2, 7, 3))
    # Values of order 1 go through 7 steps in float64.
    np.testing.assert_allclose(model(x), plain(STACK, x), rtol=1e-12, atol=1e-12)
    assert not model.training


def test_load_save_load_is_identical(tmp_path: Path) -> None:
    first = pyrnn.load(written(tmp_path / "first.json", STACK))
    notebook.save(first, tmp_path / "second.json")
    second = pyrnn.load(tmp_path / "second.json")
    notebook.save(second, tmp_path / "third.json")
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(second.state_dict()[name], array)
    assert second.config() == first.config()
    assert (tmp_path / "third.json").read_bytes() == (tmp_path / "second.json").read_bytes()
    # The arrays keep the file's bits; a bias [H,1] is written as [H].
    entries = json.loads((tmp_path / "second.json").read_text())
    for entry, original in zip(entries, STACK, strict=True):
        for name, value in original["params"].items():
            shape = -1 if name.startswith("b_") else np.shape(value)
            np.testing.assert_array_equal(entry["params"][name], np.reshape(value, shape))


@pytest.mark.parametrize("asked", [True, False])
def test_return_sequences_is_kept_in_the_file(tmp_path: Path, asked: bool) -> None:
    path = written(tmp_path / "model.json", STACK)
    model = pyrnn.load(path, return_sequences=asked)
    x = RANDOM.normal(size=(2, 7, 3))
    assert model(x).shape == ((2, 7, 2) if asked else (2, 2))
    notebook.save(model, tmp_path / "again.json")
    np.testing.assert_array_equal(pyrnn.load(tmp_path / "again.json")(x), model(x))


def test_two_biases_become_their_sum(tmp_path: Path) -> None:
    layer = pyrnn.LSTM(3, 4, num_layers=2, batch_first=True, seed=0)
    notebook.save(nn.Sequential(layer, nn.Dropout(0.5), nn.LastStep(batch_first=True)), tmp_path / "model.json")
    x = RANDOM.normal(size=(2, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(pyrnn.load(tmp_path / "model.json", dtype="float32")(x), layer(x)[0][:, -1])


def test_the_order_of_the_notebooks_product_is_an_option(tmp_path: Path) -> None:
    path = written(tmp_path / "model.json", STACK)
    turned = json.loads(json.dumps(STACK))
    for entry in turned[:2]:
        for gate in "fico":
            entry["params"][f"U_{gate}"] = np.transpose(entry["params"][f"U_{gate}"]).tolist()
    x = RANDOM.normal(size=(2, 7, 3))
    found = pyrnn.load(path, recurrent="U@h")(x)
    np.testing.assert_allclose(found, plain(turned, x), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(pyrnn.load(path, recurrent="h@U")(x), pyrnn.load(path)(x))
    assert abs(found - pyrnn.load(path)(x)).max() > 1e-3
    for wrong in ("h @ U", "", None, ["U@h"]):
        with pytest.raises(ValueError, match='recurrent should be "h@U" or "U@h", got'):
            pyrnn.load(path, recurrent=wrong)


KERAS = {"class_name": "Sequential", "config": {"layers": []}, "keras_version": "3.0"}
FOREIGN: dict[str, tuple[Any, str]] = {
    "keras": (KERAS, "it is the architecture of a Keras model, as model.to_json() gives it, without weights"),
    "keras as a text": (json.dumps(KERAS), "it is the architecture of a Keras model"),
    "tensorflow.js": ({"format": "layers-model", "modelTopology": KERAS, "weightsManifest": []}, "TensorFlow.js"),
    "rtneural": ({"in_shape": [None, None, 1], "layers": [{"type": "gru"}]}, "it is a model of RTNeural"),
    "aida-x": ({"in_shape": [None, 1], "layers": [], "input_batch": [[0.0]]}, "AIDA-X"),
    "guitarml": ({"model_data": {"model": "SimpleRNN"}, "state_dict": {}}, "it is a model of GuitarML (Proteus"),
    "nam": (
        {"version": "0.5.4", "architecture": "WaveNet", "config": {}, "weights": [0.1]},
        "Neural Amp Modeler (NAM)",
    ),
    "smartamp": ({"lstm": {"kernel:0": [[1.0]]}, "input_size": 100}, "it is a model of SmartAmp"),
    "transformer": ({"architectures": ["BertModel"], "hidden_size": 768}, "configuration of a Hugging Face model"),
    "shards": ({"metadata": {}, "weight_map": {"a": "b"}}, "index of weights that Hugging Face keeps"),
    "tokenizer": ({"version": "1.0", "added_tokens": [], "model": {}}, "it is a tokenizer"),
    "state dict": ({"rnn.weight_ih_l0": [[1.0]], "rnn.weight_hh_l0": [[1.0]]}, "it is a state dict"),
    "package": ({"name": "site", "version": "1.0.0", "dependencies": {}}, "it is a package.json"),
    "onnx": ({"irVersion": "8", "graph": {}}, "it is an ONNX model as JSON"),
    "numbers": ([1.5, 2, 3], "it is a list that begins with a number; it should hold a list of layers"),
    "rows": ([[1, 2], [3, 4]], "it is a list that begins with a list; it should"),
    "objects": ([{"file": "a.onnx", "bytes": 7}], 'begins with an object with the keys "file", "bytes"; it should'),
    "texts": (["a\ud800b"], 'it is a list that begins with the text "a\\ud800b"; it should'),
    "other": ({"a": 1, "b": 2}, 'it is an object with the keys "a", "b"; it should hold a list of layers'),
    "many keys": ({"k" * 1000 + str(i): i for i in range(1000)}, "and 994 more; it should hold"),
    "number": (7, "it is a number; it should hold a list of layers"),
    "null": (None, "it is null; it should"),
    "truth": (True, "it is true or false; it should"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_another_kind_of_json_is_named(case: str, tmp_path: Path) -> None:
    value, because = FOREIGN[case]
    path = written(tmp_path / "model.json", json.dumps(value))
    with pytest.raises(ValueError, match=re.escape(because)) as caught:
        pyrnn.load(path)
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    assert len(str(caught.value)) < len(str(path)) + 1000
    assert str(caught.value).isascii()


def test_the_advice_for_a_guitarml_file_works(tmp_path: Path) -> None:
    state = {f"rec.{name}": value.tolist() for name, value in pyrnn.LSTM(1, 3, seed=0).state_dict().items()}
    layer = pyrnn.from_state_dict(json.loads(json.dumps(state)), prefix="rec.", batch_first=True)
    assert layer.batch_first
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[f"rec.{name}"])


def test_the_limit_bounds_json_and_texts_take_no_memory(tmp_path: Path) -> None:
    path = written(tmp_path / "model.json", STACK)
    with pytest.raises(ValueError, match=r"its JSON would take .* raise limit="):
        pyrnn.load(path, limit=1000)
    pyrnn.load(path, limit=2**20)
    entries = dense(1, 1)
    entries["params"]["bias"] = ["x" * 10**6, *["y"] * 10**5]  # a NumPy array of these texts would take 400 GB
    with pytest.raises(ValueError, match="bias should hold finite numbers alone"):
        pyrnn.load(written(path, [entries]))


def changed(entries: list[Any], change: Any) -> list[Any]:
    copy = json.loads(json.dumps(entries))
    change(copy)
    return copy


@pytest.mark.parametrize(
    ("entries", "because"),
    [
        ("[", "it is no JSON"),
        ("\x00\x01", "it is no JSON"),
        ("1" * 5000, "it is a number; it should hold"),
        ("{}", "it should hold a list of layers"),
        ("[]", "it should hold a list of layers"),
        ("[" * 100_000, "it is nested too deeply"),
        ('[{"type": "dense", "params": {"kernel": [[NaN]], "bias": [1.0]}}]', "it holds NaN"),
        ('[{"type": "dense", "params": {"kernel": [[1e999]], "bias": [1.0]}}]', "kernel should hold finite numbers"),
        ([1, *STACK], 'layer 0 should be an object with "type" and "params"'),
        (STACK * 251, "it has 1004 layers; at most 1000 are read"),
        ([{"type": "gru", "params": {}}], 'layer 0 is of the type "gru"'),
        ([{"type": ["lstm"], "params": {}}], "layer 0 is of the type"),
        (changed(STACK, lambda e: e[2].update(activation="relu")), "layer 2 has the key \"activation\""),
        (changed(STACK, lambda e: e[0]["params"].pop("U_c")), 'layer 0 (lstm) misses "U_c"'),
        (changed(STACK, lambda e: e[3]["params"].update(W=1)), 'layer 3 (dense) has the unknown "W"'),
        (changed(STACK, lambda e: e[1]["params"].update(W_i=[[1.0]])), "layer 1 (lstm): W_i should have the shape (5"),
        (changed(STACK, lambda e: e[1]["params"].update(b_o=[1.0])), "b_o should have the shape (4,) or (4, 1)"),
        (changed(STACK, lambda e: e[3]["params"].update(kernel=[[1.0], [1.0, 2.0]])), "kernel is no array of numbers"),
        (changed(STACK, lambda e: e[3]["params"].update(kernel=[["a"]])), "kernel should hold finite numbers"),
        (changed(STACK, lambda e: e.pop(1)), "layer 1 takes 4 features, and the layer before it gives 5"),
        (changed(STACK, lambda e: e[0].update(return_sequences=False)), "layer 0: return_sequences should be true"),
        (changed(STACK, lambda e: e[1].update(return_sequences=1)), "layer 1: return_sequences should be true"),
    ],
    ids=range(22),
)  # fmt: skip
def test_a_damaged_notebook_is_refused_with_its_fault(tmp_path: Path, entries: Any, because: str) -> None:
    path = written(tmp_path / "model.json", entries)
    with pytest.raises(ValueError, match=re.escape(because)) as caught:
        notebook.load(path)
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")


def infinite() -> nn.Sequential:
    linear = nn.Linear(2, 1)
    linear.bias = np.array([np.inf])
    return nn.Sequential(linear)


@pytest.mark.parametrize(
    ("model", "because"),
    [
        (nn.Sequential(nn.Linear(2, 1), nn.ReLU()), "layer '1' is a ReLU"),
        (nn.Sequential({"rnn": pyrnn.GRU(2, 3, batch_first=True)}), "layer 'rnn' is a GRU"),
        (pyrnn.LSTM(2, 3), "has batch_first=False"),
        (pyrnn.LSTM(2, 3, batch_first=True, bidirectional=True), "has bidirectional=True"),
        (pyrnn.LSTM(2, 3, batch_first=True, proj_size=2), "has proj_size=2"),
        (pyrnn.LSTM(2, 3, batch_first=True, peephole=True), "has peephole=True"),
        (pyrnn.LSTM(2, 3, batch_first=True, recurrent_activation="relu"), "has recurrent_activation='relu'"),
        (
            nn.Sequential(pyrnn.LSTM(2, 3, batch_first=True), nn.Linear(3, 2), nn.LastStep(batch_first=True)),
            "layer '2' is a LastStep",
        ),
        (infinite(), "not finite"),
    ],
    ids=range(9),
)
def test_a_model_that_the_format_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, model: Any, because: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(because)):
        notebook.save(model, tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []
