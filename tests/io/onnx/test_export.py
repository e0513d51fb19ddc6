"""ONNX Runtime and onnx.reference compute the same numbers from a saved file, and `load` gets the same bits back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

import pyrnn
from pyrnn import nn
from pyrnn.io.onnx import load, save

FIRST = {"batch_first": True, "seed": 0}
GATES = {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras3"}


def pair(cell: Any, **options: Any) -> list[Any]:
    return [cell(3, 4, batch_first=True, seed=seed, **options) for seed in (0, 1)]


def words() -> list[Any]:
    return [nn.Embedding(11, 3, seed=0), pyrnn.GRU(3, 4, **FIRST), nn.Dropout(0.5), nn.Linear(4, 2, seed=0)]


def image() -> list[Any]:
    layers: list[Any] = [nn.Conv2d(1, 4, 3, stride=2, padding="same", seed=0), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.MaxPool2d(2, stride=1), nn.AvgPool2d(2, padding=[[1, 0], [0, 1]], count_include_pad=False)]
    layers += [nn.Conv2d(4, 2, 2, groups=2, dilation=2, padding=1, seed=1), nn.Flatten(), nn.Softmax()]
    return layers


def sound() -> list[Any]:
    layers: list[Any] = [
        nn.Conv1d(3, 4, 3, padding=1, bias=False, seed=0),
        nn.AvgPool1d(2),
        nn.MaxPool1d(2, padding=1),
    ]
    return [*layers, nn.Permute((0, 2, 1)), pyrnn.LSTM(4, 5, **FIRST), nn.LayerNorm(5), nn.GlobalMaxPool1d(True)]


def functions() -> list[Any]:
    plain = ("elu", "leaky_relu", "selu", "softplus", "softsign", "gelu", "gelu_tanh", "hard_sigmoid_keras2")
    return [
        *map(nn.Activation, plain),
        nn.Activation("leaky_relu", 0.3),
        nn.Sigmoid(),
        nn.Tanh(),
        nn.Linear(3, 2, seed=0),
    ]


# Models that come back from the file with the same bits.
MODELS: dict[str, Callable[[], list[Any]]] = {
    "RNN": lambda: [pyrnn.RNN(3, 4, num_layers=2, nonlinearity="relu", **FIRST)],
    "time-major": lambda: [pyrnn.RNN(3, 4, bias=False, seed=0), nn.Tanh()],
    "LSTM": lambda: [pyrnn.LSTM(3, 4, num_layers=2, bidirectional=True, **FIRST)],
    "GRU": lambda: [pyrnn.GRU(3, 4, bidirectional=True, **FIRST), nn.LastStep(True), nn.Linear(8, 2, seed=0)],
    "activations": lambda: [pyrnn.LSTM(3, 4, **FIRST, **GATES)],
    "reset before": lambda: [pyrnn.GRU(3, 4, reset_after=False, **FIRST)],
    "reverse": lambda: [nn.Reverse(True), pyrnn.GRU(3, 4, **FIRST), nn.Reverse(True), nn.GlobalAveragePool1d(True)],
    "last states": lambda: [nn.Bidirectional(*pair(pyrnn.LSTM), return_sequences=False), nn.Linear(8, 2, seed=0)],
    "words": words,
    "image": image,
    "sound": sound,
    "functions": functions,
}
# Models whose nodes no layer of pyrnn stands for, so that they cannot be loaded again.
ONE_WAY: dict[str, Callable[[], list[Any]]] = {
    "sum": lambda: [nn.Bidirectional(*pair(pyrnn.GRU), merge_mode="sum")],
    "mul": lambda: [nn.Bidirectional(*pair(pyrnn.RNN), merge_mode="mul", return_sequences=False)],
    "ave": lambda: [nn.Bidirectional(*pair(pyrnn.LSTM), merge_mode="ave")],
    "channels last": lambda: [nn.ChannelsLast(nn.Conv1d(3, 4, 2, seed=0)), nn.ChannelsLast(nn.BatchNorm1d(4))],
    "seq2seq": lambda: [
        pyrnn.GRU(3, 4, **FIRST),
        nn.LastStep(True),
        nn.RepeatVector(3, batch_first=True),
        pyrnn.GRU(4, 2, **FIRST),
        nn.Activation("silu"),
    ],
}


def example(name: str, batch: int, steps: int) -> Any:
    random = np.random.default_rng(batch)
    if name == "words":
        return random.integers(0, 11, (batch, steps))
    shape = {"image": (batch, 1, 9, 9), "sound": (batch, 3, steps + 4), "time-major": (steps, batch, 3)}
    return random.standard_normal(shape.get(name, (batch, steps, 3))).astype(np.float32)


def built(name: str) -> nn.Sequential:
    model = nn.Sequential(*{**MODELS, **ONE_WAY}[name]()).eval()
    random = np.random.default_rng(5)
    fresh = {key: random.uniform(0.5, 2, value.shape) for key, value in model.state_dict().items() if "running" in key}
    model.load_state_dict(fresh, strict=False)
    return model


@pytest.mark.parametrize("name", [*MODELS, *ONE_WAY])
def test_onnxruntime_and_onnx_reference_compute_the_same_from_a_written_file(name: str, tmp_path: Path) -> None:
    model, path = built(name), tmp_path / "model.onnx"
    save(model, path, (None, None, 3) if name == "functions" else None)
    session = onnxruntime.InferenceSession(path)
    runs: list[Any] = [lambda x: session.run(None, {"input": x})[0]]
    if name not in ("RNN", "activations"):  # onnx.reference has tanh and sigmoid only
        reference = ReferenceEvaluator(str(path))
        runs.append(lambda x: reference.run(None, {"input": x})[0])
    for batch, steps in [(2, 5), (3, 7)]:
        x = example(name, batch, steps)
        want = model(x)
        for run in runs:
            # A few layers of order 1 round in float32, and ONNX Runtime's exp and tanh have an error of some 1e-6.
            np.testing.assert_allclose(run(x), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_written_file_loads_to_the_same_bits(name: str, tmp_path: Path) -> None:
    model, path, x = built(name), tmp_path / "model.onnx", example(name, 2, 5)
    save(model, path, (None, None, 3) if name == "functions" else None)
    loaded = load(path)
    np.testing.assert_array_equal(loaded(x), model(x))
    save(loaded, tmp_path / "again.onnx", (None, None, 3) if name == "functions" else None)
    np.testing.assert_array_equal(load(tmp_path / "again.onnx")(x), model(x))


@pytest.mark.parametrize("cell", [pyrnn.RNN, pyrnn.LSTM, pyrnn.GRU])
def test_single_layers_of_float64_go_there_and_back(cell: Any, tmp_path: Path) -> None:
    peephole = {"peephole": True} if cell is pyrnn.LSTM else {}
    layer = cell(3, 4, seed=0, dtype=np.float64, **peephole)
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    save(layer, tmp_path / "model.onnx")
    np.testing.assert_array_equal(load(tmp_path / "model.onnx")(x), layer(x)[0])
    [want] = ReferenceEvaluator(str(tmp_path / "model.onnx")).run(None, {"input": x})
    # Both compute in float64, with sums in another order.
    np.testing.assert_allclose(layer(x)[0], want, rtol=0, atol=1e-14)


def test_the_input_and_output_are_described(tmp_path: Path) -> None:
    save(nn.Sequential(*words()), tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    described = [value.type.tensor_type for value in (model.graph.input[0], model.graph.output[0])]
    assert [[dim.dim_param or dim.dim_value for dim in kind.shape.dim] for kind in described] == [
        ["batch", "time"],
        ["batch", "time", 2],
    ]
    assert [kind.elem_type for kind in described] == [onnx.TensorProto.INT64, onnx.TensorProto.FLOAT]


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "proj_size": (lambda: nn.Sequential(pyrnn.LSTM(3, 4, proj_size=2)), "the layer 0 has proj_size=2"),
    "mask_zero": (
        lambda: nn.Sequential({"words": nn.Embedding(5, 3, mask_zero=True)}),
        "the layer words has mask_zero",
    ),
    "dtypes": (lambda: nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3, dtype=np.float64)), "float32 and of float64"),
    "nothing": (nn.Sequential, "without layers"),
    "flatten": (lambda: nn.Sequential(nn.Flatten(0, 1)), "the layer 0 has end_dim=1"),
    "two kinds": (
        lambda: nn.Sequential({"both": nn.Bidirectional(pair(pyrnn.GRU)[0], pair(pyrnn.GRU, bias=False)[1])}),
        "the layer both has two directions that differ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_options_that_onnx_lacks_are_refused_by_name(case: str, tmp_path: Path) -> None:
    make, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=sentence):
        save(make(), tmp_path / "model.onnx", (None, None, 3))
    assert not list(tmp_path.iterdir())


def test_layers_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="the layer 0 is a Masking"):
        save(nn.Sequential(nn.Masking(0.0)), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
