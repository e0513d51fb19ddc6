"""Options that the shapes of weights do not tell are saved beside them, where torch and other readers ignore them."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import numpy as np
import safetensors
import torch
from torch.utils._pytree import tree_leaves

import pyrnn
import pyrnn.torch
from pyrnn import nn
from pyrnn.weights.files import FORMATS

LAYERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "relu": (pyrnn.RNN, {"nonlinearity": "relu"}),
    "tanh": (pyrnn.RNN, {"nonlinearity": "tanh", "batch_first": True}),
    "activation": (pyrnn.RNN, {"activation": "identity", "bidirectional": True}),
    "reset before": (pyrnn.GRU, {"reset_after": False, "num_layers": 2, "dropout": 0.25}),
    "hard sigmoid": (pyrnn.GRU, {"recurrent_activation": "hard_sigmoid_keras3", "activation": "relu"}),
    "held": (pyrnn.GRU, {"masked_output": "hold", "bias": False}),
    "peephole": (pyrnn.LSTM, {"peephole": True, "activation": "sigmoid", "batch_first": True}),
    "projection": (pyrnn.LSTM, {"proj_size": 2, "recurrent_activation": "hard_sigmoid_keras2"}),
}
CELLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "relu cell": (pyrnn.RNNCell, {"nonlinearity": "relu"}),
    "reset before, cell": (pyrnn.GRUCell, {"reset_after": False}),
    "LSTM cell": (pyrnn.LSTMCell, {"bias": False}),
}
ALL = LAYERS | CELLS


def made(kind: str) -> Any:
    layer, options = ALL[kind]
    return layer(3, 5, **options, seed=0).eval()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("kind", ALL)
def test_a_saved_layer_comes_back_with_all_its_options(kind: str, suffix: str, tmp_path: Path) -> None:
    layer, path = made(kind), tmp_path / f"m{suffix}"
    pyrnn.save_state_dict(layer.state_dict(), path)
    loaded = pyrnn.load(path)
    assert type(loaded) is type(layer)
    assert repr(loaded) == repr(layer)
    assert loaded.config() == layer.config()  # type: ignore[attr-defined]
    again = pyrnn.from_state_dict(pyrnn.load_state_dict(path))
    assert again.config() == layer.config()


@pytest.mark.parametrize("kind", ALL)
def test_options_survive_a_prefix_a_copy_and_a_pickle(kind: str) -> None:
    layer = made(kind)
    outer = pyrnn.Module()
    outer.encoder = pyrnn.Module()
    outer.encoder.rnn, outer.out = layer, nn.Linear(5, 2)
    state = outer.state_dict()
    copies = [state, copy.copy(state), copy.deepcopy(state), pickle.loads(pickle.dumps(state))]
    for one in copies:
        assert pyrnn.from_state_dict(one, prefix="encoder.rnn.").config() == layer.config()


def test_a_state_dict_is_a_tree_for_torch_and_jax() -> None:
    state = made("relu").state_dict()
    assert [value.shape for value in tree_leaves(state)] == [value.shape for value in state.values()]


@pytest.mark.parametrize("suffix", [".pt", ".npz", ".safetensors"])
def test_options_of_a_layer_inside_a_model_are_found_in_its_file(suffix: str, tmp_path: Path) -> None:
    model = nn.Sequential(made("relu"), nn.Linear(5, 2))
    pyrnn.save_state_dict(model.state_dict(), tmp_path / f"m{suffix}")
    assert pyrnn.load(tmp_path / f"m{suffix}", prefix="0.").nonlinearity == "relu"
    if suffix == ".pt":
        pyrnn.save_state_dict({"epoch": 3, "model": model.state_dict()}, tmp_path / "m.pt")
        assert pyrnn.load(tmp_path / "m.pt", prefix="model.0.").nonlinearity == "relu"
        nested = pyrnn.load_state_dict(tmp_path / "m.pt")["model"]
        assert pyrnn.from_state_dict(nested, prefix="0.").config()["nonlinearity"] == "relu"


def test_what_the_caller_says_goes_before_what_the_file_says(tmp_path: Path) -> None:
    pyrnn.save_state_dict(made("relu").state_dict(), tmp_path / "m.pt")
    assert pyrnn.load(tmp_path / "m.pt", nonlinearity="tanh").nonlinearity == "tanh"
    state = made("activation").state_dict()
    assert pyrnn.from_state_dict(state, nonlinearity="relu").config()["activation"] is None
    assert pyrnn.from_state_dict(made("tanh").state_dict(), batch_first=False).config()["batch_first"] is False


@pytest.mark.parametrize("weights_only", [True, False])
def test_torch_loads_what_pyrnn_wrote_strictly(weights_only: bool, tmp_path: Path) -> None:
    layer = made("relu")
    pyrnn.save_state_dict({"model": layer.state_dict()}, tmp_path / "m.pt")
    loaded = torch.load(tmp_path / "m.pt", weights_only=weights_only)
    assert type(loaded["model"]) is dict
    module = torch.nn.RNN(3, 5, nonlinearity="relu")
    assert str(module.load_state_dict(loaded["model"], strict=True)) == "<All keys matched successfully>"
    tensors = layer.state_dict()
    tensors.update({name: torch.from_numpy(value) for name, value in tensors.items()})
    assert str(module.load_state_dict(tensors, strict=True)) == "<All keys matched successfully>"
    norm = nn.BatchNorm1d(3).state_dict()
    assert norm._metadata[""]["version"] == torch.nn.BatchNorm1d(3).state_dict()._metadata[""]["version"]


def test_the_options_disturb_no_other_reader(tmp_path: Path) -> None:
    state = made("relu").state_dict()
    for suffix in FORMATS:
        pyrnn.save_state_dict(state, tmp_path / f"m{suffix}")
    with np.load(tmp_path / "m.npz") as found:
        assert found.files == [*state]
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="numpy") as file:
        assert sorted(file.keys()) == sorted(state)
    pyrnn.save_state_dict(dict(state), tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "m.pt") as ours, zipfile.ZipFile(tmp_path / "plain.pt") as plain:
        assert {*ours.namelist()} - {*plain.namelist()} == {"archive/pyrnn.json"}
        assert json.loads(ours.read("archive/pyrnn.json"))[""]["nonlinearity"] == "relu"


# -- a state dict that does not say ------------------------------------------------------------------------


def test_a_foreign_rnn_warns_once_and_names_the_option(tmp_path: Path) -> None:
    state = torch.nn.RNN(3, 5, nonlinearity="relu").state_dict()
    with pytest.warns(UserWarning, match='say nonlinearity="tanh" or nonlinearity="relu"') as caught:
        assert pyrnn.from_state_dict(state).config()["nonlinearity"] == "tanh"
    assert len(caught) == 1
    assert caught[0].filename == __file__
    torch.save({"model": state}, tmp_path / "m.pt")
    with pytest.warns(UserWarning, match=r"m\.pt: .*model\.weight_ih_l0.*nonlinearity=") as caught:
        pyrnn.load(tmp_path / "m.pt")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="nonlinearity="):
        pyrnn.from_state_dict(torch.nn.RNNCell(3, 5).state_dict())


@pytest.mark.parametrize("options", [{"nonlinearity": "relu"}, {"nonlinearity": "tanh"}, {"activation": "sigmoid"}])
def test_nothing_warns_where_the_caller_names_the_option(options: dict[str, Any], tmp_path: Path) -> None:
    torch.save(torch.nn.RNN(3, 5).state_dict(), tmp_path / "m.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = pyrnn.load(tmp_path / "m.pt", **options)
    assert {name: loaded.config()[name] for name in options} == options


@pytest.mark.parametrize("kind", [torch.nn.GRU, torch.nn.LSTM, torch.nn.GRUCell, torch.nn.LSTMCell])
def test_nothing_warns_of_cells_that_have_one_form_in_torch(kind: Any, tmp_path: Path) -> None:
    torch.save(kind(3, 5).state_dict(), tmp_path / "m.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert type(pyrnn.load(tmp_path / "m.pt")).__name__ == kind.__name__


@pytest.mark.parametrize(
    "metadata",
    [
        {"": {"nonlinearity": "relu", "activation": None, "batch_first": 1, "dropout": "0.5", "unknown": 3}},
        {"": {"nonlinearity": "relu", "masked_output": ["hold"], "hidden_size": 10**9}},
        {"": {"nonlinearity": "relu"}, 3: {}, "rnn": 7},
    ],
)
def test_metadata_of_a_stranger_is_taken_only_where_it_fits(metadata: Any) -> None:
    state = pyrnn.RNN(3, 5).state_dict()
    state._metadata = metadata
    assert repr(pyrnn.from_state_dict(state)) == "RNN(3, 5, nonlinearity=relu)"


def test_a_damaged_record_of_options_is_refused(tmp_path: Path) -> None:
    pyrnn.save_state_dict(made("relu").state_dict(), tmp_path / "m.npz")
    with zipfile.ZipFile(tmp_path / "m.npz", "a") as archive:
        archive.comment = b"pyrnn: {" + b"[" * 50_000
    with pytest.raises(ValueError, match=r"m\.npz cannot be loaded: the options beside its weights are no JSON"):
        pyrnn.load(tmp_path / "m.npz")


# -- pyrnn.torch -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("RNN", {"nonlinearity": "relu", "batch_first": True}),
        ("RNN", {"activation": "identity"}),
        ("LSTM", {"activation": "sigmoid", "peephole": True}),
        ("GRU", {"recurrent_activation": "hard_sigmoid_keras2"}),
        ("RNNCell", {"nonlinearity": "relu"}),
    ],
)
def test_drop_ins_write_their_options_as_torch_writes_metadata(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    model = torch.nn.Sequential(getattr(pyrnn.torch, kind)(3, 5, **options))
    state = model.state_dict()
    assert {name: state._metadata["0"][name] for name in options} == options
    torch.save(state, tmp_path / "m.pt")
    loaded: Any = pyrnn.load(tmp_path / "m.pt")
    assert {name: getattr(loaded, name) for name in options} == options
    again = torch.nn.Sequential(getattr(pyrnn.torch, kind)(3, 5, **options))
    again.load_state_dict(torch.load(tmp_path / "m.pt", weights_only=True), strict=True)
    if not {"activation", "recurrent_activation"} & set(options):
        torch.nn.Sequential(getattr(torch.nn, kind)(3, 5)).load_state_dict(state, strict=True)


def test_an_accelerated_relu_rnn_is_known_by_its_state_dict() -> None:
    model = torch.nn.Sequential(torch.nn.RNN(3, 5, nonlinearity="relu"))
    pyrnn.torch.accelerate(model)
    assert repr(pyrnn.from_state_dict(model.state_dict(), prefix="0.")) == "RNN(3, 5, nonlinearity=relu)"
