"""Models that torch exports, by both of its exporters, predict in pyrnn what they predict in torch."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import numpy as np
import torch
from onnx_of_torch import MODELS, example, export

from pyrnn.io.onnx import load

# The newer exporter takes seconds a model; it unrolls nn.RNN into steps, and it fixes the length of time-major models.
DYNAMO = ("all steps", "the last states", "sound", "image")


@pytest.mark.parametrize(("name", "dynamo"), [*((name, False) for name in MODELS), *((name, True) for name in DYNAMO)])
def test_a_model_that_torch_exported_predicts_the_same(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    export(model, tmp_path / "model.onnx", dynamo)
    loaded = load(tmp_path / "model.onnx")
    assert not any(module.training for _, module in loaded.named_modules())
    for batch, size in [(3, 5), (2, 7)]:
        x = example(model, batch, size)
        with torch.no_grad():
            want = model(x).numpy()
        got = loaded(x.numpy())
        assert got.shape == want.shape
        # torch's kernels round in float32 over a few layers with outputs of order 1.
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_layers_are_batch_first_where_the_model_is(tmp_path: Path) -> None:
    for name, batch_first in {"both directions": True, "time-major": False}.items():
        export(MODELS[name]().eval(), tmp_path / "model.onnx", dynamo=False)
        layers = list(load(tmp_path / "model.onnx"))
        assert [layer.batch_first for layer in layers[:2]] == [batch_first] * 2
        assert "Permute" not in {type(layer).__name__ for layer in layers}


@pytest.mark.parametrize("name", ["all steps", "words"])
def test_a_damaged_file_is_loaded_or_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    path, random = tmp_path / "model.onnx", np.random.default_rng(0)
    export(MODELS[name]().eval(), path, dynamo=False)
    data = path.read_bytes()
    refusals = []
    for _ in range(150):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 3):
            damaged[place] ^= 1 << random.integers(0, 8)
        path.write_bytes(bytes(damaged))
        try:
            load(path)  # most damage hits a weight and leaves a sound file
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) > 10
    assert all(sentence.startswith(f"{path} cannot be loaded: ") for sentence in refusals)
