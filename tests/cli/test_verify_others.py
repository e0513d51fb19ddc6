"""pyrnn.verify against torch and onnxruntime, and the equations in float64 by which it names a gate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("typer")

import numpy as np
import torch
from verify_cases import found, with_swapped_gates

import pyrnn
from pyrnn import nn
from pyrnn.io import onnx
from pyrnn.verify import verify
from pyrnn.verify.equations import EquationsCell, blocks

# -- torch -------------------------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(7, 2, 3))
MODULES = {
    "lstm": lambda: torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True),
    "projection": lambda: torch.nn.LSTM(3, 5, num_layers=2, proj_size=2),
    "gru": lambda: torch.nn.GRU(3, 5, num_layers=3),
    "float64": lambda: torch.nn.GRU(3, 5, bias=False, dtype=torch.float64),
    "relu": lambda: torch.nn.RNN(3, 5, nonlinearity="relu"),
}


def saved(folder: Path, name: str) -> Path:
    torch.manual_seed(0)
    torch.save({"rnn": MODULES[name]().state_dict()}, folder / "model.pt")
    return folder / "model.pt"


@pytest.mark.parametrize("name", MODULES)
def test_a_layer_of_torch_agrees(tmp_path: Path, name: str) -> None:
    options = {"nonlinearity": "relu"} if name == "relu" else {}
    report = verify(saved(tmp_path, name), "torch", X, **options)
    assert report.agrees
    assert len(report.layers) == MODULES[name]().num_layers
    assert 0 < report.layers[0].largest < 1e-6 or name == "float64"


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_layout_of_the_data_follows_batch_first(tmp_path: Path, batch_first: bool) -> None:
    path = saved(tmp_path, "lstm")
    model = pyrnn.load(path, batch_first=batch_first)
    with_swapped_gates(model, "weight_hh_l1_reverse", 1, 2)
    x = X.swapaxes(0, 1) if batch_first else X
    assert found(verify(path, "torch", x, model=model, batch_first=batch_first)) == ("l1", "reverse", 5, "f")
    assert found(verify(path, "torch", x[0] if batch_first else x[:, 0], model=model)) == ("l1", "reverse", 5, "f")


def test_a_relu_taken_for_tanh_is_found(tmp_path: Path) -> None:
    path = saved(tmp_path, "relu")
    with pytest.warns(UserWarning, match="tanh is taken"):
        model = pyrnn.load(path)
    assert found(verify(path, "torch", X, model=model, nonlinearity="relu")) == ("l0", "forward", 0, "h")


def test_reset_before_is_found_and_refused_since_torch_has_no_such_gru(tmp_path: Path) -> None:
    path = saved(tmp_path, "gru")
    model = pyrnn.load(path, reset_after=False)
    # At step 0 the two forms differ by (1 - r) b_hn.
    assert found(verify(path, "torch", X, model=model)) == ("l0", "forward", 0, "n")
    with pytest.raises(ValueError, match=r"reset_after=False is not in torch\.nn"):
        verify(path, "torch", X, reset_after=False)


def test_a_model_of_another_kind_than_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the file holds GRU\(3, 5, num_layers=3\), the model is LSTM\(3, 5\)"):
        verify(saved(tmp_path, "gru"), "torch", X, model=pyrnn.LSTM(3, 5))


# -- onnxruntime -------------------------------------------------------------------------------------------


def chain() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(3, 4, seed=0),
        pyrnn.LSTM(4, 5, batch_first=True, seed=1),
        pyrnn.GRU(5, 4, batch_first=True, bidirectional=True, seed=2),
        nn.Reverse(batch_first=True),
        pyrnn.RNN(8, 3, batch_first=True, seed=3),
        nn.LastStep(batch_first=True),
        nn.Linear(3, 2, seed=4),
    )


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    onnx.save(chain(), tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_an_onnx_model_agrees_node_by_node(graph: Path) -> None:
    report = verify(graph, "onnxruntime", X.swapaxes(0, 1))
    assert report.agrees, str(report)
    kinds = [layer.kind for layer in report.layers]
    assert [kind for kind in kinds if kind in ("LSTM", "GRU", "RNN", "MatMul")] == ["MatMul", "LSTM", "RNN", "MatMul"]
    assert max(layer.largest for layer in report.layers) < 1e-6


@pytest.mark.parametrize(
    ("place", "name", "gates", "expected"),
    [
        (1, "weight_ih_l0", (0, 1), ("LSTM", "forward", 0, "i")),
        (1, "weight_hh_l0", (1, 2), ("LSTM", "forward", 1, "f")),
        (2, "weight_hh_l0", (0, 1), ("GRU", "forward", 1, "r")),
        (2, "weight_hh_l0_reverse", (1, 2), ("GRU", "reverse", 5, "z")),
    ],
)
def test_a_wrong_gate_in_a_node_is_found(
    graph: Path, place: int, name: str, gates: Any, expected: tuple[Any, ...]
) -> None:
    model = pyrnn.load(graph)
    with_swapped_gates(model[place], name, *gates)
    node, *where = found(verify(graph, "onnxruntime", X.swapaxes(0, 1), model=model))
    assert expected[0] in node
    assert tuple(where) == expected[1:]


def test_a_wrong_weight_in_other_nodes_is_found(graph: Path) -> None:
    model = pyrnn.load(graph)
    model[4].weight_ih_l0 = model[4].weight_ih_l0 + np.float32(0.1)
    assert found(verify(graph, "onnxruntime", X.swapaxes(0, 1), model=model))[1:] == ("reverse", 6, "h")
    model = pyrnn.load(graph)
    model[0].weight = model[0].weight + np.float32(0.1)
    node, *where = found(verify(graph, "onnxruntime", X.swapaxes(0, 1), model=model))
    assert node.startswith("0")
    assert where == [None, 0, None]


# -- the judge itself --------------------------------------------------------------------------------------


def test_the_equations_of_a_gru_are_those_by_hand() -> None:
    """By hand: gates whose sum is 0 are 1/2, so the candidate adds half of the product with the state."""
    ones = {gate: np.ones((1, 1)) for gate in "rzn"}
    none = {gate: np.zeros(1) for gate in "rzn"}
    zero = {gate: np.zeros((1, 1)) for gate in "rzn"}
    cell = EquationsCell(
        "GRU", ones, {**zero, "n": np.ones((1, 1))}, {**none, "r": -np.ones(1), "z": -np.ones(1)}, none
    )
    steps = cell.run(np.ones((2, 1, 1)))
    first = np.tanh(1) / 2
    np.testing.assert_allclose(steps["r"].ravel(), [0.5, 0.5])
    np.testing.assert_allclose(steps["h"].ravel(), [first, np.tanh(1 + first / 2) / 2 + first / 2], rtol=1e-15)


def test_the_equations_hold_a_masked_state() -> None:
    weight = {"h": np.full((1, 1), 0.5)}
    cell = EquationsCell("RNN", weight, weight, {"h": np.zeros(1)}, {"h": np.zeros(1)})
    active = np.array([[True], [False], [True]])
    h = cell.run(np.ones((3, 1, 1)), active)["h"].ravel()
    assert h[1] == h[0]
    assert h[2] == np.tanh(0.5 + 0.5 * h[0])


def test_saturated_gates_raise_no_warning() -> None:
    """A warning is an error in these tests, and exp(1000) overflows in a gate that is 0."""
    big, none = blocks(np.full((1, 4), -1e3), "ifgo"), blocks(np.zeros(4), "ifgo")
    steps = EquationsCell("LSTM", big, big, none, none).run(np.ones((1, 1, 1)))
    assert steps["i"].item() == 0
    assert steps["g"].item() == -1


def test_nan_on_one_side_is_a_difference(tmp_path: Path) -> None:
    path = saved(tmp_path, "gru")
    model = pyrnn.load(path)
    model.weight_ih_l0 = np.full_like(model.weight_ih_l0, np.nan)
    report = verify(path, "torch", X, model=model)
    assert found(report) == ("l0", "forward", 0, "r")
    assert np.isnan(report.layers[0].largest)
