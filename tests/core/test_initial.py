"""A seed determines the initial parameters; a model that comes from a file draws none."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import nn
from pyrnn.core.making import loading
from pyrnn.io import notebook, onnx

X = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
# Each layer with drawn parameters, and the n of its distribution U(-1/sqrt(n), 1/sqrt(n)).
DRAWN: dict[str, tuple[Callable[..., Any], int]] = {
    "GRU": (lambda **options: pyrnn.GRU(3, 5, num_layers=2, **options), 5),
    "LSTMCell": (lambda **options: pyrnn.LSTMCell(3, 5, **options), 5),
    "Linear": (lambda **options: pyrnn.Linear(3, 5, **options), 3),
    "Conv1d": (lambda **options: nn.Conv1d(4, 6, 3, groups=2, **options), 6),
}


def network() -> nn.Sequential:
    lstm = pyrnn.LSTM(3, 5, batch_first=True, seed=0)
    return nn.Sequential(lstm, nn.Dropout(0.5, seed=1), nn.LastStep(batch_first=True), nn.Linear(5, 2, seed=2)).eval()


def write_keras(path: Path) -> None:
    from keras_files import described, keras2_file

    arrays = {"out/out/kernel:0": np.eye(3), "out/out/bias:0": [0, 0, 1]}
    keras2_file(path, [described("Dense", "out", units=3)], arrays)


WRITTEN: dict[str, Callable[[Path], None]] = {
    "layer.pt": lambda path: pyrnn.save_state_dict(pyrnn.GRU(3, 5, num_layers=2).state_dict(), path),
    "layer.npz": lambda path: pyrnn.save_state_dict(pyrnn.GRU(3, 5, num_layers=2).state_dict(), path),
    "layer.safetensors": lambda path: pyrnn.save_state_dict(pyrnn.LSTM(3, 5, num_layers=2).state_dict(), path),
    "network.safetensors": lambda path: network().save(path),
    "network.onnx": lambda path: onnx.save(network(), path),
    "network.json": lambda path: notebook.save(network(), path),
    "network.h5": write_keras,
}
NEEDS = {".safetensors": [pytest.mark.safetensors], ".onnx": [pytest.mark.onnx], ".h5": [pytest.mark.keras]}


def of(name: str, *more: Any) -> Any:
    """The parameters of a test, with the mark of the package that reads the file's format."""
    return pytest.param(name, *more, marks=NEEDS.get(Path(name).suffix, []))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DRAWN)
def test_a_seed_gives_the_numbers_of_numpys_generator(name: str, dtype: str) -> None:
    make, fan = DRAWN[name]
    rng = np.random.default_rng(7)
    parameters = make(seed=7, dtype=dtype).parameters()
    assert len(parameters) >= 2
    for value in parameters.values():
        drawn = rng.uniform(-1 / np.sqrt(fan), 1 / np.sqrt(fan), value.shape)
        np.testing.assert_array_equal(value, drawn.astype(dtype), strict=True)


def test_a_seed_gives_the_rows_of_an_embedding() -> None:
    drawn = np.random.default_rng(7).standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_array_equal(nn.Embedding(4, 3, seed=7).weight, drawn, strict=True)


@pytest.mark.parametrize("name", [*DRAWN, "Embedding"])
def test_skipped_parameters_are_zeros_and_only_in_the_block(name: str) -> None:
    make = DRAWN[name][0] if name in DRAWN else lambda **options: nn.Embedding(4, 3, **options)
    drawn = make(seed=7).parameters()
    skipped: dict[str, Any] = {}
    with suppress(LookupError), loading():
        skipped |= make(seed=7).parameters()
        raise LookupError
    after = make(seed=7).parameters()
    assert list(skipped) == list(drawn) == list(after)
    for one, value in drawn.items():
        np.testing.assert_array_equal(skipped[one], np.zeros_like(value), strict=True)
        np.testing.assert_array_equal(after[one], value)


@pytest.mark.parametrize("name", [of(name) for name in WRITTEN])
def test_loading_draws_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    WRITTEN[name](tmp_path / name)
    expected = pyrnn.load(tmp_path / name).state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(np.random, "default_rng", lambda seed=None: pytest.fail("numbers were drawn"))
        loaded = pyrnn.load(tmp_path / name).state_dict()
    assert all(value.any() for parameter, value in loaded.items() if "weight" in parameter)
    assert {one: value.tobytes() for one, value in loaded.items()} == {
        one: value.tobytes() for one, value in expected.items()
    }


@pytest.mark.parametrize(
    ("name", "unwanted"),
    [
        of("layer.pt", {"numpy.random", "pyrnn.nn", "dataclasses", "tempfile"}),
        of("layer.npz", {"numpy.random", "pyrnn.nn", "dataclasses", "tempfile"}),
        of("layer.safetensors", {"numpy.random", "pyrnn.nn", "dataclasses", "zipfile", "pathlib"}),
        of("network.safetensors", {"numpy.random", "dataclasses", "zipfile", "pathlib"}),
    ],
)
def test_a_start_from_a_file_imports_little(tmp_path: Path, name: str, unwanted: set[str]) -> None:
    WRITTEN[name](tmp_path / name)
    code = """
import sys
import numpy as np
before = set(sys.modules)
import pyrnn
pyrnn.load(sys.argv[1])(np.ones((1, 1, 3), np.float32))
print(*set(sys.modules) - before)
"""
    command = [sys.executable, "-c", code, str(tmp_path / name)]
    imported = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    assert "pyrnn.weights.arrays" in imported
    assert imported & unwanted == set()


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("name", [of("layer.pt"), of("network.safetensors")])
def test_a_loaded_model_drops_out_in_training_and_its_copy_alike(tmp_path: Path, name: str, twin: Any) -> None:
    WRITTEN[name](tmp_path / name)
    model = pyrnn.load(tmp_path / name, **({"dropout": 0.5} if name == "layer.pt" else {}))
    other = twin(model)
    still, dropped = model(X)[0], model.train()(X)[0]
    assert not np.array_equal(dropped, still)
    np.testing.assert_array_equal(other.train()(X)[0], dropped)
