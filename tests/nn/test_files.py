"""A saved network is loaded as it was; a damaged or hostile file is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("safetensors")

import numpy as np
import safetensors.numpy
from nn_samples import SAMPLES, draws, network

import pyrnn
from pyrnn import nn


def metadata(path: Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="numpy") as file:
        return dict(file.metadata())


@pytest.mark.parametrize("name", SAMPLES)
def test_save_load_save_is_byte_for_byte_the_same(name: str, tmp_path: Path) -> None:
    make, x = SAMPLES[name][0], SAMPLES[name][1]()
    model = nn.Sequential({"only": make()})
    model.save(tmp_path / "a.safetensors")
    twin = nn.Sequential.load(tmp_path / "a.safetensors")
    twin.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert repr(twin) == repr(model)
    assert not any(module.training for _, module in twin.named_modules())
    np.testing.assert_array_equal(twin(x), model.eval()(x))


def test_the_architecture_is_json_and_the_arrays_are_a_plain_state_dict(tmp_path: Path) -> None:
    model = nn.Sequential({"in": nn.Linear(2, 3, bias=False), "end": nn.Tanh()})
    path = tmp_path / "model.safetensors"
    model.save(path)
    assert json.loads(metadata(path)["pyrnn"]) == [
        {"name": "in", "type": "Linear", "config": {"in_features": 2, "out_features": 3, "bias": False}},
        {"name": "end", "type": "Tanh", "config": {}},
    ]
    np.testing.assert_equal(pyrnn.load_state_dict(path), model.state_dict())


def test_layers_of_two_precisions_come_back_as_they_were(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3, dtype=np.float64))
    model.save(tmp_path / "model.safetensors")
    twin = nn.Sequential.load(tmp_path / "model.safetensors")
    assert [value.dtype for value in twin.parameters().values()] == [np.float32] * 2 + [np.float64] * 2


def test_a_layer_without_a_description_is_not_saved(tmp_path: Path) -> None:
    class Own(nn.ReLU):
        pass

    with pytest.raises(TypeError, match=r"Own has no description: add the class to pyrnn\.nn\.LAYERS"):
        nn.Sequential(Own()).save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def layer(kind: Any, name: Any = "0", **config: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "config": config}


LINEAR = layer("Linear", in_features=2, out_features=3, bias=True)
HUGE = 10**15
DEEP = '[{"name": "0", "type": "Sequential", "config": {"layers": ' * 5000 + "[]" + "}}]" * 5000
HOSTILE: dict[str, tuple[Any, str]] = {
    "unknown type": ([layer("os.system", command="true")], r"layer '0' is of unknown type 'os\.system'; known are"),
    "type is a list": ([layer(["Linear"])], "is of unknown type"),
    "base class": ([layer("Module")], "is of unknown type 'Module'"),
    "unknown argument": (
        [layer("Linear", in_features=2, out_features=3, device="cpu")],
        r"'0' \(Linear\) has unknown arguments: 'device'",
    ),
    "seed": ([layer("Linear", in_features=2, out_features=3, seed=1)], "has unknown arguments: 'seed'"),
    "dtype": ([layer("Linear", in_features=2, out_features=3, dtype="O")], "has unknown arguments: 'dtype'"),
    "missing argument": ([layer("Linear", in_features=2)], r"cannot be made: .*'out_features'"),
    "wrong kind": ([layer("Linear", in_features="2", out_features=3)], "in_features should be of type int, got: str"),
    "negative": ([layer("Linear", in_features=-2, out_features=3)], "must be greater than zero, got -2"),
    "no list": ({"0": LINEAR}, 'the model should be described by "type" and "config"'),
    "no dict": ([3], "each layer should have a name of its own, got None"),
    "name twice": ([LINEAR, LINEAR], "each layer should have a name of its own, got '0'"),
    "name of a method": ([layer("Tanh", "load")], "cannot be named 'load'"),
    "more keys": ([{**LINEAR, "code": "1"}], 'should be described by "type" and "config"'),
    "config": ([{**LINEAR, "config": [2, 3]}], "the config of layer '0' should be an object, got list"),
    "other shapes": ([layer("Linear", in_features=3, out_features=2)], "size mismatch for 0.weight"),
    "missing arrays": ([LINEAR, layer("Linear", "1", in_features=1, out_features=1)], 'Missing key.*"1.weight"'),
    "arrays too many": ([layer("Tanh")], 'Unexpected key.*"0.weight"'),
    "huge": ([layer("Linear", in_features=HUGE, out_features=3)], "in_features must be at most"),
    "huge in a list": ([layer("LayerNorm", normalized_shape=[HUGE])], "normalized_shape must be at most"),
    "huge product": ([layer("Linear", in_features=60_000, out_features=60_000)], r"\(60000, 60000\) are larger than"),
    "huge recurrent": ([layer("LSTM", input_size=2, hidden_size=60_000)], "are larger than the file"),
    "huge embedding": ([layer("Embedding", num_embeddings=60_000, embedding_dim=60_000)], "are larger than the file"),
    "huge convolution": (
        [layer("Conv2d", in_channels=60_000, out_channels=60_000, kernel_size=[60_000, 60_000])],
        "are larger than the file",
    ),
    "huge norm": ([layer("LayerNorm", normalized_shape=[60_000, 60_000])], "are larger than the file"),
    "many layers": (
        [layer("GRU", input_size=1, hidden_size=1, num_layers=60_000)],
        "num_layers is 60000, too large for a file of 2 arrays",
    ),
    "many large ones": (
        [layer("BatchNorm1d", str(i), num_features=60_000) for i in range(300)],
        "are larger than the",
    ),
    "inside": (
        [
            layer(
                "ChannelsLast", layer={"type": "Bidirectional", "config": {"forward": {"type": "eval", "config": {}}}}
            )
        ],
        r"layer '0\.layer\.forward' is of unknown type 'eval'",
    ),
    "dict for a number": ([layer("Dropout", p={"type": "Tanh", "config": {}})], r"between 0 and 1, but got Tanh\(\)"),
    "deep": (DEEP, "nested too deeply"),
}


def written(path: Path, architecture: str | None) -> Path:
    arrays = nn.Sequential(nn.Linear(2, 3, seed=0)).state_dict()
    safetensors.numpy.save_file(arrays, path, None if architecture is None else {"pyrnn": architecture})
    return path


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_and_takes_no_memory(case: str, tmp_path: Path) -> None:
    architecture, sentence = HOSTILE[case]
    path = written(
        tmp_path / "model.safetensors", architecture if isinstance(architecture, str) else json.dumps(architecture)
    )
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=sentence) as caught:
            nn.Sequential.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    # The largest of these files has 300 kB, and Python's objects of its JSON take ten times that or so.
    assert peak < 2**24


def test_a_sound_file_of_the_same_make_is_loaded(tmp_path: Path) -> None:
    model = nn.Sequential.load(written(tmp_path / "model.safetensors", json.dumps([LINEAR])))
    assert repr(model[0]) == "Linear(in_features=2, out_features=3, bias=True)"


DAMAGED = {
    "no architecture": (None, "it holds weights alone, and no architecture"),
    "no json": ("[{", "cannot be loaded"),
    "half": ("[", "cannot be loaded"),
    "nothing": ("", "cannot be loaded"),
    "null": ("null", "the layers should be a list, got NoneType"),
    "long number": ("[" + "9" * 5000 + "]", "cannot be loaded"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_architecture_is_refused(case: str, tmp_path: Path) -> None:
    text, sentence = DAMAGED[case]
    with pytest.raises(ValueError, match=sentence):
        nn.Sequential.load(written(tmp_path / "model.safetensors", text))


def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network().save(path)
    whole = path.read_bytes()
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="cannot be loaded"):
            nn.Sequential.load(path)


def test_a_changed_byte_of_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    nn.Sequential(nn.Linear(2, 3, seed=0), nn.Tanh()).save(path)
    whole = path.read_bytes()
    for place in range(8 + int.from_bytes(whole[:8], "little")):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match="cannot be loaded"):
            nn.Sequential.load(path)


def test_a_wrong_suffix_and_a_file_without_a_network_are_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(ValueError, match=r"model\.pt should end in \.safetensors"):
        model.save("model.pt")
    pyrnn.save_state_dict(model.state_dict(), tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"model\.npz cannot be loaded: it holds weights alone, and no architecture"):
        nn.Sequential.load(tmp_path / "model.npz")
    with pytest.raises(FileNotFoundError):
        nn.Sequential.load(tmp_path / "none.safetensors")


MODELS = {
    "cell": lambda: pyrnn.RNNCell(3, 4, nonlinearity="relu", dtype=np.float64),
    "quantized": lambda: pyrnn.LSTM(3, 4, masked_output="hold", batch_first=True).quantize("int8"),
    "quantized network": lambda: nn.Sequential(nn.Sequential(pyrnn.GRU(3, 4)), nn.Linear(4, 2)).quantize("bf16"),
    "slice": lambda: nn.Sequential(nn.Tanh(), pyrnn.GRU(3, 4), nn.Linear(4, 2))[:0:-1],
    "numbers of NumPy": lambda: nn.Sequential(
        nn.Embedding(np.int64(5), np.uint8(3)), nn.Masking(np.float32(2)), nn.Activation("elu", np.float32(0.5))
    ),
    "large numbers": lambda: nn.Sequential(nn.Masking(-999_999), nn.RepeatVector(100_000, batch_first=True)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_comes_back_from_a_path_an_open_file_and_bytes(name: str, tmp_path: Path) -> None:
    model, path = MODELS[name](), tmp_path / "model.safetensors"
    model.save(path)
    with path.open("rb") as file:
        for twin in (pyrnn.load(path), pyrnn.load(file), pyrnn.load(path.read_bytes())):
            assert type(twin) is type(model)
            assert repr(twin) == repr(model)
            np.testing.assert_equal(twin.state_dict(), model.state_dict())


def test_load_of_a_class_gives_an_instance_of_it_or_names_what_the_file_holds(tmp_path: Path) -> None:
    class Own(nn.Sequential):
        pass

    path = tmp_path / "model.safetensors"
    small = nn.Sequential(pyrnn.GRU(3, 4)).quantize("int8")
    small.save(path)
    assert repr(nn.Sequential.load(path.read_bytes())) == repr(small)
    assert type(Own.load(path)) is Own
    nn.Sequential(pyrnn.GRU(3, 4)).save(path)
    with pytest.raises(ValueError, match=r"holds a Sequential, and no QuantizedSequential; read it with pyrnn\.load"):
        type(small).load(path)
    pyrnn.GRU(3, 4).save(path)
    with pytest.raises(ValueError, match=r"^the file holds a GRU, and no Sequential"):
        nn.Sequential.load(path.read_bytes())


def test_a_cell_in_a_sequential_passes_its_output_on() -> None:
    x, cell, head = draws(2, 3).astype(np.float32), pyrnn.LSTMCell(3, 4), nn.Linear(4, 2)
    model = nn.Sequential(cell, head)
    np.testing.assert_array_equal(model(x), head(cell(x)[0]))
    np.testing.assert_array_equal(model(x), model.vjp(x)[0])


def test_a_disk_that_is_full_raises_oserror_and_leaves_the_older_file(tmp_path: Path) -> None:
    script = """
import resource, signal, sys, pyrnn
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    pyrnn.GRU(30, 40).save(sys.argv[1])
except OSError as error:
    print(error)
"""
    pytest.importorskip("resource")
    path = tmp_path / "model.safetensors"
    pyrnn.GRU(3, 4).save(path)
    before = path.read_bytes()
    said = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True).stdout
    assert said.startswith("safetensors could not write the file: ")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_config_that_is_no_json_is_refused_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(nn.ReLU):
        size: Any

        def config(self) -> dict[str, Any]:
            return {"size": self.size}

    monkeypatch.setitem(nn.LAYERS, "Own", Own)
    layer = Own()
    for layer.size, error in (({1}, TypeError), (float("nan"), ValueError)):
        with pytest.raises(error, match="the config of a layer"):
            layer.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no lone surrogate"):
        nn.Sequential({"\ud800": nn.Linear(2, 2)}).save(tmp_path / "model.safetensors")


def test_a_refused_file_sets_no_limit_to_later_layers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are larger"):
        nn.Sequential.load(written(tmp_path / "m.safetensors", json.dumps(HOSTILE["huge product"][0])))
    assert nn.Linear(600, 600)(draws(1, 600).astype(np.float32)).shape == (1, 600)
