"""Weights go to torch and back without a change of key or bit, and the next call uses the weights that were loaded."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")

import cases
import numpy as np
import torch
from cases import DTYPES, Config
from torch_layers import torch_layer

import pyrnn

CONFIGS = [
    Config(cell, layers, bidirectional, bias, dtype=dtype)
    for cell, layers, bidirectional, bias, dtype in itertools.product(
        ("rnn_tanh", "lstm", "lstm_proj", "gru"), (1, 2), (False, True), (False, True), DTYPES
    )
]
ODD_VALUES = (-0.0, 1e-40, np.inf, -np.inf, np.nan)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_there_and_back_changes_no_key_and_no_bit(config: Config) -> None:
    source, layer, target = torch_layer(config), config.pyrnn_layer(), torch_layer(config)
    with torch.no_grad():
        for value in source.parameters():
            value.view(-1)[: len(ODD_VALUES)] = torch.tensor(ODD_VALUES, dtype=value.dtype)
    layer.load_state_dict(source.state_dict())
    given = {name: value.numpy().tobytes() for name, value in source.state_dict().items()}
    ours = layer.state_dict()
    assert [*ours] == [*layer.parameters()] == [*given]
    assert {name: value.tobytes() for name, value in ours.items()} == given
    target.load_state_dict({name: torch.from_numpy(value) for name, value in ours.items()})
    assert {name: value.numpy().tobytes() for name, value in target.state_dict().items()} == given


@pytest.mark.parametrize("prefix", ["", "encoder.rnn."])
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_layer_is_read_off_its_state_dict(config: Config, prefix: str) -> None:
    module = torch_layer(config)
    state_dict = {prefix + name: value for name, value in module.state_dict().items()}
    others = {"decoder.weight": torch.zeros(2, 2)} if prefix else {}
    options = {"nonlinearity": "tanh"} if config.cell == "rnn_tanh" else {}
    layer = pyrnn.from_state_dict(state_dict | others, prefix=prefix, **options)
    x = config.draw_input(np.random.default_rng(1))
    y, state = layer(x)
    expected_y, expected_state = module(torch.tensor(x))
    expected = tuple(s.detach().numpy() for s in cases.as_states(expected_state))
    cases.assert_outputs(y, state, expected_y.detach().numpy(), expected, config.dtype)


@pytest.mark.parametrize("values", ["float64", "bfloat16", "float16", "requires-grad", "lists", "fortran"])
def test_any_array_of_numbers_is_cast_as_torch_casts_it(values: str) -> None:
    module, layer = torch.nn.LSTM(3, 5), pyrnn.LSTM(3, 5)
    source: dict[str, Any] = dict(module.named_parameters())
    if values in ("float64", "bfloat16", "float16"):
        source = {name: value.detach().to(getattr(torch, values)) for name, value in source.items()}
    elif values == "lists":
        source = {name: value.tolist() for name, value in source.items()}
    elif values == "fortran":
        source = {name: np.asarray(value.detach().numpy(), order="F") for name, value in source.items()}
    layer.load_state_dict(source)
    module.load_state_dict({name: torch.as_tensor(value) for name, value in source.items()})
    for name, value in layer.parameters().items():
        np.testing.assert_array_equal(value, module.state_dict()[name].numpy(), strict=True)


@pytest.mark.parametrize("config", [c for c in CONFIGS if c.layers == 1 and c.bias], ids=str)
def test_the_next_call_uses_a_replaced_weight(config: Config) -> None:
    module, layer = torch_layer(config), config.pyrnn_layer()
    layer.load_state_dict(module.state_dict())
    x = config.draw_input(np.random.default_rng(1))
    before = layer(x)[0]
    for name in layer.parameters():
        replaced = -layer.parameters()[name]
        setattr(layer, name, replaced)
        module.load_state_dict({name: torch.from_numpy(replaced)}, strict=False)
        y, state = layer(x)
        expected_y, expected_state = module(torch.tensor(x))
        expected = tuple(s.detach().numpy() for s in cases.as_states(expected_state))
        cases.assert_outputs(y, state, expected_y.detach().numpy(), expected, config.dtype)
    assert not np.array_equal(before, y)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"])
def test_initial_weights_follow_torchs_distribution(name: str) -> None:
    one, same, other = (getattr(pyrnn, name)(30, 100, seed=seed) for seed in (1, 1, 2))
    for key, value in one.parameters().items():
        # U(-0.1, 0.1): of at least 100 values the largest is under 0.08 with a chance of 0.8^100.
        assert 0.08 < np.abs(value).max() <= 0.1
        np.testing.assert_array_equal(value, same.parameters()[key], strict=True)
        assert not np.array_equal(value, other.parameters()[key])
    unseeded = [next(iter(getattr(pyrnn, name)(30, 100).parameters().values())) for _ in range(2)]
    assert not np.array_equal(*unseeded)
