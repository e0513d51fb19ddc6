"""Weights that torch keeps in parts are put together as torch does; the message names those that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from torch.nn.utils import parametrizations, parametrize, prune

import pyrnn

TOLERANCE = 4 * np.finfo(np.float32).eps  # relative to the largest weight; the error of torch's own float32 sums
Change = Callable[[torch.nn.Module, str], Any]


def old_weight_norm(module: torch.nn.Module, name: str, dim: int | None = 0) -> None:
    torch.nn.utils.weight_norm(module, name, dim)  # type: ignore[arg-type]


def after_steps(module: torch.nn.Module, name: str) -> None:
    """Applies a spectral norm and trains some steps, so that its vectors belong to earlier weights."""
    parametrizations.spectral_norm(module, name)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(3):
        getattr(module, name).square().sum().backward()
        optimizer.step()


CHANGES: dict[str, Change] = {
    "weight_norm": parametrizations.weight_norm,
    "weight_norm of columns": lambda module, name: parametrizations.weight_norm(module, name, dim=1),
    "weight_norm of the whole": lambda module, name: parametrizations.weight_norm(module, name, dim=None),  # type: ignore[arg-type]
    "old weight_norm": old_weight_norm,
    "old weight_norm of columns": lambda module, name: old_weight_norm(module, name, 1),
    "old weight_norm of the whole": lambda module, name: old_weight_norm(module, name, None),
    "spectral_norm": parametrizations.spectral_norm,
    "spectral_norm after steps": after_steps,
    "spectral_norm of columns": lambda module, name: parametrizations.spectral_norm(module, name, dim=1),
    "old spectral_norm": torch.nn.utils.spectral_norm,
    "pruning": lambda module, name: prune.random_unstructured(module, name, 0.5),
}
LAYERS = {
    "LSTM": lambda: torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True),
    "GRU": lambda: torch.nn.GRU(1, 4, bias=False),
    "GRU of one unit": lambda: torch.nn.GRU(2, 1, num_layers=2),
    "projection": lambda: torch.nn.LSTM(3, 5, proj_size=2, dtype=torch.float64),
    "cell": lambda: torch.nn.LSTMCell(3, 5),
}


@pytest.mark.filterwarnings("ignore:.*(weight_norm|spectral_norm).*deprecated")
@pytest.mark.parametrize("prefix", ["", "encoder.rnn."])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("change", CHANGES)
def test_parts_are_put_together_as_torch_does(change: str, layer: str, prefix: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = LAYERS[layer]()
    names = [name for name in dict(module.named_parameters()) if name.startswith("weight")]
    for name in names:
        with torch.no_grad():
            getattr(module, name).mul_(torch.linspace(0.5, 2, getattr(module, name).shape[1]))
        CHANGES[change](module, name)
    module.eval()
    if change.startswith("old spectral"):
        for hook in module._forward_pre_hooks.values():
            hook(module, None)  # type: ignore[call-arg]
    torch.save({prefix + name: value for name, value in module.state_dict().items()}, tmp_path / "m.pt")
    loaded: Any = pyrnn.load(tmp_path / "m.pt")
    assert isinstance(module, getattr(torch.nn, type(loaded).__name__))
    for name in names:
        expected = getattr(module, name).detach().numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(getattr(loaded, name), expected, rtol=0, atol=TOLERANCE * scale)


def test_a_square_matrix_takes_the_side_whose_vectors_fit() -> None:
    torch.manual_seed(0)
    module = torch.nn.RNN(4, 4)
    parametrizations.spectral_norm(module, "weight_hh_l0", n_power_iterations=20)
    loaded = pyrnn.from_state_dict(module.eval().state_dict(), nonlinearity="tanh")
    expected = module.weight_hh_l0.detach().numpy()
    np.testing.assert_allclose(loaded.parameters()["weight_hh_l0"], expected, rtol=0, atol=TOLERANCE)


class Doubled(torch.nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


UNKNOWN: dict[str, Change] = {
    "of the user's": lambda module, name: parametrize.register_parametrization(module, name, Doubled()),
    "orthogonal": parametrizations.orthogonal,
    "two": lambda module, name: (
        parametrizations.weight_norm(module, name),
        parametrizations.spectral_norm(module, name),
    ),
    "pruned and normed": lambda module, name: (
        prune.random_unstructured(module, name, 0.5),
        parametrizations.weight_norm(module, f"{name}_orig"),
    ),
}


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1", "weight_ih_l0_reverse"])
@pytest.mark.parametrize("change", UNKNOWN)
def test_what_cannot_be_put_together_is_named(change: str, name: str) -> None:
    module = torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True, bias=False)
    UNKNOWN[change](module, name)
    with pytest.raises((ValueError, RuntimeError), match=name) as caught:
        pyrnn.from_state_dict(module.state_dict())
    assert len(str(caught.value)) < 1000


LSTM = pyrnn.LSTM(3, 5, num_layers=2, bias=False, seed=0)


def test_the_second_layer_is_not_dropped_for_being_parametrized() -> None:
    state = LSTM.state_dict()
    for name in ("weight_ih_l1", "weight_hh_l1"):
        state[f"parametrizations.{name}.original1"] = state.pop(name)
        state[f"parametrizations.{name}.original0"] = np.ones((20, 1))
    loaded = pyrnn.from_state_dict(state)
    assert repr(loaded) == repr(LSTM)
    np.testing.assert_allclose(np.linalg.norm(loaded.parameters()["weight_hh_l1"], axis=1), 1, rtol=1e-6)


def test_weight_drop_gives_the_weights_without_the_drop() -> None:
    state = LSTM.state_dict()
    raw = state.pop("weight_hh_l0")
    assert np.array_equal(pyrnn.from_state_dict({**state, "weight_hh_l0_raw": raw}).parameters()["weight_hh_l0"], raw)
    both = {**state, "weight_hh_l0": raw, "weight_hh_l0_raw": raw}
    assert np.array_equal(pyrnn.from_state_dict(both).parameters()["weight_hh_l0"], raw)
    with pytest.raises(ValueError, match='"weight_hh_l0" and what "weight_hh_l0_raw" make of it differ'):
        pyrnn.from_state_dict({**both, "weight_hh_l0": 2 * raw})


@pytest.mark.parametrize(
    "name",
    [
        "weight_hh_l0_copy",
        "weight_label_l",
        "bias_lora_l9x",
        "weight_loss",
        "weight_hh_l00",
        "weight_hh_l0_reversed",
        "parametrizations.weight_xx_l0.original",
        "bias_ih_l٣",
        "weight_hh_l1_g",
        "weight_hh_l0_reverse_raw",
        "parametrizations.foo.original",
        "parametrizations.Weight_hh_l0.original",
    ],
)
def test_a_name_that_looks_like_the_layers_is_not_passed_over(name: str) -> None:
    with pytest.raises((ValueError, RuntimeError)) as caught:
        pyrnn.from_state_dict({**LSTM.state_dict(), name: np.ones((20, 5), np.float32)})
    assert name.encode("unicode_escape").decode() in str(caught.value)


def test_parts_of_a_parameter_that_the_layer_has_not_are_named_as_they_are() -> None:
    parts = {f"rnn.parametrizations.foo.original{i}": np.ones((20, 1 + 4 * i), np.float32) for i in (0, 1)}
    state = {f"rnn.{name}": value for name, value in LSTM.state_dict().items()}
    with pytest.raises(
        ValueError, match=r'Unexpected .*"parametrizations\.foo\.original0", "parametrizations\.foo\.or'
    ):
        pyrnn.from_state_dict(state | parts, prefix="rnn.")


@pytest.mark.parametrize("name", ["fc.weight", "my_label_l", "x_l5", "label.weight_l", "head.weight_g", "_l", "l_l0"])
def test_names_of_others_are_left_alone(name: str) -> None:
    state = {**LSTM.state_dict(), name: np.ones((20, 5), np.float32)}
    assert repr(pyrnn.from_state_dict(state)) == repr(LSTM)


def test_the_parametrization_of_another_layer_does_not_matter() -> None:
    module = torch.nn.ModuleDict({"a": torch.nn.GRU(3, 4), "b": torch.nn.GRU(3, 4)})
    parametrize.register_parametrization(module["b"], "weight_hh_l0", Doubled())
    assert repr(pyrnn.from_state_dict(module.state_dict(), prefix="a.")) == "GRU(3, 4)"
    with pytest.raises(ValueError, match=r'"b\.weight_hh_l0" is parametrized, and .*original'):
        pyrnn.from_state_dict(module.state_dict(), prefix="b.")
