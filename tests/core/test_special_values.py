"""NaN, infinity and zero pass through functions and layers, forward and backward, as in torch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import DTYPES, Array
from torch.nn import functional

import pyrnn
from pyrnn import _core, nn
from pyrnn.nn.activations import BACKWARD
from pyrnn.torch.composed import Network, compose

F = torch.nn.functional
THEIRS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda x: x.clone(),
    "identity": lambda x: x.clone(),
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "hard_sigmoid_keras2": lambda x: torch.clamp(0.2 * x + 0.5, 0, 1),
    "hard_sigmoid_keras3": F.hardsigmoid,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "exponential": torch.exp,
    "leaky_relu": F.leaky_relu,
    "swish": F.silu,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
}
VALUES = (np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1.5)
GRADIENTS = (1.0, np.nan, np.inf, -np.inf, 0.0)


def assert_same_places(found: Any, expected: Any) -> None:
    """NaN, infinities and zeros stand in the same places, and the other numbers are close."""
    found, expected = np.asarray(found), np.asarray(expected)
    np.testing.assert_array_equal(found == 0, expected == 0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BACKWARD)
def test_activations_are_torchs_at_special_values(name: str, dtype: Any) -> None:
    for value, above in product(VALUES, GRADIENTS):
        # One number at a time: at NaN torch's elu depends on whether the number stands in a whole vector.
        x, grad = np.array([value], dtype), np.array([above], dtype)
        given = torch.tensor(x, requires_grad=True)
        expected = THEIRS[name](given)
        expected.backward(torch.tensor(grad))
        y, _, pullback = nn.Activation(name).vjp(x)
        assert_same_places(y, expected.detach())
        assert_same_places(pullback(grad).input, given.grad)


@pytest.mark.parametrize("isa", _core.available_isas())
@pytest.mark.parametrize("name", [name for name in BACKWARD if name not in ("linear", "swish", "softplus", "gelu")])
def test_every_instruction_set_passes_special_values_alike(name: str, isa: str) -> None:
    for dtype in DTYPES:
        x = np.tile(np.array(VALUES, dtype), 5)
        alone = [_core.activate(name, x[i : i + 1], 1.0, "scalar") for i in range(len(x))]
        np.testing.assert_array_equal(_core.activate(name, x, 1.0, isa), np.concatenate(alone))


def spoiled(shape: tuple[int, ...], dtype: Any, value: float, places: Array) -> Array:
    found = np.ones(shape, dtype)
    found[tuple(places)] = value
    return found


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", _core.available_isas())
def test_a_gradient_stops_at_a_unit_of_a_relu_rnn_that_is_off(isa: str, dtype: Any, value: float) -> None:
    rnn = pyrnn.RNN(3, 19, num_layers=2, nonlinearity="relu", bidirectional=True, seed=0, dtype=dtype)
    theirs = torch.nn.RNN(3, 19, 2, nonlinearity="relu", bidirectional=True, dtype=torch.tensor(dtype(0)).dtype)
    theirs.load_state_dict({name: torch.tensor(weight) for name, weight in rnn.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 2, 3)).astype(dtype)
    weights = _core.Weights.pack(
        _core.Spec.make("rnn_relu", 3, 19, 2, True, True), list(rnn.parameters().values()), isa
    )
    y, _, _, tape = weights.run(x, [], False, [], True)
    off = np.argwhere(y == 0)
    dy = spoiled(y.shape, dtype, value, off[:: len(off) // 5].T)
    given = torch.tensor(x, requires_grad=True)
    theirs(given)[0].backward(torch.tensor(dy))
    dx, _, parameters, _, _ = tape.backward(dy, [])
    assert np.isfinite(dx).all()
    for found, expected in zip([dx, *parameters], [given, *theirs.parameters()], strict=True):
        np.testing.assert_allclose(found, expected.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("place", ["input", "gradient"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_relu_cell_passes_special_values_as_torchs(dtype: Any, value: float, place: str) -> None:
    cell = pyrnn.RNNCell(3, 19, nonlinearity="relu", seed=0, dtype=dtype)
    theirs = torch.nn.RNNCell(3, 19, nonlinearity="relu", dtype=torch.tensor(dtype(0)).dtype)
    theirs.load_state_dict({name: torch.tensor(weight) for name, weight in cell.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(dtype)
    x[1, 2] = value if place == "input" else x[1, 2]
    y, _, pullback = cell.vjp(x)
    dy = np.ones_like(y)
    dy[2, ::2] = value if place == "gradient" else 1
    given = torch.tensor(x, requires_grad=True)
    output = theirs(given)
    output.backward(torch.tensor(dy))
    found = pullback(dy)
    pairs = [(y, output.detach()), (found.input, given.grad)]
    pairs += [(found.parameters[name], weight.grad) for name, weight in theirs.named_parameters()]
    for ours, expected in pairs:
        np.testing.assert_array_equal(np.isfinite(ours), torch.isfinite(expected).numpy())
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


CHOSEN = ("relu", "hard_sigmoid_keras2", "hard_sigmoid_keras3", "identity", "tanh", "sigmoid")


@pytest.mark.parametrize("above", [np.nan, np.inf])
@pytest.mark.parametrize("gate", CHOSEN)
@pytest.mark.parametrize("activation", CHOSEN)
@pytest.mark.parametrize("kind", [pyrnn.LSTM, pyrnn.GRU])
def test_chosen_functions_select_as_the_operators_of_torch(
    kind: Any, activation: str, gate: str, above: float
) -> None:
    layer = kind(3, 5, seed=0, dtype=np.float64, activation=activation, recurrent_activation=gate)
    x = 6 * np.random.default_rng(1).standard_normal((2, 3, 3))  # far enough for the flat ends
    x[0, 2, 0] = np.nan
    network = Network(*(getattr(layer, name) for name in Network._fields))
    given = torch.tensor(x, requires_grad=True)
    weights = [torch.tensor(weight) for weight in layer.parameters().values()]
    zeros = tuple(torch.zeros(1, 3, 5, dtype=torch.float64) for _ in range(2 if kind is pyrnn.LSTM else 1))
    expected = compose(network, given, zeros, weights)[0]
    y, *_, pullback = layer.vjp(x)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected.detach().numpy()))
    dy = np.zeros_like(y)
    dy[1, :, 0] = above
    expected.backward(torch.tensor(dy))
    found, theirs = pullback(dy).input, given.grad.numpy()
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(theirs))
    np.testing.assert_array_equal(found == 0, theirs == 0)


EXTREMES = {
    "large": [3e38, -3e38, 1e38, 2e38],
    "large and equal": [3e38, 3e38, 3e38, 3e38],
    "one large": [3e38, 1.0, 2.0, 3.0],
    "squares that overflow": [1e25, -1e25, 2e25, 0.0],
    "small": [1e-38, -1e-38, 2e-38, 0.0],
    "constant": [7.0, 7.0, 7.0, 7.0],
    "zeros": [0.0, 0.0, 0.0, 0.0],
    "an infinity": [np.inf, 1.0, 2.0, 3.0],
    "both infinities": [np.inf, -np.inf, 2.0, 3.0],
    "NaN": [1.0, np.nan, 2.0, 3.0],
    "large and NaN": [3e38, np.nan, -3e38, 3.0],
}


def extreme(case: str, dtype: Any) -> Array:
    """The numbers of a case; in float64 scaled to be as near to the ends of its range as they are in float32."""
    numbers = np.array(EXTREMES[case])
    if dtype is np.float64:
        with np.errstate(invalid="ignore"):
            numbers = np.where(np.abs(numbers) > 1e20, numbers * 1e269, numbers)
            numbers = np.where(np.abs(numbers) < 1e-20, numbers * 1e-269, numbers)
    return numbers.astype(dtype)


def normalised(x: Array, eps: float) -> Array:
    """The definition of a norm in long double, whose larger exponents cannot overflow here."""
    wide = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        centred = wide - wide.mean()
        found: Array = (centred / np.sqrt((centred * centred).mean() + np.longdouble(eps))).astype(x.dtype)
    return found


@pytest.mark.parametrize("eps", [1e-5, 0.0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", EXTREMES)
def test_norms_of_extreme_numbers_are_right_or_nan_as_torchs(case: str, dtype: Any, eps: float) -> None:
    ordinary, x = np.array([0.5, -1.0, 2.0, 3.0], dtype), extreme(case, dtype)
    rows = np.stack([ordinary, x, ordinary])
    layer = nn.LayerNorm(4, eps=eps, dtype=dtype)
    batch = nn.BatchNorm1d(3, eps=eps, dtype=dtype)
    expected = normalised(x, eps)
    for y, _, pullback in (layer.vjp(rows), batch.vjp(rows.T)):
        found = y if y.shape == rows.shape else y.T
        np.testing.assert_allclose(found[1], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found[::2], [normalised(ordinary, eps)] * 2, rtol=1e-5)
        dx = pullback(np.arange(y.size, dtype=dtype).reshape(y.shape) ** 2).input
        dx = dx if dx.shape == rows.shape else dx.T
        assert np.isfinite(dx[::2]).all()
        if eps or case != "small":  # without eps the derivative of small numbers is beyond the range
            assert np.isfinite(dx[1]).all() == np.isfinite(expected).all()
    np.testing.assert_array_equal(layer(rows)[::2], layer(rows[::2]))  # neighbours cost an ordinary row no bit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", EXTREMES)
def test_softmax_of_extreme_numbers_is_torchs(case: str, dtype: Any) -> None:
    x = np.stack([extreme(case, dtype), np.array([0.5, -1.0, 2.0, 3.0], dtype)])
    np.testing.assert_allclose(nn.Softmax()(x), torch.softmax(torch.tensor(x), -1), rtol=1e-5)
    rest = np.array([[-np.inf] * 4, [-np.inf, 0, 0, -np.inf], [np.inf, 0, 0, 0]], dtype)
    np.testing.assert_allclose(nn.Softmax()(rest), torch.softmax(torch.tensor(rest), -1), rtol=1e-5)


POOLS: dict[str, tuple[Any, Any]] = {
    "MaxPool1d": (nn.MaxPool1d(3, 2, 1), torch.nn.MaxPool1d(3, 2, 1)),
    "AvgPool1d": (nn.AvgPool1d(3, 2, 1), torch.nn.AvgPool1d(3, 2, 1)),
    "GlobalMaxPool1d": (nn.GlobalMaxPool1d(batch_first=True), lambda x: x.max(1)[0]),
    "GlobalAveragePool1d": (nn.GlobalAveragePool1d(batch_first=True), lambda x: x.mean(1)),
}


@pytest.mark.parametrize(
    "values", [[np.nan, 1, 2], [-np.inf] * 3, [np.inf, -np.inf, 0], [0, -np.inf, np.nan], [-np.inf, 1, 2]]
)
@pytest.mark.parametrize("name", POOLS)
def test_pools_pass_special_values_as_torchs(name: str, values: list[float]) -> None:
    x = np.array(values * 2, np.float64).reshape(1, 1, 6)
    ours, theirs = POOLS[name]
    y, _, pullback = ours.vjp(x)
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(given)
    expected.backward(torch.full_like(expected, 2.0))
    np.testing.assert_array_equal(y, expected.detach().numpy())
    np.testing.assert_allclose(pullback(np.full_like(y, 2)).input, given.grad)


def test_a_maximum_of_minus_infinities_is_not_taken_from_a_masked_step() -> None:
    x, mask = np.array([[[5.0], [-np.inf], [7.0]]]), np.array([[False, True, False]])
    y, _, pullback = nn.GlobalMaxPool1d(batch_first=True).vjp(x, mask=mask)
    assert y.item() == -np.inf
    np.testing.assert_array_equal(pullback(np.ones_like(y)).input[0, :, 0], [0, 1, 0])


def test_layers_do_not_warn_of_numbers_that_are_not_finite() -> None:
    x = np.array([[np.nan, np.inf, -np.inf, 3e38]], np.float32)
    with np.errstate(all="raise"):
        for layer in (*map(nn.Activation, BACKWARD), nn.LayerNorm(4), nn.Softmax(), nn.BatchNorm1d(4).eval()):
            y, _, pullback = layer.vjp(x)
            layer(x)
            pullback(np.full_like(y, np.inf))
