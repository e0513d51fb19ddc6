"""Drop-ins with chosen activations or peepholes have the NumPy layers' bits, in copies, files and derivatives too."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch
from cases import as_states
from chosen_calls import chosen_calls
from chosen_outputs import X, equal, outputs
from drawn import Call, same_bytes
from drop_ins import LAYERS, tensors_of
from hypothesis import given, settings
from hypothesis import strategies as st
from keyword_calls import COMMON, differentiated, in_arrays, module_of
from torch import Tensor, nn
from torch_close import assert_slopes

import pyrnn
import pyrnn.torch as drop_in

CHOSEN: dict[str, dict[str, Any]] = {
    "RNN": {"activation": "hard_sigmoid_keras3"},
    "LSTM": {"activation": "relu", "recurrent_activation": "hard_sigmoid_keras2", "peephole": True, "proj_size": 2},
    "GRU": {"recurrent_activation": "hard_sigmoid_keras3", "activation": "identity"},
}
LISTED = "tanh, sigmoid, relu, identity, hard_sigmoid_keras2, hard_sigmoid_keras3"


def chosen(name: str, **more: Any) -> tuple[Any, Any]:
    """A drop-in with chosen activations, and the NumPy layer of the same arguments and weights."""
    options = {"num_layers": 2, "bidirectional": True, **CHOSEN[name], **more}
    torch.manual_seed(3)
    module, layer = getattr(drop_in, name)(3, 5, **options), getattr(pyrnn, name)(3, 5, **options)
    layer.load_state_dict(module.state_dict())
    return module, layer


@settings(max_examples=200, deadline=None)
@given(chosen_calls().filter(lambda call: call.config.cell in COMMON), st.none() | st.integers(1, 9))
def test_chosen_activations_give_the_bits_of_the_numpy_layers(call: Call, every: int | None) -> None:
    layer = call.layer()
    module = module_of(call, layer)
    expected, slopes = call.vjp(layer)
    result, found = differentiated(replace(call, options=call.options | {"checkpoint": every}), layer, module)
    assert same_bytes(result, expected)
    assert same_bytes(found, {group: slopes[group] for group in found})
    # With unbounded gates the states may grow without limit, and the rounding errors with them.
    if all(np.abs(part).max() < 10 for part in (expected.output, *expected.state)):
        _, by_operators = differentiated(call, layer, module, create_graph=True)
        assert_slopes(by_operators, slopes)


@pytest.mark.parametrize("name", LAYERS)
def test_the_repr_is_the_numpy_layers(name: str) -> None:
    module, layer = chosen(name)
    assert repr(module) == repr(layer)
    defaults = {"activation": "tanh", **({} if name == "RNN" else {"recurrent_activation": "sigmoid"})}
    assert "activation" not in repr(getattr(drop_in, name)(3, 5, **({} if name == "RNN" else defaults)))


def test_an_activation_takes_the_place_of_a_nonlinearity() -> None:
    for activation in ("tanh", "sigmoid"):
        options = {"nonlinearity": "relu", "activation": activation}
        module, layer = drop_in.RNN(3, 5, **options), pyrnn.RNN(3, 5, **options)
        layer.load_state_dict(module.state_dict())
        assert same_bytes(in_arrays(outputs(module, X)), list(layer(X.numpy())))


def saved(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "torch.save": saved,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", LAYERS)
def test_copies_compute_the_same_and_have_weights_of_their_own(name: str, way: str) -> None:
    module, _ = chosen(name)
    before = outputs(module, X)
    again = COPIES[way](module)
    assert (repr(again), list(again.state_dict())) == (repr(module), list(module.state_dict()))
    assert equal(outputs(again, X), before)
    again.weight_hh_l0.data.mul_(2)
    assert not equal(outputs(again, X), before)
    assert equal(outputs(module, X), before)


@pytest.mark.parametrize("name", LAYERS)
def test_state_dicts_and_conversion_keep_the_chosen_activations(name: str) -> None:
    (module, layer), (other, _) = chosen(name), chosen(name)
    other.reset_parameters()
    assert not equal(outputs(other, X), outputs(module, X))
    other.load_state_dict(module.state_dict())
    assert equal(outputs(other, X), outputs(module, X))
    wide = getattr(pyrnn, name)(3, 5, num_layers=2, bidirectional=True, **CHOSEN[name], dtype=np.float64)
    wide.load_state_dict(layer.state_dict())
    found = outputs(module.double(), X.double())
    y, state = wide(X.numpy().astype(np.float64))
    assert same_bytes(in_arrays(found), [y, *as_states(state)])


def test_peepholes_are_weights_of_the_state_dict_and_drawn_after_torchs() -> None:
    module, plain = drop_in.LSTM(3, 5, peephole=True), drop_in.LSTM(3, 5)
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "weight_peephole_l0"'):
        module.load_state_dict(plain.state_dict())
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "weight_peephole_l0"'):
        plain.load_state_dict(module.state_dict())
    assert module.weight_peephole_l0.shape == (15,)
    # They are drawn from U(-1/sqrt(H), 1/sqrt(H)), after the weights that torch draws.
    assert 0 < module.weight_peephole_l0.abs().max() <= 5**-0.5
    torch.manual_seed(0)
    peephole = drop_in.LSTM(3, 5, 2, peephole=True)
    torch.manual_seed(0)
    for name, weight in nn.LSTM(3, 5, 2).named_parameters():
        assert torch.equal(peephole.get_parameter(name), weight)


@pytest.mark.parametrize("name", LAYERS)
def test_dropout_is_torchs_with_keywords_too(name: str) -> None:
    found = []
    for options in ({}, {"lengths": [4, 4]}, {"checkpoint": 2}):
        torch.manual_seed(5)
        module = getattr(drop_in, name)(3, 5, 3, dropout=0.5)
        found.append([*outputs(module, X, **options), torch.rand(1)])
    assert equal(found[0], found[1])
    assert equal(found[0], found[2])
    assert not equal(found[0], [*outputs(module, X), found[0][-1]])


REFUSED: tuple[tuple[str, dict[str, Any], Any, str], ...] = (
    ("LSTM", {"activation": "swish"}, ValueError, f'^activation should be one of {LISTED}, got "swish"$'),
    ("GRU", {"recurrent_activation": ""}, ValueError, f'^recurrent_activation should be one of {LISTED}, got ""$'),
    ("RNN", {"activation": "Tanh"}, ValueError, f'^activation should be one of {LISTED}, got "Tanh"$'),
    ("LSTM", {"activation": 3}, TypeError, "^activation should be of type str, got: int$"),
    ("LSTM", {"recurrent_activation": None}, TypeError, "^recurrent_activation should be of type str, got: NoneType$"),
    ("LSTM", {"peephole": 1}, TypeError, "^peephole should be of type bool, got: int$"),
    ("GRU", {"peephole": True}, ValueError, "^peephole is only supported for LSTM"),
)


@pytest.mark.parametrize(("name", "options", "kind", "sentence"), REFUSED, ids=str)
def test_wrong_choices_are_refused(name: str, options: dict[str, Any], kind: Any, sentence: str) -> None:
    with pytest.raises(kind, match=sentence):
        getattr(drop_in, name)(3, 5, **options)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_a_module_with_choices_is_never_turned_into_torchs_class(name: str) -> None:
    module, _ = chosen(name)
    before = outputs(module, X)
    with pytest.raises(RuntimeError, match=f"TorchScript has no {name} with chosen activations or peepholes"):
        torch.jit.script(nn.Sequential(module))
    model = nn.Sequential(getattr(drop_in, name)(3, 5), module)
    assert drop_in.restore(model) == ["0"]
    assert (type(model[0]), type(module)) == (getattr(nn, name), getattr(drop_in, name))
    drop_in.accelerate(model, traceable=True)
    assert type(module) is not getattr(drop_in, name)
    assert equal(outputs(module, X), before)
    drop_in.accelerate(model)
    assert type(module) is getattr(drop_in, name)
    assert equal(outputs(module, X), before)
    for other in (torch.bfloat16, "meta"):
        found = module.to(other)(X.bfloat16().to(other))
        assert [part.shape for part in tensors_of(found)] == [part.shape for part in before]


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("form", [{}, {"proj_size": 2, "num_layers": 2, "bidirectional": True}], ids=str)
def test_derivatives_with_peepholes_agree_with_finite_differences(form: dict[str, Any], activation: str) -> None:
    module = drop_in.LSTM(2, 3, peephole=True, activation=activation, dtype=torch.float64, **form)
    names, x = dict(module.named_parameters()), torch.linspace(-1, 1, 12).double().reshape(3, 2, 2)

    def call(x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        named = dict(zip(names, weights, strict=True))
        return tuple(tensors_of(torch.func.functional_call(module, named, (x,), {"return_states": True})))

    leaves = [t.detach().requires_grad_() for t in (x, *names.values())]
    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, leaves, fast_mode=True)


@pytest.mark.parametrize("options", [{}, {"proj_size": 2}, {"bias": False}], ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_come_in_the_numpy_layers_order(bidirectional: bool, options: dict[str, Any]) -> None:
    options = {"num_layers": 2, "bidirectional": bidirectional, "peephole": True, **options}
    module, layer = drop_in.LSTM(3, 5, **options), pyrnn.LSTM(3, 5, **options)
    shapes = [(name, value.shape) for name, value in layer.state_dict().items()]
    assert [(name, tuple(value.shape)) for name, value in module.state_dict().items()] == shapes
    assert [name for name, _ in module.named_parameters()] == [name for name, _ in shapes]


def test_an_rnn_takes_neither_peephole_nor_recurrent_activation() -> None:
    with pytest.raises((TypeError, ValueError), match="peephole"):
        drop_in.RNN(3, 5, peephole=True)
    with pytest.raises((TypeError, ValueError), match="recurrent_activation"):
        drop_in.RNN(3, 5, recurrent_activation="relu")
