"""The C of `pyrnn export-c` computes what the program does that wrote the file, for every format of files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("keras")

import numpy as np
import torch
from c_programs import compiled_test, in_c, tokens
from command_files import call, checkpoint, network
from keras_files import CLOSE, KERAS_WARNS, built, keras

import pyrnn

OPTIONS = ("--name", "vad", "-o")


def exported(file: Path, folder: Path, *options: str | Path) -> None:
    assert call("export-c", file, *OPTIONS, folder, *options) == 0
    compiled_test(folder)


@pytest.mark.parametrize("prefix", ["encoder.", "decoder."])
@pytest.mark.filterwarnings("ignore:.* do not tell its nonlinearity")
def test_c_from_a_pt_file_computes_what_torch_does(tmp_path: Path, prefix: str) -> None:
    exported(checkpoint(tmp_path / "model.pt"), tmp_path, "--prefix", f"model.{prefix}")
    arrays = torch.load(tmp_path / "model.pt")["model"]
    rnn = torch.nn.GRU(3, 5) if prefix == "encoder." else torch.nn.RNN(5, 4)
    rnn.load_state_dict({name.removeprefix(prefix): v for name, v in arrays.items() if name.startswith(prefix)})
    x = torch.randn(20, rnn.input_size)
    # Both sum a dozen products of order 1 in float32, in another order.
    np.testing.assert_allclose(in_c(tmp_path, x.numpy(), rnn.hidden_size), rnn(x)[0].detach(), atol=1e-6)


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_c_from_a_saved_network_has_the_bits_of_its_call(tmp_path: Path, suffix: str) -> None:
    model = network().eval()
    model.save(tmp_path / "model.safetensors")
    if suffix == ".onnx":
        assert call("convert", tmp_path / "model.safetensors", tmp_path / "model.onnx") == 0
    x = np.random.default_rng(0).standard_normal((20, 3), np.float32)
    exported(tmp_path / f"model{suffix}", tmp_path)
    np.testing.assert_array_equal(in_c(tmp_path, x, 2)[-1], model(x[None])[0])


@pytest.mark.parametrize("name", ["GRU", "Linear"])
def test_c_from_a_layer_saved_alone_has_the_bits_of_its_call(name: str, tmp_path: Path) -> None:
    layer = {"GRU": pyrnn.GRU(3, 4, num_layers=2, batch_first=True), "Linear": pyrnn.Linear(3, 4)}[name].eval()
    layer.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(0).standard_normal((20, 3), np.float32)
    exported(tmp_path / "model.safetensors", tmp_path)
    expected = layer(x)[0] if name == "GRU" else layer(x)
    np.testing.assert_array_equal(in_c(tmp_path, x, 4), expected)


def test_c_from_a_saved_network_of_indices_has_the_bits_of_its_call(tmp_path: Path) -> None:
    model = tokens().eval()
    model.save(tmp_path / "model.safetensors")
    words = np.arange(30, dtype=np.int32) * 7 % 11
    np.save(tmp_path / "words.npy", words[None])
    exported(tmp_path / "model.safetensors", tmp_path, "--data", tmp_path / "words.npy")
    np.testing.assert_array_equal(in_c(tmp_path, words[:, None], 5)[-1], model(words[None])[0])


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = torch.nn.LSTM(3, 5, 2), torch.nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.out(self.rnn(x)[0]), -1)


@pytest.mark.filterwarnings("ignore")  # torch warns of itself and of its exporter
def test_c_from_an_onnx_file_of_torch_computes_what_torch_does(tmp_path: Path) -> None:
    model, x = Classifier(), torch.randn(20, 1, 3)
    torch.onnx.export(model, (x,), tmp_path / "model.onnx", dynamo=False)
    exported(tmp_path / "model.onnx", tmp_path)
    np.testing.assert_allclose(in_c(tmp_path, x[:, 0].numpy(), 2), model(x)[:, 0].detach(), atol=1e-6)


@pytest.mark.filterwarnings(*[mark.args[0] for mark in KERAS_WARNS])
@pytest.mark.parametrize("indices", [False, True])
def test_c_from_a_keras_file_computes_what_keras_does(tmp_path: Path, indices: bool) -> None:
    draw = np.random.default_rng(0)
    x = draw.integers(0, 9, (1, 20)).astype(np.int32) if indices else draw.standard_normal((1, 20, 4), np.float32)
    layers = [
        keras.layers.Embedding(9, 4) if indices else keras.layers.Dense(4, activation="silu"),
        keras.layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="elu"),
        keras.layers.GRU(5, return_sequences=True),
        keras.layers.LSTM(4),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = built(layers, x)
    model.save(tmp_path / "model.keras")
    exported(tmp_path / "model.keras", tmp_path)
    found = in_c(tmp_path, x[0][:, None] if indices else x[0], 2)[-1]
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(model(x))[0], **CLOSE)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], 'it holds 2 recurrent layers; say which with prefix="model.encoder.", prefix="model.decoder."'),
        (["--prefix", "model.out."], "expected model.out.weight_ih_l0"),
    ],
)
def test_a_checkpoint_of_several_layers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    file = checkpoint(tmp_path / "model.pt")
    assert call("export-c", file, *OPTIONS, tmp_path / "out", *options) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings(*[mark.args[0] for mark in KERAS_WARNS])
def test_a_keras_model_that_looks_ahead_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [keras.layers.Conv1D(6, 3, padding="same", name="conv"), keras.layers.GRU(5)]
    built(layers, np.zeros((1, 20, 4), np.float32)).save(tmp_path / "model.keras")
    assert call("export-c", tmp_path / "model.keras", *OPTIONS, tmp_path / "out") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "layer 'conv', ChannelsLast, holds a Conv1d that sees later steps or starts late; use padding=[(2, 0)]" in said
    )
