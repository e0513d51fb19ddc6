"""helpers/reference.py agrees with torch.nn, an autograd loop and finite differences, in float64."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("torch")

import cases
import numpy as np
import reference
import torch
from cases import Array, Config
from torch_layers import torch_layer, torch_vjp

# Both sides are float64 and some 50 operations deep; values and gradients are of order 1 to 100.
SAME = 1e-12

STACKS = [
    Config(cell, layers, bidirectional, bias)
    for cell, layers, bidirectional, bias in itertools.product(
        ("rnn_tanh", "rnn_relu", "lstm", "lstm_proj", "gru", "gru_reset_before"),
        (1, 3),
        (False, True),
        (False, True),
    )
]


def draw(config: Config) -> tuple[Array, tuple[Array, ...], Array, tuple[Array, ...]]:
    rng = np.random.default_rng(5)
    states = config.draw_states(rng)
    return config.draw_input(rng), states, config.draw_output_gradient(rng), config.draw_states(rng)


def weights(config: Config) -> dict[str, Array]:
    return {name: value.numpy() for name, value in torch_layer(config).state_dict().items()}


# torch's own context manager asks for a precision that this build lacks, and warns of it.
@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")
@pytest.mark.parametrize("mkldnn", [False, True], ids=["native", "mkldnn"])
@pytest.mark.parametrize("config", [c for c in STACKS if c.cell != "gru_reset_before"], ids=str)
def test_the_reference_agrees_with_torch_nn(config: Config, mkldnn: bool) -> None:
    x, states, dy, dstates = draw(config)
    with torch.backends.mkldnn.flags(enabled=mkldnn):
        expected_y, expected_states, expected = torch_vjp(torch_layer(config), x, states, dy, dstates)
    y, final, tape = reference.forward(config.equations, weights(config), x, states)
    cases.assert_outputs(y, cases.as_given(final), expected_y, expected_states, np.float64)
    actual = reference.backward(tape, dy, dstates)
    cases.assert_gradients(as_pullback(actual), expected, np.float64, SAME)


@pytest.mark.parametrize("bias", [False, True])
def test_gru_with_the_reset_before_the_product_agrees_with_autograd(bias: bool) -> None:
    config = Config("gru_reset_before", bias=bias)
    x, states, dy, dstates = draw(config)
    expected_y, expected_states, expected = torch_vjp(ResetBefore(config), x, states, dy, dstates)
    y, final, tape = reference.forward(config.equations, weights(config), x, states)
    cases.assert_outputs(y, cases.as_given(final), expected_y, expected_states, np.float64)
    actual = reference.backward(tape, dy, dstates)
    cases.assert_gradients(as_pullback(actual), expected, np.float64, SAME)


@pytest.mark.parametrize("config", STACKS, ids=str)
def test_gradients_agree_with_finite_differences(config: Config) -> None:
    x, states, dy, dstates = draw(config)
    parameters = weights(config)
    rng = np.random.default_rng(6)
    directions = [rng.standard_normal(v.shape) for v in (x, *states, *parameters.values())]

    def loss(step: float) -> float:
        moved = [v + step * d for v, d in zip((x, *states, *parameters.values()), directions, strict=True)]
        named = dict(zip(parameters, moved[1 + len(states) :], strict=True))
        y, final, _ = reference.forward(config.equations, named, moved[0], tuple(moved[1 : 1 + len(states)]))
        return float((y * dy).sum() + sum((s * d).sum() for s, d in zip(final, dstates, strict=True)))

    _, _, tape = reference.forward(config.equations, parameters, x, states)
    found = reference.backward(tape, dy, dstates)
    arrays = (found.input, *found.states, *found.parameters.values())
    slope = sum(float((g * d).sum()) for g, d in zip(arrays, directions, strict=True))
    # Central differences: the third derivative leaves 1e-8 of the slope at a step of 1e-5, rounding 1e-10.
    assert (loss(1e-5) - loss(-1e-5)) / 2e-5 == pytest.approx(slope, rel=1e-6)


def as_pullback(found: reference.Gradients) -> Any:
    """The reference's gradients under the field names of a pullback's."""
    return type("Pullback", (), {"input": found.input, "state": cases.as_given(found.states), **found._asdict()})


class ResetBefore(torch.nn.Module):
    """GRU with n = tanh(W_in x + b_in + W_hn (r h) + b_hn), one layer, one direction."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        for name, value in torch_layer(config).named_parameters():
            self.register_parameter(name, value)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bias_ih, bias_hh = getattr(self, "bias_ih_l0", None), getattr(self, "bias_hh_l0", None)
        w_ih, w_hh = self.get_parameter("weight_ih_l0"), self.get_parameter("weight_hh_l0")
        u_rz, u_n = w_hh[: 2 * h.shape[-1]], w_hh[2 * h.shape[-1] :]
        b_rz, b_n = (None, None) if bias_hh is None else bias_hh.split([2 * h.shape[-1], h.shape[-1]])
        outputs, current = [], h[0]
        for x_t in x:
            x_r, x_z, x_n = torch.nn.functional.linear(x_t, w_ih, bias_ih).chunk(3, dim=-1)
            h_r, h_z = torch.nn.functional.linear(current, u_rz, b_rz).chunk(2, dim=-1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + torch.nn.functional.linear(r * current, u_n, b_n))
            current = (1 - z) * n + z * current
            outputs.append(current)
        return torch.stack(outputs), current[None]
