"""Damaged and hostile files of Keras are refused in one sentence and take little memory."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("keras")

import numpy as np
from keras_files import KERAS_WARNS, built, described, keras, keras2_file, refused, sequences

from pyrnn.io.keras import load, load_weights
from pyrnn.io.keras.container import Container
from pyrnn.io.keras.convert import network

pytestmark = KERAS_WARNS

DENSE = described("Dense", "out", units=2)
ARRAYS = {"out/out/kernel:0": np.ones((3, 2)), "out/out/bias:0": np.ones(2)}
MODEL = {"class_name": "Sequential", "config": {"layers": [DENSE]}}


def sound(path: Path) -> Path:
    return keras2_file(path, [DENSE], ARRAYS)


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load(sound(tmp_path / "model.h5"))(np.ones((1, 3), np.float32)), [[4, 4]])


LAYERS = [
    described("InputLayer", "in", batch_input_shape=[None, 6, 3]),
    described("Bidirectional", "both", merge_mode="sum", layer=described(
        "SimpleRNN", "rnn", units=2, activation="tanh", return_sequences=True)),
    described("BatchNormalization", "norm", axis=[2], epsilon=0.1),
    described("Conv1D", "conv", filters=2, kernel_size=[1], strides=[1], padding="same", activation="relu"),
    described("Reshape", "shape", target_shape=[12]),
    DENSE,
]  # fmt: skip
RNN = {"kernel": (3, 2), "recurrent_kernel": (2, 2), "bias": (2,)}
SHAPES = {f"both/{side}_rnn/{name}": shape for side in ("forward", "backward") for name, shape in RNN.items()}
SHAPES |= {f"norm/{name}": (2,) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
SHAPES |= {"conv/kernel": (1, 2, 2), "conv/bias": (2,), "out/kernel": (12, 2), "out/bias": (2,)}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path to every value in a tree of dicts and lists."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


WRONG = [None, -1, 0, 10**12, 10**400, "x", "1", [], {}, [[]], [None], ["1"], [10**12], [-1, -1], [0.5], {"a": {}}]
WRONG += [True, False, 0.5, -1e12, float("nan"), 1e308, "a\ud800", "\n", "x" * 10**6, [["a"]] * 10**5]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong)[:20])
def test_any_value_in_a_configuration_is_read_or_refused_in_one_short_sentence(wrong: Any) -> None:
    arrays = {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()}
    outcomes = []
    for path in list(places(LAYERS))[1:]:
        layers = copy.deepcopy(LAYERS)
        inner: Any = layers
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = wrong
        model = {"class_name": "Sequential", "config": {"layers": layers}}
        try:
            outcomes.append(bool(network(Container(model, (2, 4), False, None, arrays))))
        except ValueError as error:
            outcomes.append(False)
            assert len(str(error)) < 1000  # noqa: PT017
            assert str(error).isascii()  # noqa: PT017
    assert 0 < sum(outcomes) < len(outcomes)


SIZES = [
    described("RepeatVector", "again", n=10**9),
    described("Reshape", "again", target_shape=[10**9, 10**9]),
    described("MaxPooling1D", "again", pool_size=[10**9], padding="same"),
    described("AveragePooling2D", "again", pool_size=[10**6, 10**6]),
    described("Conv1D", "again", filters=2, kernel_size=[2], dilation_rate=[10**9], padding="causal"),
    described("Dense", "again", units=10**12),
    described("LSTM", "again", units=10**9, activation="tanh", recurrent_activation="sigmoid"),
    described("Embedding", "again", input_dim=10**9, output_dim=10**9),
]


@pytest.mark.parametrize("layer", SIZES, ids=lambda layer: layer["class_name"])
def test_a_size_that_the_file_cannot_pay_for_is_refused_before_memory_is_taken(layer: Any) -> None:
    arrays = {"again/kernel": np.ones((2, 2, 2), np.float32), "again/bias": np.ones(2, np.float32)}
    if layer["class_name"] != "Conv1D":
        arrays = {"again/kernel": np.ones((2, 2), np.float32), "again/bias": np.ones(2, np.float32),
                  "again/recurrent_kernel": np.ones((2, 2), np.float32)}  # fmt: skip
    if layer["class_name"] == "Dense":
        del arrays["again/recurrent_kernel"]
    if layer["class_name"] == "Embedding":
        arrays = {"again/embeddings": np.ones((2, 2), np.float32)}
    model = {"class_name": "Sequential", "config": {"layers": [layer]}}
    with pytest.raises(ValueError, match=r'layer "again" .*(raise limit=|should have shape|at most 2147483647)'):
        network(Container(model, (2, 4), False, None, arrays))


def test_many_layers_take_no_more_than_seconds(tmp_path: Path) -> None:
    names = [f"layer {i}" for i in range(990)]
    layers = [described("Dense", name, units=2) for name in names]
    arrays = {f"{name}/{name}/{part}": np.ones((2, 2)[: 1 + (part == "kernel")]) for name in names
              for part in ("kernel", "bias")}  # fmt: skip
    path = keras2_file(tmp_path / "model.h5", layers, arrays)
    start = time.process_time()
    assert len(load(path)._modules) == 990
    assert time.process_time() - start < 5


# -- .keras ------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    built([keras.layers.LSTM(3)], sequences()).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, **changed: bytes | None) -> Path:
    """Rewrites the archive with some records replaced; None leaves a record out."""
    with zipfile.ZipFile(path) as old:
        records = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", compression) as new:
        for name, data in {**records, **{key.replace("__", "."): value for key, value in changed.items()}}.items():
            if data is not None:
                new.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("changed", "because"),
    [
        ({"config__json": None}, "without config.json"),
        ({"model__weights__h5": None}, "without model.weights.h5"),
        ({"model__weights__npz": b""}, "only model.weights.h5 is read"),
        ({"config__json": b"\xff"}, "its config.json is no sound JSON"),
        ({"metadata__json": b"[]"}, "its metadata.json should be a JSON object"),
        ({"model__weights__h5": b"abc"}, "its HDF5 data are damaged"),
        (
            {"config__json": b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}'},
            "Lambda",
        ),
    ],
)
def test_damaged_archives_are_refused(changed: dict[str, bytes | None], because: str, saved: Path) -> None:
    refused(rewritten(saved, **changed), because)


def test_the_limit_holds_for_records_configurations_and_arrays_together(saved: Path) -> None:
    needed = next(limit for limit in range(0, 2**20, 100) if not raises(saved, limit))
    assert needed > 24 * len(zipfile.ZipFile(saved).read("config.json"))
    for part in ("records of its zip", "config.json", "strings of its attributes|its array"):
        assert any(re.search(part, raises(saved, limit)) for limit in range(0, needed, 100)), part
    for limit in range(0, needed, 100):
        assert "raise limit=" in raises(saved, limit)


def raises(path: Path, limit: int) -> str:
    """Loads the file within a limit and returns the message of its refusal, or "" if it is read."""
    try:
        load(path, limit=limit)
    except ValueError as error:
        return str(error)
    return ""


def test_json_that_would_become_many_objects_is_refused_unparsed(saved: Path) -> None:
    config = b'{"class_name": "Sequential", "config": [' + b"{}," * 2**20 + b"{}]}"
    refused(rewritten(saved, zipfile.ZIP_DEFLATED, config__json=config), "its config.json would take")


def test_an_archive_that_unpacks_to_vast_size_is_refused(saved: Path) -> None:
    refused(rewritten(saved, zipfile.ZIP_DEFLATED, ballast=bytes(2**25)), "records of its zip archive would take")


def test_deflated_archives_are_read(saved: Path) -> None:
    before = load(saved)(sequences())
    np.testing.assert_array_equal(load(rewritten(saved, zipfile.ZIP_DEFLATED))(sequences()), before)


def test_archives_cut_short_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    refused(saved, "its zip archive is damaged")


# -- paths and packages ------------------------------------------------------------------------------------


def test_a_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "model.keras")


def test_weights_alone_are_refused_as_a_model(tmp_path: Path) -> None:
    built([keras.layers.LSTM(3)], sequences()).save_weights(tmp_path / "model.weights.h5")
    refused(tmp_path / "model.weights.h5", "it holds weights alone", "use load_weights")


def test_without_pyfive_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyfive", None)
    with pytest.raises(ImportError, match=r'pyfive: pip install "pyrnn-cpu\[keras\]"'):
        load(sound_bytes(tmp_path))


def sound_bytes(tmp_path: Path) -> Path:
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    return tmp_path / "model.h5"


def test_reading_imports_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys
from pyrnn.io.keras import load
assert "pyfive" not in sys.modules
load({str(sound(tmp_path / "model.h5"))!r})
print(*{{"h5py", "keras", "tensorflow", "torch"}} & set(sys.modules))
"""
    path = str(Path(load_weights.__code__.co_filename).parents[3])
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == []
