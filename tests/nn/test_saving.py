"""Every model saves itself, and pyrnn.load opens an equal one; a slice of a network is a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nn_samples import SAMPLES, draws, network

import pyrnn
from pyrnn import nn

pytest.importorskip("safetensors")

F32: dict[str, Any] = {"seed": 1}


def recurrent_network() -> nn.Sequential:
    layers: dict[str, Any] = {"rnn": pyrnn.LSTM(3, 4, peephole=True, **F32), "last": nn.LastStep()}
    return nn.Sequential({**layers, "norm": nn.BatchNorm1d(4), "out": nn.Linear(4, 2, **F32)})


MORE: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "RNNCell": (lambda: pyrnn.RNNCell(3, 4, nonlinearity="relu", dtype=np.float64, **F32), lambda: draws(2, 3)),
    "LSTMCell": (lambda: pyrnn.LSTMCell(3, 4, bias=False, **F32), lambda: draws(2, 3).astype(np.float32)),
    "GRUCell": (lambda: pyrnn.GRUCell(3, 4, reset_after=False, **F32), lambda: draws(2, 3).astype(np.float32)),
    "Quantized": (
        lambda: pyrnn.GRU(3, 4, num_layers=2, batch_first=True, **F32).quantize("int8"),
        lambda: draws(2, 5, 3).astype(np.float32),
    ),
    "QuantizedSequential": (lambda: recurrent_network().quantize("bf16"), lambda: draws(5, 2, 3).astype(np.float32)),
    "Quantized in a network": (
        lambda: nn.Sequential(pyrnn.GRU(3, 4, **F32).quantize("int8"), nn.LastStep()),
        lambda: draws(5, 2, 3).astype(np.float32),
    ),
}


def flat(result: Any) -> list[Any]:
    return [part for each in result for part in flat(each)] if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("name", [*SAMPLES, *MORE])
def test_load_opens_a_model_equal_to_the_one_saved(name: str, tmp_path: Path) -> None:
    make, draw = (SAMPLES | MORE)[name]
    model, x = make().eval(), draw()
    model.save(tmp_path / "model.safetensors")
    twin: Any = pyrnn.load(tmp_path / "model.safetensors")
    assert (type(twin), repr(twin), twin.config()) == (type(model), repr(model), model.config())
    assert list(twin.state_dict()) == list(model.state_dict())
    for key, value in twin.state_dict().items():
        np.testing.assert_array_equal(value, model.state_dict()[key], strict=True)
    for actual, expected in zip(flat(twin(x)), flat(model(x)), strict=True):
        np.testing.assert_array_equal(actual, expected, strict=True)
    assert not any(module.training for _, module in twin.named_modules())


def test_a_class_without_a_description_is_not_saved(tmp_path: Path) -> None:
    class Own(pyrnn.Module):
        pass

    with pytest.raises(TypeError, match=r"Own has no description: add the class to pyrnn\.nn\.LAYERS"):
        Own().save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_sequential_load_refuses_another_model_and_names_the_loader(tmp_path: Path) -> None:
    pyrnn.GRU(3, 4).save(tmp_path / "gru.safetensors")
    with pytest.raises(ValueError, match=r"holds a GRU, and no Sequential; read it with pyrnn\.load"):
        nn.Sequential.load(tmp_path / "gru.safetensors")


@pytest.mark.parametrize(
    ("architecture", "sentence"),
    [
        ({"type": "Quantized", "config": {"layer": 3, "format": "int8"}}, "should be an RNN, LSTM or GRU, got int"),
        ({"type": "Quantized", "config": {"layer": None, "format": "int8"}}, "should be an RNN, LSTM or GRU"),
        ({"type": "QuantizedSequential", "config": {"network": 3, "format": "int8"}}, "cannot be made"),
        ({"type": "GRU", "config": {"input_size": 2, "hidden_size": 3, "code": 1}}, "unknown arguments: 'code'"),
    ],
)
def test_a_damaged_architecture_of_one_layer_is_refused(architecture: Any, sentence: str, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    save_file({"weight": np.zeros(3)}, path, metadata={"pyrnn": json.dumps(architecture)})
    with pytest.raises(ValueError, match=sentence) as caught:
        pyrnn.load(path)
    assert str(caught.value).count("cannot be loaded") == 1


@pytest.mark.parametrize("cut", [slice(3), slice(1, -1), slice(None, None, 2), slice(-2, None), slice(2, 2)])
def test_a_slice_of_a_sequential_is_a_sequential_of_the_same_layers(cut: slice) -> None:
    layers: list[Any] = [nn.ReLU(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid()]
    part, x = nn.Sequential(*layers)[cut], draws(2, 3).astype(np.float32)
    assert isinstance(part, nn.Sequential)
    assert list(part) == layers[cut]
    assert list(part._modules) == [str(place) for place in range(5)[cut]]
    expected = x
    for layer in layers[cut]:
        expected = layer(expected)
    np.testing.assert_array_equal(part(x), expected)


def test_one_place_of_a_sequential_is_a_layer() -> None:
    model = network()
    assert model[-1] is list(model)[4]
    assert model["4"] is model[4]
    assert not model.eval()[1:].training
