"""Damaged and hostile files of Keras: refused in one sentence, with little memory taken."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from keras_files import KERAS_WARNS, built, described, keras, keras2_file, refused, sequences

from pyrnn.weights.keras import load, load_weights
from pyrnn.weights.keras.container import Container
from pyrnn.weights.keras.convert import network

pytestmark = KERAS_WARNS

DENSE = described("Dense", "out", units=2)
ARRAYS = {"out/out/kernel:0": np.ones((3, 2)), "out/out/bias:0": np.ones(2)}
MODEL = {"class_name": "Sequential", "config": {"layers": [DENSE]}}


def sound(path: Path) -> Path:
    return keras2_file(path, [DENSE], ARRAYS)


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load(sound(tmp_path / "model.h5"))(np.ones((1, 3), np.float32)), [[4, 4]])


# -- HDF5 --------------------------------------------------------------------------------------------------


def replaced(file: Any, **options: Any) -> None:
    """Another dataset in place of the kernel."""
    del file["model_weights/out/out/kernel:0"]
    file["model_weights/out/out"].create_dataset("kernel:0", **options)


def linked(file: Any, link: Any) -> None:
    del file["model_weights/out/out/kernel:0"]
    file["model_weights/out/out/kernel:0"] = link


def configured(value: Any) -> Callable[[Any], None]:
    """Puts another configuration in place."""

    def spoil(file: Any) -> None:
        file.attrs["model_config"] = value

    return spoil


def deep(file: Any) -> None:
    file.create_group("model_weights/" + "/".join("a" * 102))


def endless(file: Any) -> None:
    """A group that holds itself twice."""
    group = file["model_weights"]
    group["again"], group["and again"] = group, group


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "data", (3, 2))
    del file["model_weights/out/out/kernel:0"]
    file["model_weights/out/out"].create_virtual_dataset("kernel:0", layout)


def shared_names(file: Any) -> None:
    """Ten thousand names that could all be the same bytes, in a file that could be large."""
    file["model_weights/ballast"] = np.zeros(2**18, np.float32)
    file["model_weights"].attrs["layer_names"] = np.array(["x"] * 3000, object)


HOSTILE: dict[str, tuple[Callable[[Any], None], str]] = {
    "external link": (lambda file: linked(file, h5py.ExternalLink("secret.h5", "data")), "'kernel:0' is a link"),
    "soft link": (lambda file: linked(file, h5py.SoftLink("/model_weights/out/out/bias:0")), "'kernel:0' is a link"),
    "external": (
        lambda file: replaced(file, shape=(3, 2), dtype="f4", external=[("secret", 0, 24)]), "lies in another file"
    ),
    "virtual": (virtual, "lies in another file"),
    "plug-in": (lambda file: replaced(file, data=np.ones((3, 2)), compression="lzf"), "is packed by a plug-in"),
    "vast": (lambda file: replaced(file, shape=(2**36, 2**20), dtype="f8", chunks=(1, 1)), "more than 64 times"),
    "bomb": (
        lambda file: replaced(file, data=np.zeros((2**13, 2**10)), compression="gzip", chunks=(1024, 1024)),
        "more than 64 times",
    ),
    "text": (lambda file: replaced(file, data=np.array([b"abc"])), "only real numbers are loaded"),
    "complex": (lambda file: replaced(file, data=np.ones((3, 2), np.complex64)), "only real numbers are loaded"),
    "empty": (lambda file: replaced(file, data=h5py.Empty("f4")), "only real numbers are loaded"),
    "deep": (deep, "nested more than 100 deep"),
    "endless": (endless, "nested more than 100 deep|more than 10000 groups"),
    "names": (shared_names, "has 3000 strings, too many for a file of this size"),
    "config": (configured("{"), "its model_config is no sound JSON"),
    "no object": (configured("[]"), "model_config should be a JSON object"),
    "nested": (configured("[" * 30000), "its model_config is no sound JSON"),
    "numbers": (configured(7), "'model_config' should hold text, got int64"),
    "a list": (configured([b"{}"]), "'model_config' should be one string"),
    "subclass": (configured(json.dumps({**MODEL, "class_name": "Mine"})), "'Mine'"),
    "no layers": (configured('{"class_name": "Sequential"}'), "list of 1 to 1000"),
    "no layer": (
        configured('{"class_name": "Sequential", "config": [7]}'), "is no layer: '7'"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_hdf5(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrnn.budget.HARMLESS", 2**20)  # else each file may take 16 MiB
    monkeypatch.setattr("pyrnn.weights.keras.hdf5.HARMLESS_NAMES", 2**20)
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones((3, 2), np.float32)
    path, (spoil, because) = sound(tmp_path / "model.h5"), HOSTILE[case]
    with h5py.File(path, "r+") as file:
        spoil(file)
    tracemalloc.start()
    with pytest.raises(ValueError, match=because.replace("(", ".")) as caught:
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(caught.value).startswith(f"{path} cannot be loaded: ")
    assert peak < 2**23


@pytest.mark.parametrize("keep", [0, 3, 8, 100, 3000, -8])
def test_hdf5_cut_short(keep: int, tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "its HDF5 data are damaged")


def test_every_damaged_byte_is_refused_or_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "model.h5")
    content = bytearray(path.read_bytes())
    read = 0
    for place in np.random.default_rng(0).integers(0, len(content), 300):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            load(path)
            read += 1
        except ValueError as error:
            assert str(error).startswith(f"{path} cannot be loaded: ")  # noqa: PT017
    assert 0 < read < 300  # many bytes are padding, or a weight


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
    """Paths to everything in a tree of dicts and lists."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


@pytest.mark.parametrize("wrong", [None, -1, 10**400, "x", [], {}, [[]], True, float("nan"), 1e308], ids=repr)
def test_whatever_stands_in_a_configuration_is_refused_or_read(wrong: Any) -> None:
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
    assert 0 < sum(outcomes) < len(outcomes)


# -- .keras ------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    built([keras.layers.LSTM(3)], sequences()).save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def rewritten(path: Path, compression: int = zipfile.ZIP_STORED, **changed: bytes | None) -> Path:
    """The archive with some records replaced, or with None left out."""
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
def test_damaged_archives(changed: dict[str, bytes | None], because: str, saved: Path) -> None:
    refused(rewritten(saved, **changed), because)


def test_an_archive_that_unpacks_to_vast_size(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrnn.budget.HARMLESS", 0)
    refused(rewritten(saved, zipfile.ZIP_DEFLATED, ballast=bytes(2**24)), "the records of its zip archive would take")


def test_long_configurations_are_refused_unread(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyrnn.weights.keras.container.MAX_JSON", 100)
    refused(saved, "its config.json has", "more than 100 are not read")


def test_deflated_archives_are_read(saved: Path) -> None:
    before = load(saved)(sequences())
    np.testing.assert_array_equal(load(rewritten(saved, zipfile.ZIP_DEFLATED))(sequences()), before)


def test_archives_cut_short(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    refused(saved, "its zip archive is damaged")


# -- paths and packages ------------------------------------------------------------------------------------


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "model.keras")


def test_weights_alone_are_not_a_model(tmp_path: Path) -> None:
    built([keras.layers.LSTM(3)], sequences()).save_weights(tmp_path / "model.weights.h5")
    refused(tmp_path / "model.weights.h5", "it holds weights alone", "use load_weights")


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r'h5py: pip install "pyrnn-cpu\[keras\]"'):
        load(sound_bytes(tmp_path))


def sound_bytes(tmp_path: Path) -> Path:
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    return tmp_path / "model.h5"


def test_reading_imports_neither_keras_nor_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys
from pyrnn.weights.keras import load
assert "h5py" not in sys.modules
load({str(sound(tmp_path / "model.h5"))!r})
print(*{{"keras", "tensorflow", "torch"}} & set(sys.modules))
"""
    path = str(Path(load_weights.__code__.co_filename).parents[3])
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.split() == []
